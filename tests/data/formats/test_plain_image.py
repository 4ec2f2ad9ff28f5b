"""Only images that every library reads alike are copied from one dataset into another."""

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.data.formats.plain_image import is_plain

RGB = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
DEPTH = np.random.default_rng(1).integers(0, 2**16, (16, 24), np.uint16)


def encoded(suffix: str, image: np.ndarray, *parameters: int) -> bytes:
    return bytes(cv2.imencode(suffix, image, list(parameters))[1])


JPEG, PNG = encoded(".jpg", RGB), encoded(".png", RGB)


def with_segment(marker: int, content: bytes) -> bytes:
    """The JPEG with another segment at its begin."""
    return JPEG[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + JPEG[2:]


COLOUR = {
    "jpeg": (JPEG, True),
    "progressive jpeg": (encoded(".jpg", RGB, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), True),
    "jpeg with a comment": (with_segment(0xFE, b"a comment"), True),
    "grey jpeg": (encoded(".jpg", RGB[..., 0]), False),
    "jpeg that may be turned": (with_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08"), False),
    "jpeg of another colour space": (with_segment(0xEE, b"Adobe\0d\0\0\0\0\0"), False),
    "jpeg cut off": (JPEG[:-100], False),
    "png": (PNG, True),
    "grey png": (encoded(".png", RGB[..., 0]), False),
    "transparent png": (encoded(".png", np.dstack([RGB, RGB[..., :1]])), False),
    "png of sixteen bits": (encoded(".png", np.dstack([DEPTH] * 3)), False),
    "tiff": (encoded(".tiff", RGB), False),
}


@pytest.mark.parametrize(("data", "plain"), COLOUR.values(), ids=COLOUR)
def test_colour(data: bytes, plain: bool) -> None:
    assert is_plain(data, depth=False) is plain


def test_depth() -> None:
    assert is_plain(encoded(".png", DEPTH), depth=True)
    assert not is_plain(encoded(".png", DEPTH), depth=False)
    for colour in (JPEG, PNG, encoded(".png", RGB[..., 0])):
        assert not is_plain(colour, depth=True)


@given(st.binary(max_size=80), st.integers(0, len(JPEG)))
def test_whatever_the_bytes_are_it_answers(noise: bytes, kept: int) -> None:
    for data in (noise, JPEG[:kept], JPEG[:kept] + noise, JPEG[:2] + noise + JPEG[kept:]):
        assert is_plain(data, depth=False) in (True, False)
