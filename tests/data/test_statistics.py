"""Statistics against numpy, and the algebra of merging."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.data.statistics import (
    QUANTILES,
    image_statistics,
    merge_statistics,
    vector_statistics,
)


def test_vectors_against_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    stats = vector_statistics(x)
    np.testing.assert_allclose(stats["mean"], x.mean(0, dtype=np.float64))
    np.testing.assert_allclose(stats["std"], x.std(0, dtype=np.float64))
    np.testing.assert_array_equal(stats["min"], x.min(0))
    np.testing.assert_array_equal(stats["max"], x.max(0))
    for name, level in QUANTILES.items():
        below = (x <= stats[name]).mean(axis=0)
        assert (np.abs(below - level) <= 1e-3).all(), name


def test_one_frame() -> None:
    stats = vector_statistics(np.array([[1.0, 2.0]]))
    for name in ("min", "max", "mean", *QUANTILES):
        np.testing.assert_array_equal(stats[name], [1.0, 2.0])
    np.testing.assert_array_equal(stats["std"], [0.0, 0.0])


def test_images_against_numpy() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
    stats = image_statistics(frames)
    scaled = frames.reshape(-1, 3) / 255.0
    assert stats["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(stats["mean"].ravel(), scaled.mean(0))
    np.testing.assert_allclose(stats["std"].ravel(), scaled.std(0))
    np.testing.assert_allclose(stats["min"].ravel(), scaled.min(0))
    np.testing.assert_allclose(stats["max"].ravel(), scaled.max(0))
    expected = np.quantile(scaled, 0.9, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(stats["q90"].ravel(), expected)
    assert stats["count"] == [20]


def test_long_videos_are_sampled() -> None:
    frames = np.zeros((1000, 2, 2, 3), np.uint8)
    assert image_statistics(frames)["count"] == [177]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_merging_parts_equals_the_whole(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.normal(rng.normal() * 10, 1, (n, 2)) for n in sizes]
    merged = merge_statistics([vector_statistics(part) for part in parts])
    whole = vector_statistics(np.concatenate(parts))
    for name in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[name], whole[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for name in QUANTILES:
        assert (merged[name] >= whole["min"] - 1e-9).all(), name
        assert (merged[name] <= whole["max"] + 1e-9).all(), name


def test_merging_constant_data_has_no_negative_variance() -> None:
    part = vector_statistics(np.full((3, 1), 0.1))
    assert merge_statistics([part] * 7)["std"] == pytest.approx(0.0, abs=1e-12)
