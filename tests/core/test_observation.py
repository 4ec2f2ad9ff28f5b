"""Containers check their shapes and join without mixing rows."""

import numpy as np
import pytest

from robot_policy.core.episode import Episode
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Candidates, Windows


def windows(seed: int, batch: int) -> Windows:
    rng = np.random.default_rng(seed)
    return Windows(
        state=rng.normal(size=(batch, 2, 3)).astype(np.float32),
        past=rng.normal(size=(batch, 1, 2)).astype(np.float32),
        valid=np.ones((batch, 2), bool),
        past_valid=np.ones((batch, 1), bool),
        environment_state=rng.normal(size=(batch, 2, 4)).astype(np.float32),
        images={"wrist": rng.integers(0, 255, (batch, 2, 4, 4, 3), dtype=np.uint8)},
        instructions=tuple(f"{seed}-{i}" for i in range(batch)),
    )


def test_concatenate_keeps_the_order_of_rows() -> None:
    a, b = windows(0, 1), windows(1, 2)
    both = Windows.concatenate([a, b])
    assert both.batch_size == 3
    assert both.instructions == ("0-0", "1-0", "1-1")
    np.testing.assert_array_equal(both.state[2], b.state[1])
    np.testing.assert_array_equal(both.environment_state[0], a.environment_state[0])
    np.testing.assert_array_equal(both.images["wrist"][1], b.images["wrist"][0])


def test_candidates_check_their_shapes() -> None:
    with pytest.raises(SpecError, match=r"\(B, N, H, A\)"):
        Candidates(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(SpecError, match="disagree"):
        Candidates(np.zeros((2, 3, 4, 5), np.float32), np.zeros((2, 1, 4, 5), np.float32))
    row = Candidates(np.arange(8.0, dtype=np.float32).reshape(2, 2, 2, 1)).row(1)
    assert row.actions.shape == (1, 2, 2, 1)
    assert row.actions[0, 0, 0, 0] == 4.0


def test_an_episode_checks_its_lengths_and_times() -> None:
    arrays = {
        "state": np.zeros((3, 2), np.float32),
        "actions": np.zeros((3, 1), np.float32),
        "rewards": np.zeros(3, np.float32),
    }
    assert len(Episode(stamps_ns=np.arange(3), task="t", **arrays)) == 3
    with pytest.raises(SpecError, match="wrong number of steps"):
        Episode(stamps_ns=np.arange(4), task="t", **arrays)
    with pytest.raises(SpecError, match="increase"):
        Episode(stamps_ns=np.array([0, 2, 2]), task="t", **arrays)
    with pytest.raises(SpecError, match="at least one step"):
        Episode(stamps_ns=np.arange(0), task="t", **{k: v[:0] for k, v in arrays.items()})
