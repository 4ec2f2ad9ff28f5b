"""Multistage training: encoders of a short context stay as they are; frames are encoded once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robot_policy.checkpoint import load_policy
from robot_policy.cli.main import main
from robot_policy.core.errors import CheckpointError, ConfigError
from robot_policy.core.observation import Windows, image_key
from robot_policy.core.specs import image_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.store import EpisodeStore
from robot_policy.nets.vision import CameraEncoder
from robot_policy.policies.past_token import PastTokenConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.datasets import open_datasets
from robot_policy.training.frozen_encoder import load_frozen_encoder
from robot_policy.training.loop import Trainer

from .conftest import SPEC, reach

CAMERAS = ("top", "side")
SEEN = replace(
    SPEC,
    environment_state=None,
    cameras={"top": image_spec(40, 48), "side": image_spec(36, 36)},
)
SMALL: dict[str, Any] = {"width": 16, "layers": 1, "sample_steps": 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pictures"
    episodes = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        images = {
            camera: rng.integers(0, 256, (20, *image.shape), dtype=np.uint8)
            for camera, image in SEEN.cameras.items()
        }
        episodes.append(replace(reach(seed), environment_state=None, images=images))
    FORMATS["lerobot_v3"].write(path, iter(episodes), SEEN)
    return path


def config(dataset: Path, output: Path, policy: PastTokenConfig, **changes: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "steps": 3,
        "batch_size": 8,
        "optimizer": OptimizerConfig(lr=1e-3, warmup_steps=1),
        "tensorboard": False,
        "threads": 1,
        "device": "cpu",
        "cameras": CAMERAS,
        "image_size": (36, 36),
        "environment_state": False,
        "cache": "beside",
    }
    return TrainConfig((dataset,), output, policy, **(settings | changes))


@pytest.fixture(scope="module")
def short(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first stage: two observations, encoders and all."""
    run = tmp_path_factory.mktemp("runs") / "short"
    policy = PastTokenConfig(history=2, prediction_length=6, vision_width=4, keypoints=4, **SMALL)
    Trainer("past_token", config(pictures, run, policy)).run()
    return run


def long_context(short: Path | str) -> PastTokenConfig:
    # Its own settings of the encoders are those of the first stage, whatever is said here.
    return PastTokenConfig(
        history=6, prediction_length=10, vision_width=64, frozen_encoder=str(short), **SMALL
    )


def test_the_second_stage_learns_from_features_and_acts_on_images(
    pictures: Path, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(pictures, tmp_path / "long", long_context(short))
    trainer = Trainer("past_token", settings)
    before = load_policy(short).module.state_dict()  # pyright: ignore[reportAttributeAccessIssue]

    def refused(*_: Any) -> None:
        raise AssertionError("an image was encoded in training")

    with monkeypatch.context() as patch:
        patch.setattr(CameraEncoder, "forward", refused)
        checkpoint = trainer.run().checkpoint
    after = load_file(checkpoint / "policy" / "model.safetensors")
    encoders = [key for key in after if key.startswith("encoder.cameras.")]
    assert encoders
    for key in encoders:
        assert torch.equal(after[key], before[key]), key
    policy = load_policy(checkpoint)
    assert policy.spec.cameras == SEEN.cameras
    assert policy.spec.history == 6
    rng = np.random.default_rng(0)
    windows = Windows(
        state=np.zeros((1, 6, SPEC.state.size), np.float32),
        past=np.zeros((1, 5, SPEC.action.size), np.float32),
        valid=np.ones((1, 6), bool),
        past_valid=np.ones((1, 5), bool),
        images={
            camera: rng.integers(0, 256, (1, 6, *image.shape), dtype=np.uint8)
            for camera, image in SEEN.cameras.items()
        },
        instructions=("",),
    )
    dark = replace(windows, images={c: np.zeros_like(x) for c, x in windows.images.items()})
    lit, unlit = (policy.sample(w, generator=np.random.default_rng(0)) for w in (windows, dark))
    assert not np.array_equal(lit.actions, unlit.actions)


def test_features_are_what_the_encoder_makes_of_live_images(
    pictures: Path, short: Path, tmp_path: Path
) -> None:
    settings = config(pictures, tmp_path / "run", long_context(short))
    frozen = load_frozen_encoder(settings)
    assert frozen is not None
    cached = open_datasets(settings, encoders=frozen.frame_encoders())
    frames = EpisodeStore.open(pictures, cameras=CAMERAS, size=(36, 36))
    rows = np.arange(5)
    images = {image_key(c): torch.from_numpy(frames.frames(c, rows))[:, None] for c in CAMERAS}
    state = torch.zeros(5, 1, SPEC.state.size)
    with torch.inference_mode():
        live = frozen.encoder({**images, "observation.state": state})[:, 0, SPEC.state.size :]
    kept = np.concatenate([cached.frames(c, rows) for c in CAMERAS], axis=-1)
    torch.testing.assert_close(torch.from_numpy(kept), live)


def test_a_run_with_frozen_encoders_is_resumed(pictures: Path, short: Path, tmp_path: Path) -> None:
    whole, parts = (
        config(pictures, tmp_path / name, long_context(short), steps=4, checkpoint_every=2)
        for name in ("whole", "parts")
    )
    expected = Trainer("past_token", whole).run().checkpoint
    stopped = Trainer("past_token", parts)
    stopped.steps = 2  # the schedule still knows of all
    stopped.run()
    resumed = Trainer("past_token", replace(parts, resume=True)).run().checkpoint
    a, b = (load_file(c / "policy" / "model.safetensors") for c in (expected, resumed))
    assert a.keys() == b.keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": ("top",)}, "trained on other cameras; expected top side; got top"),
        ({"image_size": (40, 40)}, "images of another size .* expected 36 36; got 40 40"),
        ({"cache": "none"}, "--cache none: nowhere to keep the features"),
    ],
)
def test_what_does_not_suit_is_refused(
    pictures: Path, short: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    settings = config(pictures, tmp_path / "run", long_context(short), **changes)
    with pytest.raises(ConfigError, match=message):
        Trainer("past_token", settings)
    assert not (tmp_path / "run").exists()


def test_an_encoder_that_is_not_there(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        Trainer("past_token", config(pictures, tmp_path / "run", long_context(tmp_path / "no")))


def test_the_command_says_so_in_one_line(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "past_token", "--dataset", str(pictures), "--output", str(tmp_path / "run")]
    words += ["--cameras", "top", "side", "--policy.frozen-encoder", str(tmp_path / "no")]
    assert main(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
