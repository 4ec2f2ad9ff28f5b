"""A small dataset of a point that is driven to a goal; quick to learn."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec
from robot_policy.data.formats.registry import FORMATS

ROBOT = load_robot("panda_twin")
SPEC = ROBOT.spec(environment_state=ArraySpec(shape=(2,), names=("goal_x", "goal_y")))
DT_NS = round(1e9 / ROBOT.rate_hz)


def reach(seed: int, *, success: Success = Success.YES) -> Episode:
    """An episode in which the end effector goes to a goal at a bounded speed."""
    rng = np.random.default_rng(seed)
    goal, position = rng.uniform(-0.2, 0.2, 2), np.zeros(2)
    states, actions = [], []
    for _ in range(20):
        states.append(
            ROBOT.proprioception(
                joint_positions=rng.normal(size=7) * 0.01,
                gripper_m=0.04,
                ee_position=np.array([*position, 0.2]),
                base_R_ee=np.eye(3),
            )
        )
        step = np.clip(goal - position, -0.02, 0.02)
        actions.append([*step, 0, 0, 0, 0, 0])
        position = position + step
    return Episode(
        stamps_ns=np.arange(20, dtype=np.int64) * DT_NS,
        state=np.stack(states),
        actions=np.array(actions, np.float32),
        task="go to the goal",
        rewards=np.zeros(20, np.float32),
        success=success,
        environment_state=np.repeat(goal[None], 20, 0).astype(np.float32),
        metadata={"seed": seed},
    )


@pytest.fixture(scope="session")
def make_dataset() -> Callable[[Path, Sequence[Success]], Path]:
    """Writes a dataset with one episode per outcome."""

    def make(path: Path, outcomes: Sequence[Success]) -> Path:
        episodes = (reach(seed, success=success) for seed, success in enumerate(outcomes))
        FORMATS["lerobot_v3"].write(path, episodes, SPEC)
        return path

    return make


@pytest.fixture(scope="session")
def dataset(
    tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[[Path, list[Success]], Path]
) -> Path:
    """Twelve successful episodes."""
    return make_dataset(tmp_path_factory.mktemp("data") / "reach", [Success.YES] * 12)
