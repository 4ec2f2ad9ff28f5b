"""Resizing is an average over areas: it keeps what is constant, and the mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.images import resize

sizes = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, sizes, sizes, st.integers(0, 255))
def test_a_plain_image_stays_plain(h: int, w: int, height: int, width: int, grey: int) -> None:
    out = resize(np.full((2, h, w, 3), grey, np.uint8), (height, width))
    assert out.shape == (2, height, width, 3)
    assert (out == grey).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.integers(0))
def test_shrinking_by_whole_numbers_averages_blocks(
    height: int, width: int, by_y: int, by_x: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height * by_y, width * by_x, 3), dtype=np.uint8)
    blocks = image.reshape(height, by_y, width, by_x, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, (height, width)) - blocks).max() <= 0.5 + 1e-3


def test_the_mean_is_kept() -> None:
    image = np.random.default_rng(0).integers(0, 256, (97, 61, 3), dtype=np.uint8)
    smaller = resize(image, (24, 37))
    np.testing.assert_allclose(smaller.mean((0, 1)), image.mean((0, 1)), atol=0.1)


def test_an_edge_falls_where_it_was() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 5:] = 200
    out = resize(image, (2, 4))
    assert out[:, :, 0].tolist() == [[0, 0, 200, 200]] * 2


@pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
def test_leading_axes_are_batches(leading: tuple[int, ...]) -> None:
    images = np.random.default_rng(1).integers(0, 256, (*leading, 9, 12, 3), dtype=np.uint8)
    out = resize(images, (4, 5))
    assert out.shape == (*leading, 4, 5, 3)
    for place in np.ndindex(*leading):
        np.testing.assert_array_equal(out[place], resize(images[place], (4, 5)))


def test_the_right_size_is_given_back() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert resize(image, (4, 5)) is image
