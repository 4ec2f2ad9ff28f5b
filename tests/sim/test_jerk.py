"""Jerk by differences, on paths whose third derivative is known."""

import numpy as np
import pytest

from robot_policy.core.specs import ActionSpace
from sim.jerk import commanded_jerk, path_jerk

DT = 0.05


def actions(motion: np.ndarray) -> np.ndarray:
    """Motion along x, with turns and a gripper that must not count."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(len(motion), 7))
    rows[:, :3] = 0.0
    rows[:, 0] = motion
    return rows


@pytest.mark.parametrize("size", [1, 3])
def test_of_a_cubic_it_is_constant(size: int) -> None:
    """From rest, and the differences of its first steps are not those of a cubic yet."""
    t = DT * np.arange(1000)
    path = np.outer(2.0 * t**3, np.ones(size))
    assert path_jerk(path, dt_s=DT) == pytest.approx(12.0 * np.sqrt(size), rel=2e-3)


def test_displacements_and_targets_of_the_same_path_are_equally_jerky() -> None:
    path = np.cumsum(np.random.default_rng(1).normal(size=20))
    deltas = actions(np.diff(path, prepend=0.0))
    targets = actions(np.concatenate([[0.0], path]))
    found = commanded_jerk(deltas, space=ActionSpace.EE_DELTA_POSE, dt_s=DT)
    assert found == pytest.approx(commanded_jerk(targets, space=ActionSpace.EE_POSE, dt_s=DT))


def test_starting_and_holding_are_jerky_and_standing_still_is_not() -> None:
    def jerk(*motion: float) -> float:
        found = commanded_jerk(actions(np.array(motion)), space=ActionSpace.EE_DELTA_POSE, dt_s=DT)
        assert found is not None
        return found * len(motion) * DT**3 / 0.01

    assert jerk(0, 0, 0, 0, 0) == 0
    # Second differences of a displacement that begins: 1, -1; that pauses: -1, 2, -1.
    assert jerk(*[0.01] * 9) == pytest.approx(2)
    assert jerk(0, 0, *[0.01] * 7) == pytest.approx(2)
    assert jerk(*[0.01] * 4, 0, *[0.01] * 4) == pytest.approx(6)


def test_joints_count_all_alike_without_the_gripper() -> None:
    rows = np.zeros((600, 8))
    rows[:, :7] = (np.arange(600.0) ** 3)[:, None]
    rows[:, 7] = np.random.default_rng(0).normal(size=600)
    found = commanded_jerk(rows, space=ActionSpace.JOINT_POSITION, dt_s=1.0)
    assert found == pytest.approx(6 * np.sqrt(7), rel=1e-2)


def test_a_single_point_has_none() -> None:
    assert path_jerk(np.zeros((1, 2)), dt_s=DT) is None
