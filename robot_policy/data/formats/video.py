"""Camera images as MP4 files: one frame per control period, cheap to read at random."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, RobotPolicyError
from robot_policy.data.frames import Frames, load_frames

CODEC = "h264"
_ENCODER = "libx264"
# A key frame at least every second frame, so that reading one frame decodes at most two.
_GROUP_OF_PICTURES = 2
_QUALITY = 20  # constant rate factor; differences are hardly visible
_PRESET = "ultrafast"
_PARAMETERS = {
    # What the preset leaves out and is cheap. At the same quality the files are about a tenth
    # larger than those of `veryfast`, and take three fifths of its time.
    "cabac": 1,
    "partitions": "i4x4,i8x8",
    "8x8dct": 1,
    "no-deblock": 0,
    # With it, about one file in a hundred differs for the same small images (x264 165).
    "mbtree": 0,
}
_THREADS = 2
"""Given, and not counted, so that the bytes are the same on any number of cores."""
_REORDERED = 16
"""Packets that may lie beyond the last one wanted before the search for it ends."""

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


@dataclass(frozen=True, slots=True)
class VideoFrames:
    """Consecutive frames of a video file, decoded one at a time; see `Frames`.

    Attributes:
        path: Video file.
        size: (height, width) the frames must have.
        rate_hz: Frames per second.
        first: Number of the first frame.
        count: Number of frames.
        depth: Whether they are depth, uint16 with one channel, and not RGB.
        strict: Whether what does not keep to the coding is an error even where every frame that is
            wanted could be decoded.
    """

    path: Path
    size: tuple[int, int]
    rate_hz: float
    first: int
    count: int
    depth: bool = False
    strict: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        return (self.count, *self.size, 1 if self.depth else 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(np.uint16 if self.depth else np.uint8)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the frames.

        Raises:
            DataError: If the file is missing or damaged, has another image size or lacks a frame.
        """
        done = 0
        with _naming(self.path):
            for number, image, damaged in _decode(
                self.path,
                self.rate_hz,
                start=self.first,
                depth=self.depth,
                strict=self.strict,
            ):
                if number < self.first:
                    continue
                if damaged:  # the decoder has made something up in its place
                    raise DataError("a video frame is damaged", where=self.path, got=number)
                if image.shape[:2] != self.size:
                    raise DataError(
                        "wrong image size",
                        where=self.path,
                        expected=self.size,
                        got=image.shape[:2],
                    )
                if number != self.first + done:
                    raise DataError(
                        "a video frame is missing",
                        where=self.path,
                        expected=self.first + done,
                        got=number,
                    )
                yield image
                done += 1
                if done == self.count:
                    return
        raise DataError(
            "the video is too short", where=self.path, expected=f"{self.count} frames", got=done
        )


def write_video(path: Path, frames: Frames, rate_hz: float) -> None:
    """Encodes frames; frame i is shown at i / rate_hz.

    Args:
        path: File to write.
        frames: (N, h, w, 3) RGB, looked at one at a time.
        rate_hz: Frames per second.
    """
    height, width = frames.shape[1:3]
    rate = Fraction(rate_hz).limit_denominator(1001)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(_ENCODER, rate=rate)
        stream.height, stream.width = height, width
        stream.pix_fmt = pixel_format(height, width)
        stream.codec_context.thread_count = _THREADS
        stream.options = {
            "crf": str(_QUALITY),
            "g": str(_GROUP_OF_PICTURES),
            "bf": "0",
            "preset": _PRESET,
            "x264-params": ":".join(f"{name}={value}" for name, value in _PARAMETERS.items()),
        }
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def copy_video(path: Path, frames: VideoFrames) -> bool:
    """Copies compressed frames into a file of their own, where that is possible.

    It is, if they begin with a key frame and each is there once; nothing is decoded, and the frames
    stay what they are to the bit.

    Args:
        path: File to write.
        frames: Part of a video.

    Returns:
        Whether it was possible. If not, there may be a file to be overwritten.

    Raises:
        DataError: If the source is missing or damaged.
    """
    with _naming(frames.path), av.open(str(frames.path), "r") as source:
        stream = source.streams.video[0]
        _decoder(stream)
        time_base = stream.time_base or Fraction(1, 1000)
        packets = list(_packets_of(source, stream, frames, time_base))
        if not _stand_alone(packets, frames, time_base):
            return False
        shift = min(packet.pts for packet in packets if packet.pts is not None)
        with av.open(str(path), "w", format="mp4") as target:
            # Opaque: a decoder may have no encoder of its name, as that of AV1 has none.
            copied = target.add_stream_from_template(stream, opaque=True)
            for packet in packets:
                packet.pts = (packet.pts or 0) - shift
                packet.dts = None if packet.dts is None else packet.dts - shift
                packet.stream = copied
                target.mux(packet)
    return True


