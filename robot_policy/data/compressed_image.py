"""JPEG and PNG pictures in memory to pixels."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats.image_files import decode_image

JPEG_BEGIN, _JPEG_END = b"\xff\xd8", b"\xff\xd9"

type Pixels = NDArray[np.uint8]


def decode_picture(data: bytes | memoryview, *, where: object) -> Pixels:
    """Decodes a JPEG or PNG picture, a grey one too, to (h, w, 3) RGB.

    By OpenCV where it is installed, which takes half as long, else by PyAV.

    Raises:
        DataError: If it is neither, or is damaged.
    """
    if not len(data):
        raise DataError("an empty picture", where=where)
    if bytes(data[:2]) == JPEG_BEGIN and bytes(data).rfind(_JPEG_END) < 0:
        # The decoders would fill up what is missing with grey.
        raise DataError("the picture is cut off", where=where, got=f"{len(data)} bytes")
    return _decoder()(data, where)


@cache
def _decoder() -> Callable[[bytes | memoryview, object], Pixels]:
    try:
        import cv2
    except ImportError:
        return lambda data, where: decode_image(bytes(data), where=where)

    def decode(data: bytes | memoryview, where: object) -> Pixels:
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error as error:
            raise DataError("not a readable image", where=where, got=error) from error
        if pixels is None:
            raise DataError("not a readable image", where=where, got=f"{len(data)} bytes")
        return np.asarray(pixels, np.uint8)

    return decode
