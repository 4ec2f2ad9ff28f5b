"""Statistics are those of the installed lerobot, entry by entry; exact quantiles are exact."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Episode
from robot_policy.core.specs import image_spec
from robot_policy.data.dataset_statistics import dataset_statistics
from robot_policy.data.formats.lerobot_statistics import column_statistics
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.quantiles import QUANTILES
from robot_policy.data.statistics import ImageStatistics, merge_statistics

from .conftest import COUNTING_SPEC, counting_episode

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def compute_stats() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("lerobot.datasets.compute_stats")


VECTORS = {
    "normal": RNG.normal(3, 2, (3000, 3)),
    "few": RNG.normal(size=(7, 2)),
    "a single one": RNG.normal(size=(1, 4)),
    "two": RNG.normal(size=(2, 1)),
    "constant": np.full((50, 2), 0.1),
    "far from zero": RNG.normal(1000, 1, (500, 2)),
    "tiny": RNG.normal(0, 1e-7, (500, 2)),
    "heavy tails": RNG.standard_cauchy((2000, 1)),
    "grid": RNG.integers(0, 4, (300, 2)).astype(float),
}


def assert_equal_statistics(got: dict[str, Any], expected: dict[str, Any], spread: Any) -> None:
    """Equal up to the arithmetic of lerobot, which is float32 where the values are.

    It takes the variance as a difference of two sums of squares, so what is left of it far from
    zero is rounding, a few times 2^-24 of the squared mean; ours is compared as far as that goes.
    """
    assert got.keys() == expected.keys()
    spread, far = np.max(spread), np.abs(expected["mean"]).max()
    for name, value in expected.items():
        assert got[name].shape == np.shape(value), name
        if name == "std":
            bound = 16 * 2**-24 * far**2 + 3e-5 * spread**2
            np.testing.assert_allclose(got[name] ** 2, value**2, atol=bound, rtol=0)
            continue
        largest = np.abs(expected["max"]).max()
        bound = 1e-5 * spread + 1e-6 * largest + 1e-12
        np.testing.assert_allclose(got[name], value, atol=bound, rtol=0, err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VECTORS)
def test_vectors(compute_stats: Any, name: str, dtype: str) -> None:
    values = VECTORS[name].astype(dtype)
    feature = {"x": {"dtype": dtype, "shape": values.shape[1:]}}
    expected = compute_stats.compute_episode_stats({"x": values}, feature)["x"]
    got = column_statistics(values)
    assert got is not None
    assert_equal_statistics(got, expected, np.ptp(values, axis=0))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_whole_numbers(compute_stats: Any, dtype: str) -> None:
    values = RNG.integers(0, 2 if dtype == "bool" else 90, (400, 1)).astype(dtype)
    feature = {"x": {"dtype": dtype, "shape": (1,)}}
    expected = compute_stats.compute_episode_stats({"x": values}, feature)["x"]
    got = column_statistics(values)
    assert got is not None
    assert_equal_statistics(got, expected, 90)


IMAGES = {
    "noise": RNG.integers(0, 256, (6, 20, 30, 3), dtype=np.uint8),
    "dark": RNG.integers(0, 9, (3, 20, 30, 3), dtype=np.uint8),
    "one grey": np.full((4, 8, 8, 3), 77, np.uint8),
    "a gradient": np.tile(np.arange(240, dtype=np.uint8)[:, None], (2, 1, 1, 3)).reshape(
        2, 240, 1, 3
    ),
    "large": RNG.integers(0, 256, (2, 320, 460, 3), dtype=np.uint8),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(compute_stats: Any, name: str) -> None:
    """All frames are in the sample of so short an episode; large ones are strided down."""
    frames = IMAGES[name]
    channels_first = [
        compute_stats.auto_downsample_height_width(frame.transpose(2, 0, 1)) for frame in frames
    ]
    of = compute_stats.get_feature_stats(np.stack(channels_first), axis=(0, 2, 3), keepdims=True)
    expected = {n: v if n == "count" else np.squeeze(v / 255.0, axis=0) for n, v in of.items()}
    statistics = ImageStatistics(frames.shape, frames.dtype)
    for index, frame in enumerate(frames):
        statistics.add(index, frame)
    assert_equal_statistics(statistics.result(like_lerobot=True), expected, 1.0)


def test_the_sample_of_a_long_episode(compute_stats: Any) -> None:
    for length in (1, 99, 100, 101, 640, 1000, 20_000):
        statistics = ImageStatistics((length, 1, 1, 3), np.dtype(np.uint8))
        chosen = compute_stats.sample_indices(length)
        assert statistics._chosen == set(chosen)


def test_episodes_are_merged_as_lerobot_merges_them(compute_stats: Any) -> None:
    parts = [RNG.normal(s, 1 + s, (200 + 90 * s, 2)).astype(np.float32) for s in range(4)]
    feature = {"x": {"dtype": "float32", "shape": (2,)}}
    theirs = [compute_stats.compute_episode_stats({"x": part}, feature) for part in parts]
    ours = [column_statistics(part) for part in parts]
    expected = compute_stats.aggregate_stats(theirs)["x"]
    assert_equal_statistics(merge_statistics(ours), expected, 20)  # pyright: ignore


SEEN = replace(COUNTING_SPEC, cameras={"wrist": image_spec(24, 32)})


def episodes() -> Iterator[Episode]:
    for number, length in enumerate((5, 1, 120)):
        rng = np.random.default_rng(number)
        frames: NDArray[np.uint8] = rng.integers(0, 256, (length, 24, 32, 3), dtype=np.uint8)
        yield replace(counting_episode(number, length), images={"wrist": frames})


def test_a_dataset_in_one_pass(compute_stats: Any, tmp_path: Path) -> None:
    """What we write into stats.json is what lerobot would, and the pass finds it again."""
    FORMATS["lerobot_v3"].write(tmp_path / "set", episodes(), SEEN)
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    written = LeRobotDatasetMetadata("local/set", root=tmp_path / "set").stats
    columns = {
        "action": [e.actions for e in episodes()],
        "observation.state": [e.state for e in episodes()],
        "next.reward": [e.rewards[:, None] for e in episodes()],
    }
    for key, parts in columns.items():
        feature = {key: {"dtype": "float32", "shape": parts[0].shape[1:]}}
        theirs = [compute_stats.compute_episode_stats({key: part}, feature) for part in parts]
        expected = compute_stats.aggregate_stats(theirs)[key]
        assert_equal_statistics(written[key], expected, 120)
    reader = detect_format(tmp_path / "set").open(tmp_path / "set")
    found = dataset_statistics(reader)
    for key in columns:
        assert_equal_statistics(found.lerobot()[key], written[key], 120)
        whole = np.concatenate(columns[key])
        for name, level in QUANTILES.items():
            exact = np.quantile(whole, level, axis=0, method="inverted_cdf")
            np.testing.assert_array_equal(found.exact_quantiles()[key][name], exact)
    camera = "observation.images.wrist"
    decoded = np.concatenate([list(reader.recording(n).frames[camera]) for n in range(3)])
    exact = np.quantile(decoded.reshape(-1, 3), 0.9, axis=0, method="inverted_cdf") / 255
    np.testing.assert_allclose(found.exact_quantiles()[camera]["q90"].ravel(), exact)
    assert found.lerobot()[camera]["count"] == [5 + 1 + 100]
    np.testing.assert_allclose(found.lerobot()[camera]["mean"], written[camera]["mean"], atol=0.02)
