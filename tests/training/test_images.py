"""Training on images, from the dataset's videos to a checkpoint that acts on what it sees."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_policy.checkpoint import load_policy
from robot_policy.core.episode import Episode
from robot_policy.core.observation import Windows
from robot_policy.core.specs import image_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.policies.bc import BcConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.loop import Trainer

from .conftest import SPEC, reach

SIZE, SQUARE = 32, 8


def picture(goal: np.ndarray) -> np.ndarray:
    """A dark image with a bright square where the goal is, which lies in [-0.2, 0.2]."""
    column, row = np.round((goal + 0.2) / 0.4 * (SIZE - SQUARE)).astype(int)
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[row : row + SQUARE, column : column + SQUARE] = 255
    return image


def seen(episode: Episode) -> Episode:
    """The goal is shown instead of told."""
    assert episode.environment_state is not None
    frames = np.stack([picture(goal) for goal in episode.environment_state])
    return replace(episode, environment_state=None, images={"top": frames})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pictures"
    spec = replace(SPEC, environment_state=None, cameras={"top": image_spec(SIZE, SIZE)})
    FORMATS["lerobot_v3"].write(path, (seen(reach(seed)) for seed in range(24)), spec)
    return path


def test_a_policy_goes_where_it_sees_the_goal(pictures: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        dataset=pictures,
        output=tmp_path / "run",
        policy=BcConfig(
            history=1, horizon=2, hidden=(64,), loss="l2", crop=1.0, vision_width=8, keypoints=8
        ),
        cameras=("top",),
        steps=150,
        batch_size=32,
        optimizer=OptimizerConfig(lr=3e-3, warmup_steps=10),
        device="cpu",
        threads=1,
        tensorboard=False,
        validation_fraction=0.0,
    )
    policy = load_policy(Trainer("bc", config).run().checkpoint)
    assert list(policy.spec.cameras) == ["top"]
    goals = np.array([[-0.15, -0.15], [-0.15, 0.15], [0.15, -0.15], [0.15, 0.15]])
    start = reach(0).state[0]
    windows = Windows(
        state=np.repeat(start[None, None], 4, axis=0),
        past=np.zeros((4, 0, SPEC.action.size), np.float32),
        valid=np.ones((4, 1), bool),
        past_valid=np.ones((4, 0), bool),
        images={"top": np.stack([picture(goal) for goal in goals])[:, None]},
        instructions=("",) * 4,
    )
    step = policy.sample(windows, generator=np.random.default_rng(0)).actions[:, 0, 0, :2]
    assert (np.sign(step) == np.sign(goals)).all()
