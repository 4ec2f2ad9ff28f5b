"""A short run of what benchmarks/server_fuzz.py does at length."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
fuzz = pytest.importorskip("server_fuzz")


@pytest.fixture
def attacked(serve: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(fuzz, "TOKEN", "a-token-of-these-tests")
    return serve(fuzz.NoisePolicy())


def test_nothing_malformed_is_accepted_and_the_server_lives(attacked: Any) -> None:
    address = fuzz.Address("127.0.0.1", attacked.port)
    before = fuzz._proper_answer(address)
    rows = asyncio.run(fuzz.attack_server(address, 150, seed=11))
    targets = fuzz.targets(rows, growth_mb=0.0, alive=True, count=150)
    broken = [t for t in targets if not t.holds and t.id != "server_fuzz_messages"]
    assert broken == []
    assert sum(row.refused for row in rows) > 140
    assert attacked.running
    assert (fuzz._proper_answer(address) == before).all()


def test_its_proper_requests_are_answered(attacked: Any) -> None:
    """Or a refusal would say nothing about what was changed."""

    async def ask() -> list[bool]:
        rng = np.random.default_rng(0)
        send = fuzz._with_token(lambda rng: fuzz.wire.encode(fuzz.proper_request(rng)))
        address = fuzz.Address("127.0.0.1", attacked.port)
        return [(await send(address, rng)).answered for _ in range(6)]

    assert asyncio.run(ask()) == [True] * 6
