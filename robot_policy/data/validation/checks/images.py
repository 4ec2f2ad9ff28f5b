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
        least = max(2, round(_FROZEN_S * self.subject.description.rate_hz))
        moves = _moves(recording)
        for key, frames in self._same.items():
            for run in runs(_mask(frames, length)):
                first = run.first - 1
                if run.count < least or not moves[first : run.last].any():
                    continue
                found = f"the image of frame {first} stays{run}"
                yield Finding(FROZEN, Place(None, position, run.frames, key), found)
        self._blank, self._same, self._before = {}, {}, None


def _mask(frames: list[int], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    mask[frames] = True
    return mask


def _moves(recording: Recording) -> NDArray[np.bool_]:
    """Whether the state moves visibly between a frame and the next one, (T - 1,)."""
    state = recording.columns.get(STATE)
    if state is None or state.dtype.kind != "f" or len(recording) < 2:
        return np.zeros(max(len(recording) - 1, 0), dtype=bool)
    flat = state.reshape(len(state), -1).astype(np.float64)
    span = np.ptp(flat, axis=0)
    return (np.abs(np.diff(flat, axis=0)) > 0.01 * span).any(axis=1) & bool((span > 0).any())
