"""Images that lie in the rows of a parquet file, as Hugging Face's datasets keep them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.compressed_image import JPEG_BEGIN, decode_picture
from robot_policy.data.formats.image_files import decode_image
from robot_policy.data.formats.parquet import naming
from robot_policy.data.formats.plain_image import is_plain
from robot_policy.data.recording import Feature

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_BATCH = 16


@dataclass(frozen=True, slots=True)
class EmbeddedFrames:
    """Images in consecutive rows, decoded one at a time; see `Frames`.

    Attributes:
        path: Parquet file.
        key: Name of the column.
        feature: What the images must be.
        first: Row of the first image.
        count: Number of images.
    """

    path: Path
    key: str
    feature: Feature
    first: int
    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        return (self.count, *self.feature.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.feature.numpy_dtype

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the images.

        Raises:
            DataError: If the file, or an image in it, is missing or damaged.
        """
        return (image for image, _ in self.with_files())

    def with_files(self) -> Iterator[tuple[NDArray[Any], bytes | None]]:
        """See `FiledFrames`; raises what iterating raises."""
        with naming(self.path), pq.ParquetFile(self.path) as file:
            if self.key not in file.schema_arrow.names:
                raise DataError(
                    f"no column {self.key!r}", where=self.path, valid=file.schema_arrow.names
                )
            for number, stored in enumerate(self._stored(file)):
                where = f"{self.path}, {self.key}, frame {number}"
                data = stored.get("bytes") if isinstance(stored, dict) else None
                if data is None:
                    raise DataError("the image is not in the file", where=where)
                yield self._decode(data, where), data if self._is_plain(data) else None

    def _stored(self, file: pq.ParquetFile) -> Iterator[Any]:
        """Cells of the wanted rows; only row groups that hold some are read."""
        groups: list[int] = []
        start = skipped = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if start + rows <= self.first and not groups:
                skipped += rows
            elif start < self.first + self.count:
                groups.append(group)
            start += rows
        row, last = skipped, self.first + self.count
        for batch in file.iter_batches(_BATCH, row_groups=groups, columns=[self.key]):
            if row + len(batch) > self.first:
                cells = batch.column(0).to_pylist()
                yield from cells[max(self.first - row, 0) : last - row]
            row += len(batch)
            if row >= last:
                return

    def _is_plain(self, data: bytes) -> bool:
        return is_plain(data, depth=self.feature.is_depth)

    def _decode(self, data: bytes, where: str) -> NDArray[Any]:
        depth = self.feature.is_depth
        if data.startswith(JPEG_BEGIN) and not depth:
            # As it is read from a bag: two decoders of JPEG differ in the last bit.
            image: NDArray[Any] = decode_picture(data, where=where)
        else:
            image = decode_image(data, where=where, depth=depth)
        if image.shape != self.feature.shape:
            size = self.feature.shape[:2]
            raise DataError("wrong image size", where=where, expected=size, got=image.shape[:2])
        return image
