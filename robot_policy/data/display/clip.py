"""What a camera saw in an episode as a small video that browsers and rerun play."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.images import resize
from robot_policy.data.frames import Frames

MEDIA_TYPE = "video/mp4"
_QUALITY = 24  # constant rate factor; to look at, not to learn from
_KEY_FRAME_EVERY = 10  # a slider jumps about


def clip(frames: Frames, rate_hz: float, *, largest: int = 480) -> bytes:
    """Encodes frames as H.264 in an MP4 file.

    Sizes are brought to even numbers by repeating the last row or column, because browsers play
    only the sampling that needs them. Depth becomes grey, nearer is brighter.

    Args:
        frames: (N, h, w, C), N >= 1.
        rate_hz: Frames per second.
        largest: Longer edge at most [px]; larger frames are made smaller.

    Returns:
        The file. Frame i is shown from i / rate_hz on.

    Raises:
        DataError: If an image cannot be read.
    """
    height, width = _size(frames.shape[1], frames.shape[2], largest)
    deepest = _deepest(frames) if frames.dtype == np.uint16 else 0
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes on any number of cores
        stream.options = {
            "crf": str(_QUALITY),
            "g": str(_KEY_FRAME_EVERY),
            "bf": "0",
            "preset": "veryfast",
        }
        for frame in frames:
            picture = resize(_colour(frame, deepest), (height, width))
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _size(height: int, width: int, largest: int) -> tuple[int, int]:
    scale = min(1.0, largest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _deepest(frames: Frames) -> int:
    return max(1, *(int(frame.max()) for frame in frames))


def _colour(frame: NDArray[np.unsignedinteger], deepest: int) -> NDArray[np.uint8]:
    if not deepest:
        return frame.astype(np.uint8, copy=False)
    near = np.where(frame > 0, 255.0 - 200.0 * frame / deepest, 0.0)  # 0 is not measured
    return np.repeat(near.astype(np.uint8), 3, axis=-1)
