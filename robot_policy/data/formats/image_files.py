"""Single images as PNG, without loss: RGB with 8 bits a channel, depth with 16 bits."""

from io import BytesIO
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, RobotPolicyError

_CHECK_SUMS = {"err_detect": "crccheck"}  # of PNG; the library does not unless it is told


def encode_png(image: NDArray[Any]) -> bytes:
    """Returns a PNG file of (h, w, 3) uint8 RGB, or of (h, w, 1) uint16."""
    height, width, channels = image.shape
    codec = av.CodecContext.create("png", "w")
    assert isinstance(codec, VideoCodecContext)
    codec.width, codec.height = width, height
    codec.pix_fmt = "rgb24" if channels == 3 else "gray16be"
    codec.options = {"compression_level": "1"}
    if channels == 3:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    else:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[..., 0]), format="gray16be")
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def decode_image(data: bytes, *, where: object, depth: bool = False) -> NDArray[Any]:
    """Decodes an image file held in memory, PNG, JPEG or TIFF.

    Args:
        data: Content of the file.
        where: Named in the error.
        depth: Whether it holds depth.

    Returns:
        (h, w, 3) uint8 RGB, or (h, w, 1) uint16 of depth.

    Raises:
        DataError: If it is no such image.
    """
    try:
        container = av.open(BytesIO(data), "r")
        try:
            container.streams.video[0].codec_context.options = _CHECK_SUMS
            frame = next(container.decode(video=0))
        finally:
            container.close()
        if frame.is_corrupt:
            raise DataError("the image is damaged", where=where)
        if depth:
            if "16" not in frame.format.name:
                raise DataError(
                    "not an image with 16 bits", where=where, expected="gray16", got=frame.format
                )
            return frame.to_ndarray(format="gray16le").astype(np.uint16)[..., None]
        return frame.to_ndarray(format="rgb24")
    except RobotPolicyError:
        raise
    except Exception as error:  # the library promises no kind of error for damaged files
        words = str(error) or type(error).__name__
        raise DataError("not a readable image", where=where, got=words) from error
