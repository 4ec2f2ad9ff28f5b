"""The parquet file with the frames of one episode, written a few rows at a time."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.observation import TASK
from robot_policy.data.formats.image_files import encode_png
from robot_policy.data.formats.lerobot_images import IMAGE_TYPE
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING, is_video
from robot_policy.data.formats.parquet import arrow_array, arrow_type
from robot_policy.data.frames import Frames, with_files
from robot_policy.data.recording import Description, Feature

_ROWS_WITH_IMAGES = 64


def data_schema(description: Description) -> pa.Schema:
    """Columns of the data files; videos have none."""
    features = {k: f for k, f in description.features.items() if not is_video(f) and k != TASK}
    features |= {key: Feature(dtype, (1,)) for key, dtype in BOOKKEEPING.items()}
    fields = [
        pa.field(key, IMAGE_TYPE if feature.is_image else arrow_type(feature))
        for key, feature in features.items()
    ]
    schema = pa.schema(fields)
    if any(feature.is_image or len(feature.shape) > 1 for feature in features.values()):
        # Without it, Hugging Face's library would take images and matrices for lists and bytes.
        about = {"info": {"features": {k: _hugging_face(f) for k, f in features.items()}}}
        schema = schema.with_metadata({"huggingface": json.dumps(about)})
    return schema


def _hugging_face(feature: Feature) -> dict[str, Any]:
    if feature.is_image:
        return {"_type": "Image"}
    value = {"dtype": feature.dtype, "_type": "Value"}
    if feature.shape == (1,):
        return value
    if len(feature.shape) == 1:
        return {"feature": value, "length": feature.shape[0], "_type": "Sequence"}
    kind = f"Array{len(feature.shape)}D"
    return {"shape": list(feature.shape), "dtype": feature.dtype, "_type": kind}


def write_data_file(
    path: Path,
    schema: pa.Schema,
    columns: Mapping[str, NDArray[Any]],
    images: Mapping[str, Frames],
) -> None:
    """Writes the frames of an episode.

    Args:
        path: File to write.
        schema: From `data_schema`.
        columns: Name to (T, *shape).
        images: Name to T images that lie in the file: as the files they came in where they can be
            copied, else as PNG.
    """
    length = len(next(iter(columns.values())))
    streams = {key: with_files(frames) for key, frames in images.items()}
    rows = _ROWS_WITH_IMAGES if images else length
    with pq.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for start in range(0, length, rows):
            count = min(rows, length - start)
            arrays = [
                _embedded(streams[field.name], count)
                if field.name in streams
                else arrow_array(columns[field.name][start : start + count], field.type)
                for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _embedded(frames: Iterator[tuple[NDArray[Any], bytes | None]], count: int) -> pa.Array:
    pairs = [next(frames) for _ in range(count)]
    cells = [{"bytes": file or encode_png(image), "path": None} for image, file in pairs]
    return pa.array(cells, IMAGE_TYPE)


def bookkeeping(
    length: int, *, episode: int, first_frame: int, rate_hz: float, tasks: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Returns the columns that every LeRobot dataset has, each (T, 1).

    Args:
        length: T.
        episode: Number of the episode.
        first_frame: Frames in the episodes before it.
        rate_hz: Frames per second.
        tasks: (T,) task indices.
    """
    frame = np.arange(length, dtype=np.int64)
    values = {
        "timestamp": (frame / rate_hz).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(length, episode, dtype=np.int64),
        "index": frame + first_frame,
        "task_index": tasks,
    }
    return {key: array[:, None] for key, array in values.items()}
