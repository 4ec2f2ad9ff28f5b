"""All that was found, at a size that does not grow with what is wrong."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from robot_policy.data.validation.finding import SEVERITIES, Fault, Finding, Severity

MOST_LISTED = 1000
"""Findings of a kind that are kept one by one; the others are counted."""


class Report:
    """Findings about one dataset.

    Args:
        path: Of the dataset.
        format: Name of its format.
    """

    def __init__(self, path: Path, format: str) -> None:
        self.path = path
        self.format = format
        self.episodes = 0
        """Episodes that were looked at."""
        self.frames = 0
        """Frames in them."""
        self.seconds = 0.0
        self.images = True
        """Whether images were looked at, too."""
        self.counts: Counter[str] = Counter()
        """Code to number of findings."""
        self._listed: dict[str, list[Finding]] = {}
        self._faults: dict[str, Fault] = {}
        self._explained: dict[int, set[str | None]] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        """Takes findings."""
        for finding in findings:
            fault, place = finding.fault, finding.place
            self.counts[fault.code] += 1
            self._faults[fault.code] = fault
            listed = self._listed.setdefault(fault.code, [])
            if len(listed) < MOST_LISTED:
                listed.append(finding)
            if fault.severity is Severity.ERROR and place.episode is not None:
                self._explained.setdefault(place.episode, set()).add(place.feature)

    def explains(self, episode: int, feature: str | None = None) -> bool:
        """Whether an error is known there, so that its consequences need not be told.

        Args:
            episode: Position.
            feature: Which one of it; any if None.
        """
        known = self._explained.get(episode, set())
        return bool(known) if feature is None else feature in known

    @property
    def faults(self) -> list[Fault]:
        """Kinds of faults that were found, the worst first."""
        order = {severity: number for number, severity in enumerate(SEVERITIES)}
        return sorted(self._faults.values(), key=lambda fault: order[fault.severity])

    def of(self, code: str) -> list[Finding]:
        """Findings of a kind, at most `MOST_LISTED`."""
        return self._listed.get(code, [])

    @property
    def findings(self) -> list[Finding]:
        """All that are listed, the worst first."""
        return [finding for fault in self.faults for finding in self.of(fault.code)]

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(self.counts[f.code] for f in self._faults.values() if f.severity is severity)

    @property
    def has_errors(self) -> bool:
        """Whether there is an error among them."""
        return self.count(Severity.ERROR) > 0

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        listed = self.findings
        return {
            "path": str(self.path),
            "format": self.format,
            "episodes": self.episodes,
            "frames": self.frames,
            "images_looked_at": self.images,
            "seconds": round(self.seconds, 3),
            "severities": {severity.value: self.count(severity) for severity in SEVERITIES},
            "codes": {fault.code: self.counts[fault.code] for fault in self.faults},
            "findings": [finding.to_json() for finding in listed],
            "not_listed": sum(self.counts.values()) - len(listed),
        }
