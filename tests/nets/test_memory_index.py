"""Searching by an index: finds what looking at all finds, and is refused where faiss is missing."""

import sys

import numpy as np
import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.nets.memory_bank import MemoryBank
from robot_policy.nets.memory_index import MemoryIndex


def filled(indexed: bool, *, keys: int = 5000) -> MemoryBank:
    generator = torch.Generator().manual_seed(0)
    bank = MemoryBank(8, (2, 3), indexed=indexed).eval()
    rows = torch.randn(keys, 8, generator=generator)
    numbers = torch.arange(keys)
    bank.fill(rows, torch.zeros(keys, 2, 3), numbers % 7, numbers)
    return bank


@pytest.mark.parametrize("count", [1, 10])
def test_an_index_finds_what_looking_at_all_finds(count: int) -> None:
    pytest.importorskip("faiss")
    queries = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    exact, fast = (filled(indexed).find(queries, count) for indexed in (False, True))
    torch.testing.assert_close(fast[0], exact[0])
    assert (fast[1] == exact[1]).all()


def test_other_memories_get_another_index() -> None:
    pytest.importorskip("faiss")
    bank = filled(True)
    query = torch.zeros(1, 8)
    bank.nearest(query)
    numbers = torch.zeros(3, dtype=torch.int64)
    bank.fill(torch.ones(3, 8), torch.zeros(3, 2, 3), numbers, numbers)
    distance, index = bank.nearest(query)
    assert float(distance) == pytest.approx(1.0)
    assert int(index) < 3


def test_where_cells_hold_too_few_the_nearest_is_repeated() -> None:
    pytest.importorskip("faiss")
    keys = np.eye(4, 6, dtype=np.float32)
    found = MemoryIndex(keys).find(keys[1:2], 9)
    assert found[0, 0] == 1
    assert found.min() >= 0


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r"faiss is not installed; pip install .*\[index\]"):
        MemoryBank(8, (2, 3), indexed=True)
