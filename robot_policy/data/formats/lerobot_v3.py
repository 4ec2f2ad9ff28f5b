"""LeRobot dataset format v3.0: parquet, MP4 and JSON, without needing lerobot."""

import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from robot_policy.core.episode import Episode
from robot_policy.core.errors import DataError
from robot_policy.core.files import require_new_folder
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.lerobot_v3_reader import LeRobotV3Reader, read_spec
from robot_policy.data.formats.lerobot_v3_writer import LeRobotV3Writer


class LeRobotV3:
    """See `EpisodeFormat`."""

    def detect(self, path: Path) -> bool:
        """Whether there is a meta/info.json."""
        return (path / layout.INFO).is_file()

    def read_spec(self, path: Path) -> PolicySpec:
        """See `EpisodeFormat.read_spec`."""
        return read_spec(path)

    def read(self, path: Path, *, cameras: Collection[str] | None = None) -> Iterator[Episode]:
        """See `EpisodeFormat.read`."""
        return iter(LeRobotV3Reader(path, cameras))

    def write(
        self, path: Path, episodes: Iterable[Episode], spec: PolicySpec, *, append: bool = False
    ) -> int:
        """See `EpisodeFormat.write`."""
        if append:
            writer = LeRobotV3Writer.append(path, spec)
        else:
            require_new_folder(path)
            writer = LeRobotV3Writer.create(path, spec)
        before = writer.episodes
        try:
            for episode in episodes:
                writer.add(episode)
        finally:
            writer.close()
            if writer.episodes == 0 and not append:
                shutil.rmtree(path)
        if writer.episodes == before:
            raise DataError("no episode to write", where=path)
        return writer.episodes - before


FORMAT: EpisodeFormat = LeRobotV3()
