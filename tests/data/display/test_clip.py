"""A clip shows the frames, at even sizes that browsers play."""

from io import BytesIO

import av
import numpy as np
import pytest

from robot_policy.data.display.clip import clip


def decoded(data: bytes) -> tuple[np.ndarray, list[float], str]:
    with av.open(BytesIO(data)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        images = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        return images, [frame.time for frame in frames], stream.codec_context.pix_fmt  # pyright: ignore


@pytest.mark.parametrize(
    ("size", "expected"),
    [((33, 47), (34, 48)), ((1, 1), (2, 2)), ((48, 64), (48, 64)), ((600, 960), (300, 480))],
)
def test_every_frame_at_its_time(size: tuple[int, int], expected: tuple[int, int]) -> None:
    shades = np.arange(25, dtype=np.uint8) * 10
    frames = np.tile(shades[:, None, None, None], (1, *size, 3))
    images, times, pixels = decoded(clip(frames, 12.5))
    assert images.shape == (25, *expected, 3)
    assert pixels == "yuv420p"
    np.testing.assert_allclose(images.mean((1, 2, 3)), shades, atol=4)
    np.testing.assert_allclose(times, np.arange(25) / 12.5, atol=1e-3)


def test_depth_is_grey_and_nearer_is_brighter() -> None:
    depth = np.zeros((2, 32, 32, 1), np.uint16)
    depth[:, :, 10:20] = 1000
    depth[:, :, 20:] = 4000
    images, _, _ = decoded(clip(depth, 10))
    unknown, near, far = (images[0, 16, x].mean() for x in (4, 15, 27))
    assert unknown < far < near


def test_the_same_frames_are_the_same_bytes() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (8, 40, 40, 3), dtype=np.uint8)
    assert clip(frames, 20) == clip(frames, 20)
