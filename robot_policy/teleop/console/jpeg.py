"""Pictures on their way to a page."""

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray


def jpeg(image: NDArray[np.uint8], *, quality: int = 4) -> bytes:
    """Returns a picture (h, w, 3) as JPEG.

    Args:
        image: RGB.
        quality: Of the encoder's quantiser, 2 best to 31.
    """
    height, width = image.shape[:2]
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height = width, height  # pyright: ignore[reportAttributeAccessIssue]
    codec.pix_fmt = "yuvj420p"  # pyright: ignore[reportAttributeAccessIssue]
    codec.time_base = Fraction(1, 30)
    codec.options = {"qmin": str(quality), "qmax": str(quality)}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame = frame.reformat(format="yuvj420p")
    packets = [*codec.encode(frame), *codec.encode(None)]  # pyright: ignore[reportAttributeAccessIssue]
    return b"".join(bytes(packet) for packet in packets)
