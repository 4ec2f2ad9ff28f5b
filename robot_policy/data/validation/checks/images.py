"""Images that show nothing, and cameras that stopped while the robot moved."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import STATE
from robot_policy.data.recording import Recording
from robot_policy.data.statistics import FeatureStatistics
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs

BLANK = Fault(
    "image-blank",
    Severity.WARNING,
    "all pixels of an image are the same",
    "see whether the camera was connected; leave the episode out",
)
FROZEN = Fault(
    "image-frozen",
    Severity.WARNING,
    "a camera delivers one image for at least a second while the state changes",
    "see whether the camera stalled; leave the episode out",
)
_FROZEN_S = 1.0
_TRAVELLED = 0.1
"""Part of the way in the whole episode that an entry of the state has to travel."""
_MOVING = 0.25
"""Part of the entries that have to."""


class Images(Check):
    """Compares every image with the one before."""

    faults = (BLANK, FROZEN)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._blank: dict[str, list[int]] = {}
        self._same: dict[str, list[int]] = {}
        self._before: NDArray[Any] | None = None

    def image(
        self, position: int, recording: Recording, key: str, frame: int, image: NDArray[Any]
    ) -> None:
        """Takes note."""
        if frame == 0:
            self._before = None
        flat = image.reshape(-1, image.shape[-1])
        if flat[0].tobytes() == flat[-1].tobytes() and (flat == flat[0]).all():
            self._blank.setdefault(key, []).append(frame)
        elif self._before is not None and np.array_equal(self._before, image):
            self._same.setdefault(key, []).append(frame)
        self._before = image.copy()

    def images_seen(
        self, position: int, recording: Recording, statistics: Mapping[str, FeatureStatistics]
    ) -> Iterator[Finding]:
        """Tells of an episode."""
        length = len(recording)
        for key, frames in self._blank.items():
            for run in runs(_mask(frames, length)):
                place = Place(None, position, run.frames, key)
                yield Finding(BLANK, place, f"images of one colour{run}")
        for key, frames in self._same.items():
            for run in runs(self._stalls(recording, _mask(frames, length))):
                found = f"the image of frame {run.first - 1} stays{run}"
                yield Finding(FROZEN, Place(None, position, run.frames, key), found)
        self._blank, self._same, self._before = {}, {}, None

    def _stalls(self, recording: Recording, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Frames of `same` that are so for long enough while the robot moves, (T,)."""
        least = max(2, round(_FROZEN_S * self.subject.description.rate_hz))
        edges = np.flatnonzero(np.diff(same.astype(np.int8), prepend=0, append=0))
        stalls = np.zeros_like(same)
        for first, end in edges.reshape(-1, 2).tolist():
            if end - first >= least and _moves(recording, first - 1, end):
                stalls[first:end] = True
        return stalls


def _mask(frames: list[int], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    mask[frames] = True
    return mask


def _moves(recording: Recording, first: int, end: int) -> bool:
    """Whether some of the state travels far between two frames; a little, it always trembles."""
    state = recording.columns.get(STATE)
    if state is None or state.dtype.kind != "f":
        return False
    flat = state.reshape(len(state), -1).astype(np.float64)
    span, travelled = np.ptp(flat, axis=0), np.ptp(flat[first:end], axis=0)
    return bool((travelled > _TRAVELLED * span).mean() >= _MOVING)
