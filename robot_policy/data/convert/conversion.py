"""Converts a dataset episode by episode; stopped anywhere and run again, it goes on."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.data.convert.journal import Journal, fingerprint
from robot_policy.data.convert.plan import IMAGES, VIDEO, Plan, plan
from robot_policy.data.formats.contents import Content, Keeping
from robot_policy.data.formats.episode_format import DatasetReader, EpisodeFormat
from robot_policy.data.formats.lerobot_layout import SPEC
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.formats.source_options import SourceOptions


@dataclass(frozen=True, slots=True)
class Change:
    """A change on the way.

    Attributes:
        name: What is done, in the words of whoever asked; another one does not go on with it.
        of: The source to what is converted instead of it, with as many episodes.
    """

    name: str
    of: Callable[[DatasetReader], DatasetReader]


type Report = Callable[[int, int], None]
"""Is told after every episode how many are done and how many frames it had."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion did.

    Attributes:
        episodes: In the target.
        before: Of them, those that an earlier run had converted.
        frames: Converted in this run.
    """

    episodes: int
    before: int
    frames: int


class Conversion:
    """A conversion that has been planned; `run` does it.

    Args:
        source: Dataset of any known format.
        target: Where nothing is, or an unfinished conversion of the same.
        to: Name of the format to convert to.
        options: What the source does not say.
        images: How images are stored where there is a choice, one of `IMAGES`.
        episodes: Positions of the episodes to convert; all of them if None.
        through: What is changed on the way, if anything.

    Raises:
        UnknownNameError: If there is no such format.
        ConfigError: If an option is wrong.
        DataError: If the source is damaged or holds no episode.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        *,
        to: str,
        options: SourceOptions | None = None,
        images: str = VIDEO,
        episodes: Sequence[int] | None = None,
        through: Change | None = None,
    ) -> None:
        if images not in IMAGES:
            raise UnknownNameError.of("way to store images", images, IMAGES)
        if source.resolve() == target.resolve():
            raise ConfigError("source and target are the same", where=source)
        self._options = options or SourceOptions()
        self._source, self._target = source, target
        self._source_format: EpisodeFormat = detect_format(source)
        self._target_format: EpisodeFormat = FORMATS[to]
        self._reader = self._source_format.open(source, self._options)
        if not len(self._reader):
            raise DataError("the dataset holds no episode", where=source)
        if through is not None:
            self._reader = through.of(self._reader)
        self.positions = list(range(len(self._reader)) if episodes is None else episodes)
        """Episodes that are converted, in order."""
        self._settings = {"to": to, "images": images, "episodes": self.positions}
        if through is not None:
            self._settings["through"] = through.name

    @property
    def reader(self) -> DatasetReader:
        """The source."""
        return self._reader

    @property
    def plan(self) -> Plan:
        """What will be done and lost."""
        return plan(
            self._reader.description,
            tuple(self._reader.left_out),
            source=self._source_format,
            target=self._target_format,
            images=str(self._settings["images"]),
        )

    def run(
        self, *, allow_loss: bool = False, report: Report = lambda done, frames: None
    ) -> Converted:
        """Converts what is not converted yet.

        Args:
            allow_loss: Whether the target may lack what the plan says it will.
            report: Told of progress.

        Raises:
            ConfigError: If something would be lost, or something else is at the target.
            DataError: If the source is damaged; what was converted before stays, and the next
                run goes on from there.
        """
        planned = self.plan
        if planned.losses and not allow_loss:
            raise ConfigError(
                f"the target would lack {len(planned.losses)} things: {'; '.join(planned.losses)}",
                where=self._target,
                hint="--allow-loss converts without them",
            )
        journal = Journal(self._target, self._started_with())
        goes_on = journal.begin() and self._target_format.detect(self._target)
        if not goes_on:
            _clear_beginning(self._target)
        start = self._target_format.append if goes_on else self._target_format.create
        keeps_statistics = (
            self._target_format.contents[Content.IMAGE_STATISTICS].keeping is not Keeping.LOST
        )
        writer = start(self._target, planned.description)
        before, frames = writer.episodes, 0
        try:
            for position in self.positions[before:]:
                recording = self._reader.recording(position)
                if keeps_statistics:
                    known = self._reader.statistics(position)
                    recording = replace(recording, statistics=known)
                writer.add(recording)
                frames += len(recording)
                report(writer.episodes, len(recording))
        finally:
            writer.close()
        journal.end()
        return Converted(writer.episodes, before, frames)

    def _started_with(self) -> dict[str, Any]:
        options = asdict(replace(self._options, renderer=None))
        del options["renderer"]
        return {
            "source": str(self._source.resolve()),
            "content of the source": fingerprint(self._source),
            **self._settings,
            **options,
        }


def _clear_beginning(target: Path) -> None:
    """Removes what a kill leaves before there is a dataset, and nothing that might be anything."""
    if not target.is_dir():
        return
    files = [path for path in target.rglob("*") if path.is_file()]
    if all(path.name.startswith(".") or path == target / SPEC for path in files):
        shutil.rmtree(target)
