"""Images in bags: raw and compressed messages to pixels, one at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.compressed_image import decode_picture
from robot_policy.data.formats.image_files import decode_image
from robot_policy.data.formats.plain_image import is_plain
from robot_policy.data.map_ahead import map_ahead
from robot_policy.data.recording import Feature
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import RawMessage

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
MILLIMETRES = {"depth_unit": "mm"}

_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "8UC1": 1, "8UC3": 3}
_DEPTH = ("16UC1", "mono16")
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_SIDE = 1 << 15


def pixels_of(message: Any, *, where: str) -> NDArray[Any]:
    """Returns (h, w, 3) uint8 RGB, or (h, w, 1) uint16 of depth.

    Args:
        message: sensor_msgs/Image or sensor_msgs/CompressedImage.
        where: Bag and topic, named in the error.

    Raises:
        DataError: If it is damaged, or coded in another way.
    """
    return _with_file(message, where)[0]


def _with_file(message: Any, where: str) -> tuple[NDArray[Any], bytes | None]:
    """The pixels, and the file in the message, if there is one that can be copied."""
    if hasattr(message, "encoding"):
        return _raw(message, where), None
    if not hasattr(message, "format"):
        raise DataError("not an image", where=where, got=type(message).__name__)
    data, form = bytes(message.data), str(message.format)
    depth = "compressedDepth" in form or form.startswith(_DEPTH)
    if depth:
        start = data.find(_PNG)  # a header of twelve bytes comes first
        if start < 0:
            raise DataError("not a depth image as PNG", where=where, got=form)
        data = data[start:]
        pixels: NDArray[Any] = decode_image(data, where=where, depth=True)
    else:
        pixels = decode_picture(data, where=where)
    return pixels, data if is_plain(data, depth=depth) else None


def _raw(message: Any, where: str) -> NDArray[Any]:
    encoding, height, width = str(message.encoding), int(message.height), int(message.width)
    depth = encoding in _DEPTH
    if not depth and encoding not in _CHANNELS:
        valid = [*_CHANNELS, *_DEPTH]
        raise DataError(f"images coded as {encoding!r} are not read", where=where, valid=valid)
    item = 2 if depth else _CHANNELS[encoding]
    row, step = width * item, int(message.step)
    small = 0 < height <= _LARGEST_SIDE and 0 < width <= _LARGEST_SIDE
    if not small or step < row or len(message.data) < step * height:
        raise DataError(
            "too few bytes for an image",
            where=where,
            expected=f"{height} rows of {row}",
            got=f"{len(message.data)} in rows of {step}",
        )
    rows = np.asarray(message.data, np.uint8)[: step * height].reshape(height, step)[:, :row]
    if depth:
        order = ">u2" if message.is_bigendian else "<u2"
        return np.ascontiguousarray(rows).view(order).astype(np.uint16)[..., None]
    image = rows.reshape(height, width, item)
    if item == 1:
        return np.repeat(image, 3, axis=2)
    image = image[..., :3]
    return np.ascontiguousarray(image[..., ::-1] if encoding.startswith("bgr") else image)


def image_feature(pixels: NDArray[Any]) -> Feature:
    """Feature of a camera that delivers such images."""
    depth = pixels.shape[-1] == 1
    return Feature(
        pixels.dtype.name,
        tuple(pixels.shape),
        is_image=True,
        lossless=depth,
        info=MILLIMETRES if depth else {},
    )


@dataclass(frozen=True, slots=True)
class MessageFrames:
    """Images of a topic, decoded one at a time; see `Frames`.

    Attributes:
        bag: Where they are.
        topic: Where they were published.
        feature: What they must be.
        picks: (N,) which message of the time span each image is, in ascending order.
        start_ns: Begin of the span, log time [ns].
        end_ns: Its end, inclusive.
    """

    bag: Bag
    topic: str
    feature: Feature
    picks: NDArray[np.int64]
    start_ns: int | None
    end_ns: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        return (len(self.picks), *self.feature.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.feature.numpy_dtype

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the images; one that is picked several times is decoded once.

        Raises:
            DataError: If the bag is damaged, or an image has another size.
        """
        return (image for image, _ in self.with_files())

    def with_files(self) -> Iterator[tuple[NDArray[Any], bytes | None]]:
        """See `FiledFrames`; raises what iterating raises."""
        taken = 0
        for image, file, times in map_ahead(self._decoded, self._picked()):
            for _ in range(times):
                yield image, file
            taken += times
        if taken < len(self.picks):
            raise DataError(
                "images are missing", where=self._where, expected=len(self.picks), got=taken
            )

    @property
    def _where(self) -> str:
        return f"{self.bag.path}, {self.topic}"

    def _picked(self) -> Iterator[tuple[RawMessage, int]]:
        """The messages that are wanted, and how often each is."""
        wanted = Counter(self.picks.tolist())
        messages = self.bag.messages([self.topic], start_ns=self.start_ns, end_ns=self.end_ns)
        for number, message in enumerate(messages):
            if not wanted:
                return
            if times := wanted.pop(number, 0):
                yield message, times

    def _decoded(self, picked: tuple[RawMessage, int]) -> tuple[NDArray[Any], bytes | None, int]:
        message, times = picked
        image, file = _with_file(self.bag.decode(message), self._where)
        if image.shape != self.feature.shape:
            raise DataError(
                "wrong image size", where=self._where, expected=self.feature.shape, got=image.shape
            )
        return image, file, times
