"""What is timed is what is compared: the same windows from our cache and from lerobot."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.cli.main import main
from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.specs import image_spec
from robot_policy.data.cache.frame_encoder import SizedFrames
from robot_policy.data.cache.open_cached import open_cached
from robot_policy.data.formats.registry import FORMATS
from robot_policy.training.loader_speed import (
    CachedLoader,
    ImageKind,
    TensorBatch,
    compare,
    random_order,
    windows_per_second,
)

from .conftest import SPEC, reach

CAMERAS = ("top", "side")
SEEN = replace(SPEC, cameras={"top": image_spec(48, 64), "side": image_spec(32, 32)})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Smooth images, which compression keeps, and which differ from frame to frame."""
    path = tmp_path_factory.mktemp("data") / "videos"

    def images(height: int, width: int, phase: float) -> np.ndarray:
        y, x = np.mgrid[:height, :width]
        frames = [np.stack([np.sin(x / 9 + phase + t), np.cos(y / 9 + t)], -1) for t in range(20)]
        grey = 127 + 100 * np.stack(frames)
        return np.concatenate([grey, grey[..., :1]], axis=-1).astype(np.uint8)

    episodes = (
        replace(reach(seed), images={c: images(*SEEN.cameras[c].shape[:2], seed) for c in CAMERAS})
        for seed in range(3)
    )
    FORMATS["lerobot_v3"].write(path, episodes, SEEN)
    return path


def ours(videos: Path, images: ImageKind, *, batch_size: int = 8, workers: int = 0) -> CachedLoader:
    root = videos.parent / "cache"
    store = open_cached(videos, encoders={c: SizedFrames() for c in CAMERAS}, root=root)
    return CachedLoader(
        store, cameras=CAMERAS, horizon=4, batch_size=batch_size, workers=workers, images=images
    )


def test_images_are_handed_over_either_way(videos: Path) -> None:
    order = random_order(60, count=16, seed=0)
    pairs = zip(
        ours(videos, ImageKind.UINT8).batches(order),
        ours(videos, ImageKind.FLOAT32).batches(order),
        strict=True,
    )
    for one, other in pairs:
        assert one["action"].shape == (8, 4, SPEC.action.size)
        assert one["observation.state"].shape == (8, SPEC.state.size)
        image, same = one["observation.images.top"], other["observation.images.top"]
        assert (image.dtype, tuple(image.shape)) == (torch.uint8, (8, 48, 64, 3))
        assert (same.dtype, tuple(same.shape)) == (torch.float32, (8, 3, 48, 64))
        torch.testing.assert_close(same * 255, image.permute(0, 3, 1, 2).float())


def test_workers_load_the_same(videos: Path) -> None:
    order = random_order(60, count=24, seed=1)
    alone, together = (ours(videos, ImageKind.UINT8, workers=n) for n in (0, 2))
    difference = compare(alone, together, order, cameras=CAMERAS, tolerance=0.0)
    assert (difference.windows, difference.largest) == (24, 0.0)


class Spoilt:
    """Another loader, with one value changed."""

    name = "spoilt"

    def __init__(self, loader: CachedLoader, key: str) -> None:
        self._loader, self._key = loader, key

    def batches(self, order: np.ndarray) -> Iterator[TensorBatch]:
        for batch in self._loader.batches(order):
            values = batch[self._key].clone()
            values[3] = ~values[3] if values.dtype == torch.bool else values[3] + 9
            yield {**batch, self._key: values}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("action", "action: the loaders disagree"),
        ("action_is_pad", "action_is_pad: the loaders disagree"),
        ("observation.state", "observation.state: the loaders disagree"),
        ("observation.images.side", "the images of the loaders differ"),
    ],
)
def test_every_difference_is_noticed(videos: Path, key: str, message: str) -> None:
    loader = ours(videos, ImageKind.UINT8)
    order = random_order(60, count=8, seed=2)
    with pytest.raises(RobotPolicyError, match=message):
        compare(loader, Spoilt(loader, key), order, cameras=CAMERAS, tolerance=2.0)


def test_rates_of_every_turn(videos: Path) -> None:
    loaders = [ours(videos, kind, batch_size=4) for kind in ImageKind]
    rates = windows_per_second(loaders, windows=60, batch_size=4, turns=3, batches=2)
    assert [len(turns) for turns in rates] == [3, 3]
    assert min(map(min, rates)) > 0


def test_a_random_order_repeats_nothing_before_its_time() -> None:
    order = random_order(10, count=25, seed=0)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(set(order[20:])) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--turns", "0"], "--turns: too small"),
        (["--cameras", "chest"], "unknown camera 'chest'; valid: side, top"),
    ],
)
def test_bad_options(
    videos: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "loader", str(videos), *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_lerobot_loads_the_same(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("lerobot")
    result = tmp_path / "result.json"
    options = ["--horizon", "5", "--batch-size", "8", "--compared", "60", "--lerobot-workers", "0"]
    options += ["--turns", "1", "--batches", "1", "--json", str(result)]
    assert main(["bench", "loader", str(videos), *options]) == 0
    measured = json.loads(result.read_text())
    assert measured["compared_windows"] == 64
    assert measured["mean_image_difference"] < 1.0
    assert [row["loader"] for row in measured["loaders"]] == [
        "robot-policy, uint8",
        "robot-policy, float32",
        "lerobot, uint8",
        "lerobot, float32",
    ]
    assert measured["times_lerobot"]["uint8"] > 0
    assert "times lerobot" in capsys.readouterr().out
