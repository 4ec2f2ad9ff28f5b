"""Camera images as MP4 files: one frame per control period, cheap to read at random."""

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError

CODEC = "h264"
_ENCODER = "libx264"
# A key frame at least every second frame, so that reading one frame decodes at most two.
_GROUP_OF_PICTURES = 2
_QUALITY = 18  # constant rate factor; differences are hardly visible
_PRESET = "veryfast"

# What libav has to say about damaged files goes into the error instead.
av.logging.set_level(av.logging.PANIC)


def pixel_format(height: int, width: int) -> str:
    """yuv420p, which every player knows, or yuv444p, because 420 needs even sizes."""
    return "yuv420p" if height % 2 == 0 and width % 2 == 0 else "yuv444p"


def video_info(height: int, width: int, rate_hz: float) -> dict[str, Any]:
    """Describes the videos of `write_video` as LeRobot's info.json does."""
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": CODEC,
        "video.pix_fmt": pixel_format(height, width),
        "video.fps": rate_hz,
        "video.channels": 3,
        "video.g": _GROUP_OF_PICTURES,
        "video.crf": _QUALITY,
        "video.preset": _PRESET,
        "has_audio": False,
        "is_depth_map": False,
    }


def write_video(path: Path, frames: NDArray[np.uint8], rate_hz: float) -> None:
    """Encodes frames; frame i is shown at i / rate_hz.

    Args:
        path: File to write.
        frames: (N, h, w, 3) RGB.
        rate_hz: Frames per second.
    """
    height, width = frames.shape[1:3]
    rate = Fraction(rate_hz).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(_ENCODER, rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = pixel_format(height, width)
        # One thread gives the same bytes on any number of cores, and is enough for small images.
        stream.codec_context.thread_count = 1
        stream.options = {
            "crf": str(_QUALITY),
            "g": str(_GROUP_OF_PICTURES),
            "bf": "0",
            "preset": _PRESET,
            # With it, about one file in a hundred differs for the same small images (x264 165).
            "x264-params": "mbtree=0",
        }
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def read_video(
    path: Path, *, shape: tuple[int, int], rate_hz: float, first: int, count: int
) -> NDArray[np.uint8]:
    """Decodes consecutive frames.

    Args:
        path: Video file.
        shape: (height, width) the frames must have.
        rate_hz: Frames per second.
        first: Number of the first frame wanted.
        count: Frames wanted.

    Returns:
        (count, height, width, 3) RGB.

    Raises:
        DataError: If the file is missing or damaged, has another image size or too few frames.
    """
    frames = np.empty((count, *shape, 3), dtype=np.uint8)
    done = 0
    try:
        for number, image in _decode(path, rate_hz, start=first):
            if number < first:
                continue
            if image.shape[:2] != shape:
                raise DataError("wrong image size", where=path, expected=shape, got=image.shape[:2])
            if number != first + done:
                raise DataError(
                    "a video frame is missing", where=path, expected=first + done, got=number
                )
            frames[done] = image
            done += 1
            if done == count:
                return frames
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise DataError("not a readable video", where=path, got=error) from error
    raise DataError("the video is too short", where=path, expected=f"{count} frames", got=done)


def decode_image(data: bytes, *, where: object) -> NDArray[np.uint8]:
    """Decodes a PNG or JPEG file held in memory to (h, w, 3) RGB.

    Raises:
        DataError: If it is neither.
    """
    try:
        container = av.open(BytesIO(data), "r")
        try:
            return _rgb(next(container.decode(video=0)))
        finally:
            container.close()
    except (av.error.FFmpegError, OSError, StopIteration, IndexError) as error:
        raise DataError("not a readable image", where=where, got=error) from error


def _decode(path: Path, rate_hz: float, *, start: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yields frames with their numbers, from the key frame at or before `start`."""
    with av.open(str(path), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        time_base = stream.time_base or Fraction(1, 1000)
        if start:
            container.seek(int(start / rate_hz / time_base), stream=stream, backward=True)
        for frame in container.decode(stream):
            seconds = 0.0 if frame.pts is None else float(frame.pts * time_base)
            yield round(seconds * rate_hz), _rgb(frame)


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
