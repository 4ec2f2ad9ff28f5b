"""What a check finds: a fault of a known kind at a place."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a fault matters.

    ERROR: Whoever reads the dataset fails, or reads something else than was recorded.
    WARNING: It can be read, and is probably not what was meant.
    NOTE: Worth knowing.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


SEVERITIES = tuple(Severity)
"""Worst first."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of thing that can be wrong.

    Attributes:
        code: Stable name, words joined by hyphens.
        severity: How much it matters.
        meaning: What it is, in one line.
        remedy: What to do about it.
        mended: Whether `--fix` does that.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is; what does not apply is None.

    Attributes:
        file: Path as a person would look for it.
        episode: Position in the dataset, from 0.
        frames: First and last frame of the episode, both included.
        feature: Dataset key, topic or field of the metadata.
    """

    file: str | None = None
    episode: int | None = None
    frames: tuple[int, int] | None = None
    feature: str | None = None

    def __str__(self) -> str:
        parts = [self.file] if self.file else []
        if self.episode is not None:
            parts.append(f"episode {self.episode}")
        if self.frames is not None:
            first, last = self.frames
            parts.append(f"frame {first}" if first == last else f"frames {first}-{last}")
        if self.feature:
            parts.append(self.feature)
        return ", ".join(parts) or "the dataset"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that was found.

    Attributes:
        fault: Its kind.
        place: Where.
        found: What is there, and what was expected.
    """

    fault: Fault
    place: Place
    found: str

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        place = self.place
        return {
            "code": self.fault.code,
            "severity": self.fault.severity.value,
            "file": place.file,
            "episode": place.episode,
            "frames": None if place.frames is None else list(place.frames),
            "feature": place.feature,
            "found": self.found,
            "remedy": self.fault.remedy,
            "mended_by_fix": self.fault.mended,
        }