def can_copy(frames: VideoFrames) -> bool:
    """Whether `copy_video` can copy these.

    Raises:
        DataError: If the file is missing or damaged.
    """
    with _naming(frames.path), av.open(str(frames.path), "r") as source:
        stream = source.streams.video[0]
        time_base = stream.time_base or Fraction(1, 1000)
        packets = list(_packets_of(source, stream, frames, time_base))
        if not _stand_alone(packets, frames, time_base):
            return False
    return True


def _stand_alone(packets: list[av.Packet], frames: VideoFrames, time_base: Fraction) -> bool:
    numbers = sorted(_number(packet.pts, time_base, frames.rate_hz) for packet in packets)
    whole = numbers == list(range(frames.first, frames.first + frames.count))
    return bool(packets) and packets[0].is_keyframe and whole


def frame_times_s(path: Path) -> list[float]:
    """Times at which the frames of a video are shown, ascending; nothing is decoded [s].

    Raises:
        DataError: If the file is missing or damaged.
    """
    times_s: list[float] = []
    with _naming(path), av.open(str(path), "r") as source:
        stream = source.streams.video[0]
        time_base = stream.time_base or Fraction(1, 1000)
        times_s.extend(
            float(packet.pts * time_base)
            for packet in source.demux(stream)
            if packet.pts is not None and packet.size and not packet.is_discard
        )
    return sorted(times_s)


def _packets_of(
    source: Any, stream: Any, frames: VideoFrames, time_base: Fraction
) -> Iterator[av.Packet]:
    if frames.first:
        source.seek(int(frames.first / frames.rate_hz / time_base), stream=stream, backward=True)
    after = 0
    for packet in source.demux(stream):
        if packet.pts is None:
            continue
        number = _number(packet.pts, time_base, frames.rate_hz)
        if frames.first <= number < frames.first + frames.count:
            yield packet
        elif number >= frames.first + frames.count:
            after += 1
            if after > _REORDERED:
                return


def read_video(
    path: Path, *, shape: tuple[int, int], rate_hz: float, first: int, count: int
) -> NDArray[np.uint8]:
    """Decodes consecutive frames, see `VideoFrames`.

    Returns:
        (count, height, width, 3) RGB.
    """
    return load_frames(VideoFrames(path, shape, rate_hz, first, count), where=path)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Turns whatever reading a damaged file raises into an error that names the file."""
    try:
        yield
    except RobotPolicyError:
        raise
    except Exception as error:  # the library promises no kind of error for damaged files
        words = str(error) or type(error).__name__
        raise DataError("not a readable video", where=path, got=words) from error


def _decoder(stream: Any) -> Any:
    """The stream's decoder; damage may make it one of a kind that nobody knows."""
    if stream.codec_context is None:
        raise ValueError("coded in an unknown way")
    return stream.codec_context


def _number(pts: int | None, time_base: Fraction, rate_hz: float) -> int:
    return round(float((pts or 0) * time_base) * rate_hz)


def _decode(
    path: Path, rate_hz: float, *, start: int, depth: bool, strict: bool
) -> Iterator[tuple[int, NDArray[Any], bool]]:
    """Yields frames from the key frame at or before `start`: number, pixels, whether damaged."""
    with av.open(str(path), "r") as container:
        stream = container.streams.video[0]
        _decoder(stream).thread_count = 1
        time_base = stream.time_base or Fraction(1, 1000)
        if start:
            container.seek(int(start / rate_hz / time_base), stream=stream, backward=True)
        if strict:
            stream.codec_context.options = {"err_detect": "explode"}
        for frame in container.decode(stream):
            number = _number(frame.pts, time_base, rate_hz)
            yield number, _pixels(frame, depth=depth), frame.is_corrupt


def _pixels(frame: av.VideoFrame, *, depth: bool) -> NDArray[Any]:
    if depth:
        return frame.to_ndarray()[..., None].astype(np.uint16)
    return np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
