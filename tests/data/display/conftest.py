"""A dataset whose frames say their number, with two cameras and a value that is not finite."""

from pathlib import Path

import numpy as np
import pytest

from robot_policy.core.episode import Episode, Success
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.formats.registry import FORMATS

SPEC = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((3,), names=("x", "y", "z"), units=("m", "m", "rad")),
    action=ArraySpec((2,), names=("dx", "gripper")),
    action_space=ActionSpace.EE_DELTA_POSE,
    dt_s=0.05,
    cameras={"wrist": image_spec(33, 47), "front": image_spec(48, 64)},
)
LENGTH = 30


def episode(number: int, *, task: str = "lift") -> Episode:
    t = np.arange(LENGTH, dtype=np.float32)
    shades = (t * 8).astype(np.uint8)
    return Episode(
        stamps_ns=np.arange(LENGTH, dtype=np.int64) * 50_000_000,
        state=np.stack([t, np.sin(t / 5), np.full(LENGTH, number)], axis=1).astype(np.float32),
        actions=np.stack([t / 100, t > 20], axis=1).astype(np.float32),
        task=task,
        rewards=np.zeros(LENGTH, np.float32),
        success=(Success.YES, Success.NO)[number % 2],
        images={
            camera: np.tile(shades[:, None, None, None], (1, *image.shape))
            for camera, image in SPEC.cameras.items()
        },
        metadata={"seed": number},
    )


@pytest.fixture(scope="package")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "shades"
    FORMATS["lerobot_v3"].write(path, map(episode, range(3)), SPEC)
    return path
