"""Pictures as cameras send them, by either of the two libraries."""

import sys
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest

from robot_policy.core.errors import DataError
from robot_policy.data import compressed_image
from robot_policy.data.compressed_image import decode_picture

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(params=["cv2", "av"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "av":
        monkeypatch.setitem(sys.modules, "cv2", None)
    else:
        pytest.importorskip("cv2")
    compressed_image._decoder.cache_clear()
    yield request.param
    compressed_image._decoder.cache_clear()


def encoded(pixels: np.ndarray, form: str) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form, **({"quality": 95} if form == "JPEG" else {}))
    return stream.getvalue()


@pytest.fixture
def pixels() -> np.ndarray:
    y, x = np.mgrid[:48, :64]
    return np.stack([4 * x, 5 * y, 255 - 4 * x], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_colours_stay_where_they_are(library: str, pixels: np.ndarray, form: str) -> None:
    got = decode_picture(memoryview(encoded(pixels, form)), where="camera")
    assert got.dtype == np.uint8
    assert got.shape == (48, 64, 3)
    difference = np.abs(got.astype(int) - pixels)
    assert difference.max() <= (0 if form == "PNG" else 16)
    assert difference.mean() < 3


def test_a_grey_picture_becomes_three_channels(library: str, pixels: np.ndarray) -> None:
    got = decode_picture(encoded(pixels[..., 0], "PNG"), where="camera")
    np.testing.assert_array_equal(got, np.repeat(pixels[..., :1], 3, axis=2))


def test_what_is_no_picture_is_refused(library: str, pixels: np.ndarray) -> None:
    whole = encoded(pixels, "PNG")
    for data in (b"", b"no picture", whole[:20], bytes(100)):
        with pytest.raises(DataError, match="camera: "):
            decode_picture(data, where="camera")
