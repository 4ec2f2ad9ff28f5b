"""Statistics that a dataset holds, against those of its data: they scale what policies learn."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json
from robot_policy.data.formats.lerobot_statistics import (
    Statistics,
    column_statistics,
    finite_rows,
    from_lists,
    merge,
)
from robot_policy.data.formats.lerobot_v3_layout import STATS
from robot_policy.data.quantiles import QUANTILES
from robot_policy.data.recording import STRING, Recording
from robot_policy.data.statistics import FeatureStatistics
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.checks.lerobot_totals import was_interrupted
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

MISMATCH = Fault(
    "statistics-mismatch",
    Severity.ERROR,
    "statistics are not those of the data",
    "--fix computes them anew",
    mended=True,
)
MISSING = Fault(
    "statistics-missing",
    Severity.WARNING,
    "there are no statistics, which LeRobot needs for training",
    "--fix computes them",
    mended=True,
)
_OF_COLUMNS = ("min", "max", "mean", "std", "count")
_OF_IMAGES = ("mean", "std")
_RELATIVE = 1e-4  # lerobot computes in single precision
_IMAGE_TOLERANCE = 0.02  # of full scale; statistics are taken before the video is compressed
_RANK_TOLERANCE = 0.05


class LeRobotStatistics(Check):
    """Compares episode by episode, and stats.json with all together."""

    faults = (MISMATCH, MISSING)
    formats = LEROBOT

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._all: Statistics = {}
        self._but_the_last: Statistics = {}
        self._unreadable = False
        self._seen = 0
        self._missing: list[int] = []

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Compares all but images."""
        self._seen += 1
        try:
            told = self.subject.reader.statistics(position)
        except DataError as error:
            if not self._unreadable:  # of v2.1, all lie in one file
                yield Finding(MISMATCH, Place(episode=position), str(error))
            self._unreadable = True
            return
        if not told:
            self._missing.append(position)
        parts: Statistics = {}
        for key, values in recording.columns.items():
            if values.dtype == object or (key not in told and key not in self._features):
                continue
            of = column_statistics(values)
            if of is None:
                continue
            parts[key] = of
            if key in told:
                wrong = _wrong_of_column(told[key], of, values)
                yield from self._finding(position, key, wrong)
        self._but_the_last, self._all = self._all, merge(self._all, parts)

    def images_seen(
        self, position: int, recording: Recording, statistics: Mapping[str, FeatureStatistics]
    ) -> Iterator[Finding]:
        """Compares those of images, as far as compression lets."""
        if self._unreadable:
            return
        told = self.subject.reader.statistics(position)
        for key, of in statistics.items():
            scale = 1.0 if self.subject.description.features[key].dtype == "uint8" else 65535.0
            if key in told:
                wrong = _differing(told[key], of, _OF_IMAGES, absolute=_IMAGE_TOLERANCE * scale)
                yield from self._finding(position, key, wrong)

    def end(self) -> Iterator[Finding]:
        """Compares stats.json, and says what is missing."""
        if self._missing:
            place = Place(episode=self._missing[0])
            yield Finding(MISSING, place, f"none of {len(self._missing)} episodes")
        path = self.subject.path / STATS
        if not path.exists():
            if self.subject.format == "lerobot_v3":
                yield Finding(MISSING, Place(STATS), "no such file")
            return
        try:
            told = from_lists(read_json(path))
        except (DataError, TypeError, ValueError, AttributeError) as error:
            yield Finding(MISMATCH, Place(STATS), f"not a list of statistics: {error}")
            return
        if self._seen < len(self.subject.reader):
            return  # it counts episodes that nobody can read
        found = _mismatches(told, self._all)
        reader = self.subject.reader
        if found and isinstance(reader, LenientLeRobotReader) and was_interrupted(reader):
            found = _mismatches(told, self._but_the_last)
        yield from found

    @property
    def _features(self) -> set[str]:
        columns = self.subject.description.columns
        return {key for key, feature in columns.items() if feature.dtype != STRING}

    def _finding(self, position: int, key: str, wrong: dict[str, str]) -> Iterator[Finding]:
        if wrong:
            yield Finding(MISMATCH, Place(episode=position, feature=key), _listed(wrong))


def _mismatches(told: Statistics, of_all: Statistics) -> list[Finding]:
    found: list[Finding] = []
    for key, of in of_all.items():
        wrong = _differing(told.get(key, {}), of, _OF_COLUMNS)
        if key in told and wrong:
            found.append(Finding(MISMATCH, Place(STATS, feature=key), _listed(wrong)))
    return found


def _listed(wrong: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {text}" for name, text in wrong.items())


def _wrong_of_column(
    told: FeatureStatistics, of: FeatureStatistics, values: NDArray[Any]
) -> dict[str, str]:
    wrong = _differing(told, of, _OF_COLUMNS)
    rows = np.sort(finite_rows(values).astype(np.float64), axis=0)
    for name, q in QUANTILES.items():
        if name in told and not _has_rank(_numbers(told[name]), rows, q):
            expected = of[name].reshape(-1)
            wrong[name] = f"{_short(told[name])}, expected {_short(expected)}"
    return wrong


def _differing(
    told: Mapping[str, NDArray[Any]],
    of: FeatureStatistics,
    names: tuple[str, ...],
    *,
    absolute: float = 0.0,
) -> dict[str, str]:
    """Names of statistics that differ, and how."""
    size = np.maximum(np.abs(of["min"]), np.abs(of["max"])).reshape(-1).astype(np.float64)
    tolerance = absolute + (0.0 if absolute else _RELATIVE * size + 1e-6)
    wrong: dict[str, str] = {}
    for name in names:
        if name not in told:
            continue
        here, there = _numbers(told[name]), _numbers(of[name])
        allowed = 0.0 if name == "count" else tolerance
        if here.shape != there.shape or not (np.abs(here - there) <= allowed).all():
            wrong[name] = f"{_short(here)}, expected {_short(there)}"
    return wrong


def _numbers(values: Any) -> NDArray[np.float64]:
    """A statistic as (D,); empty where it is anything but numbers."""
    try:
        return np.asarray(values, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.empty(0)


def _has_rank(quantile: NDArray[Any], rows: NDArray[np.float64], q: float) -> bool:
    """Whether about a share q of the rows lies below; estimators differ by no more.

    Args:
        quantile: (D,).
        rows: (N, D), each column ascending.
        q: Share.
    """
    if quantile.shape != rows.shape[1:]:
        return False
    slack = 1e-3 * (rows[-1] - rows[0]) + _RELATIVE * np.abs(rows).max(axis=0) + 1e-6
    tolerance = max(_RANK_TOLERANCE, 1.0 / len(rows))
    below = (rows < quantile - slack).mean(axis=0)
    up_to = (rows <= quantile + slack).mean(axis=0)
    return bool(((below - tolerance <= q) & (q <= up_to + tolerance)).all())


def _short(values: NDArray[Any]) -> str:
    shown = [f"{value:.4g}" for value in _numbers(values)[:4].tolist()]
    return f"[{', '.join(shown)}{', …' if np.size(values) > len(shown) else ''}]"
