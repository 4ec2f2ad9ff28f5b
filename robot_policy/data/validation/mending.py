"""A copy of a dataset in which is mended what can be mended without guessing.

Counts, numbers, LeRobot's timestamps and statistics follow from the data, so they are made anew.
Nothing that was measured or commanded is changed: no value is clipped, filled in or smoothed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.validation.mend_bag import mend_bag
from robot_policy.data.validation.mend_hdf5 import mend_hdf5
from robot_policy.data.validation.mend_lerobot import mend_lerobot
from robot_policy.data.validation.report import MOST_LISTED, Report

DROPS = {
    "duplicates": ("duplicate-episode",),
    "undecodable": (
        "missing-file",
        "episode-unreadable",
        "undecodable-frame",
        "video-frame-count",
        "video-drift",
        "ragged-episode",
    ),
    "not-finite": ("not-finite",),
}
"""What can be asked to be left out, and the faults that episodes are left out for."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A copy that was written.

    Attributes:
        path: Of the copy.
        episodes: In it.
        dropped: Positions in the original of episodes that are left out.
        lines: What else was done, for the reader.
    """

    path: Path
    episodes: int
    dropped: tuple[int, ...]
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "output": str(self.path),
            "episodes": self.episodes,
            "dropped": list(self.dropped),
            "notes": list(self.lines),
        }


def mend(
    report: Report, output: Path, options: SourceOptions, *, drop: Sequence[str] = ()
) -> Mended:
    """Writes a mended copy, whole or not at all.

    Args:
        report: What was found; images must have been looked at if undecodable ones are dropped.
        output: Where nothing is.
        options: As the dataset was checked with.
        drop: Which episodes to leave out, of `DROPS`.

    Raises:
        ConfigError: If the format has no copies, or no episode would be left.
        DataError: If an episode cannot be carried over and is not to be left out.
    """
    if "undecodable" in drop and not report.images:
        raise ConfigError("--drop undecodable needs images to be looked at", where="data validate")
    dropped = _dropped(report, drop)
    match report.format:
        case "lerobot_v3" | "lerobot_v21":
            episodes, lines = mend_lerobot(report, output, dropped)
        case "robomimic_hdf5":
            episodes, lines = mend_hdf5(report.path, output, dropped)
        case "rosbag2_mcap":
            episodes, lines = mend_bag(report.path, output, options, dropped)
        case _:
            raise ConfigError(
                f"a {report.format} has no files of its own to mend",
                where=report.path,
                hint="mend the datasets that it is made of",
            )
    left_out = [f"left out: episode {position}" for position in sorted(dropped)]
    return Mended(output, episodes, tuple(sorted(dropped)), (*left_out, *lines))


def _dropped(report: Report, drop: Sequence[str]) -> set[int]:
    chosen: set[int] = set()
    for name in drop:
        for code in DROPS[name]:
            if report.counts[code] > MOST_LISTED:
                raise ConfigError(
                    f"more than {MOST_LISTED} findings of a kind",
                    where=report.path,
                    got=f"{report.counts[code]} x {code}",
                    hint="choose episodes with `data filter` instead",
                )
            chosen |= {f.place.episode for f in report.of(code) if f.place.episode is not None}
    return chosen
