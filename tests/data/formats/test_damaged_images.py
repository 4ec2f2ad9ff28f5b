"""Damage to images is refused where libraries would make something up; video is copied whole."""

from io import BytesIO
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.compressed_image import decode_picture
from robot_policy.data.formats.image_files import decode_image, encode_png
from robot_policy.data.formats.video import VideoFrames, copy_video, read_video, write_video
from robot_policy.data.frames import load_frames


def pictures(count: int) -> NDArray[np.uint8]:
    t, y, x, c = np.mgrid[:count, :32, :48, :3]
    return (127 + 100 * np.sin(x / 5 + y / 7 + c + 0.7 * t)).astype(np.uint8)


def flipped(data: bytes, rng: np.random.Generator, *, start: int, end: int) -> bytes:
    changed = bytearray(data)
    changed[rng.integers(start, end)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def test_frames_that_the_decoder_conceals(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, pictures(9), 20)
    whole = path.read_bytes()
    start = whole.index(b"mdat") + 4
    rng = np.random.default_rng(0)
    concealed = 0
    for _ in range(40):
        data = flipped(whole, rng, start=start, end=whole.index(b"moov", start))
        path.write_bytes(data)
        if not conceals(data):
            continue
        concealed += 1
        with pytest.raises(DataError, match=r"v\.mp4: (a video frame is|not a readable|the video)"):
            read_video(path, shape=(32, 48), rate_hz=20, first=0, count=9)
    assert concealed > 10


def conceals(data: bytes) -> bool:
    try:
        with av.open(BytesIO(data), "r") as container:
            return any(frame.is_corrupt for frame in container.decode(video=0))
    except av.FFmpegError:
        return False


def test_a_png_with_a_wrong_sum() -> None:
    image = pictures(1)[0]
    whole = encode_png(image)
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = flipped(whole, rng, start=0, end=len(whole))
        try:
            read = decode_image(data, where="test")
        except DataError:
            continue
        np.testing.assert_array_equal(read, image)


def test_a_jpeg_that_was_cut_off() -> None:
    data: Any = cv2.imencode(".jpg", pictures(1)[0])[1].tobytes()
    assert decode_picture(data, where="test").shape == (32, 48, 3)
    for kept in (len(data) - 2, len(data) // 2):
        with pytest.raises(DataError, match="test: the picture is cut off"):
            decode_picture(data[:kept], where="test")


def test_a_stream_of_an_unknown_kind(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    write_video(path, pictures(3), 20)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"xxxx"))
    with pytest.raises(DataError, match="not a readable video; got coded in an unknown way"):
        read_video(path, shape=(32, 48), rate_hz=20, first=0, count=3)


def test_video_of_lerobots_own_coding_is_copied(tmp_path: Path) -> None:
    """lerobot writes AV1, whose decoder has another name than its encoder."""
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    with av.open(str(one), "w", format="mp4") as container:
        stream = container.add_stream("libsvtav1", rate=20)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"g": "2", "crf": "30", "preset": "12"}
        for image in np.repeat(pictures(9)[:, :, :32], 2, axis=1).repeat(2, axis=2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    part = VideoFrames(one, (64, 64), 20, first=2, count=5)
    assert copy_video(two, part)
    copied = VideoFrames(two, (64, 64), 20, first=0, count=5)
    np.testing.assert_array_equal(load_frames(copied, where="two"), load_frames(part, where="one"))
