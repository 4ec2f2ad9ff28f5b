"""The files of a LeRobot dataset, for faults to be put into."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

VERSIONS = ("lerobot_v3", "lerobot_v21")


@dataclass
class Files:
    """Where a dataset of either version keeps what."""

    root: Path

    @property
    def info(self) -> Path:
        return self.root / "meta/info.json"

    def data(self, episode: int) -> Path:
        return sorted(self.root.glob("data/*/*.parquet"))[episode]

    def video(self, episode: int) -> Path:
        return sorted(self.root.glob("videos/**/*.mp4"))[episode]

    def change_info(self, **entries: Any) -> None:
        self.info.write_text(json.dumps(json.loads(self.info.read_text()) | entries))

    def change_column(self, episode: int, key: str, change: Callable[[Any], Any]) -> None:
        change_column(self.data(episode), key, change)

    def change_row(self, episode: int, **entries: Any) -> None:
        """What the metadata say about an episode."""
        if (self.root / "meta/episodes").is_dir():
            path = sorted(self.root.glob("meta/episodes/*/*.parquet"))[episode]
            for key, value in entries.items():
                change_column(path, key, lambda x, value=value: [value])
            return
        path = self.root / "meta/episodes.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[episode] |= entries
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def change_column(path: Path, key: str, change: Callable[[Any], Any]) -> None:
    table = pq.read_table(path)
    index = table.column_names.index(key)
    field = table.schema.field(index)
    values = change(table[key].to_pylist())
    pq.write_table(table.set_column(index, field, pa.array(values, field.type)), path)
