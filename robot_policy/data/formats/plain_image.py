"""Which image files may be copied into a dataset, because every reader sees the same in them."""

import struct
from collections.abc import Iterator

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KIND = slice(24, 26)  # bits a channel, and what the channels are
_PNG_RGB, _PNG_DEPTH = b"\x08\x02", b"\x10\x00"
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_BASELINE, _PROGRESSIVE = 0xC0, 0xC2  # frame headers
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_EXIF, _ADOBE = 0xE1, 0xEE


def is_plain(data: bytes, *, depth: bool) -> bool:
    """Whether an image file may be embedded as it is.

    Grey and transparent images, 16 bits of colour, CMYK, and JPEG that is to be turned (EXIF) are
    read in different ways by different libraries; they are decoded here and coded as PNG.

    Args:
        data: Content of a file that could be decoded.
        depth: Whether it is to be 16-bit depth.
    """
    if data.startswith(_PNG):
        return data[_PNG_KIND] == (_PNG_DEPTH if depth else _PNG_RGB)
    if depth or not data.startswith(_JPEG) or _JPEG_END not in data[-64:]:
        return False
    for marker, segment in _jpeg_segments(data):
        if marker in (_EXIF, _ADOBE):
            return False
        if marker in _FRAME_HEADERS:
            # Bits a channel, height, width, number of channels.
            plain = segment[0] == 8 and segment[5] == 3
            return plain and marker in (_BASELINE, _PROGRESSIVE)
    return False


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields marker and content of the segments before the picture itself."""
    at = len(_JPEG)
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at + 4 : at + 2 + length]
        if marker == _SCAN or len(segment) < 6:
            return
        yield marker, segment
        at += 2 + length
