"""Compressed frames are copied as they are, whatever the codec."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from robot_policy.data.formats.video import VideoFrames, can_copy, copy_video
from robot_policy.data.frames import load_frames


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_frames_from_the_middle_of_a_file(codec: str, tmp_path: Path) -> None:
    """lerobot writes AV1 and joins episodes; its decoder has no encoder of the same name."""
    if codec not in av.codecs_available:
        pytest.skip(f"no {codec} here")
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"g": "2", "crf": "30", "preset": "10" if "av1" in codec else "veryfast"}
        for number in range(8):
            image = np.full((64, 64, 3), 25 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    part = VideoFrames(path, (64, 64), 10.0, first=4, count=4)
    assert can_copy(part)
    assert copy_video(tmp_path / "part.mp4", part)
    copied = VideoFrames(tmp_path / "part.mp4", (64, 64), 10.0, first=0, count=4)
    np.testing.assert_array_equal(load_frames(copied, where=""), load_frames(part, where=""))
    assert not can_copy(VideoFrames(path, (64, 64), 10.0, first=3, count=2))
