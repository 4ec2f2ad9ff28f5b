"""Which calibrations of cameras a trained policy keeps."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_policy.core.camera_calibration import CameraCalibration
from robot_policy.core.specs import image_spec
from robot_policy.data.common_spec import common_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.store import EpisodeStore
from robot_policy.training.config import TrainConfig
from robot_policy.training.data import source_spec

FRONT = CameraCalibration.of("base", np.eye(4), digest="1")
WRIST = CameraCalibration.of("hand", np.eye(4), digest="2")


@pytest.fixture
def store(dataset: Path, tmp_path: Path) -> EpisodeStore:
    """A dataset that was recorded with two calibrated cameras."""
    form = FORMATS["lerobot_v3"]
    spec = replace(form.read_spec(dataset), calibrations={"front": FRONT, "wrist": WRIST})
    path = tmp_path / "calibrated"
    form.write(path, itertools.islice(form.read(dataset), 2), spec)
    return EpisodeStore.open(path)


def test_a_policy_keeps_those_of_what_it_sees(store: EpisodeStore) -> None:
    config: Any = TrainConfig(policy="bc", dataset=Path("x"), output=Path("y"))
    privileged = replace(config, environment_state=True)
    plain = replace(config, environment_state=False)
    assert set(source_spec(store, privileged).calibrations) == {"front", "wrist"}
    assert source_spec(store, plain).calibrations == {}
    store.spec = replace(store.spec, cameras={"front": image_spec(8, 8)})
    kept = source_spec(store, replace(plain, cameras=("front",))).calibrations
    assert kept == {"front": FRONT}


def test_datasets_with_cameras_in_other_places_have_no_place_in_common(
    store: EpisodeStore,
) -> None:
    moved = replace(FRONT, position=(0.1, 0.0, 0.0), digest="3")
    other = replace(store.spec, calibrations={"front": moved, "wrist": WRIST})
    assert common_spec(store.spec, other).calibrations == {"wrist": WRIST}
