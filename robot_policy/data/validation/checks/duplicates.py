"""Episodes that are there twice: they count double, and leak from training into tests."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import TASK
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING
from robot_policy.data.recording import STAMP, Recording
from robot_policy.data.statistics import FeatureStatistics
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity

DUPLICATE = Fault(
    "duplicate-episode",
    Severity.WARNING,
    "an episode holds the same as an earlier one",
    "leave it out: `data filter`, or --fix --drop duplicates",
)
_SIZE = 16


class Duplicates(Check):
    """Remembers 16 bytes of every episode.

    Numbers and times do not count. Images count only where nothing else changes within the
    episode, because a copy may have been compressed again.
    """

    faults = (DUPLICATE,)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._known: dict[bytes, int] = {}
        self._images = hashlib.blake2b(digest_size=_SIZE)
        self._plain: bytes | None = None

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Compares what changes within the episode, unless only images do."""
        digest = hashlib.blake2b(digest_size=_SIZE)
        changes = False
        for key in sorted(recording.columns):
            values = recording.columns[key]
            if key in BOOKKEEPING or key in (STAMP, TASK):
                continue
            digest.update(key.encode())
            texts = values.dtype == object
            digest.update(
                repr(values.tolist()).encode() if texts else np.ascontiguousarray(values).tobytes()
            )
            if values.dtype.kind == "f":
                changes |= len(values) > 1 and bool((values != values[:1]).any())
        self._images = hashlib.blake2b(digest_size=_SIZE)
        compared = changes or not recording.frames
        self._plain = None if compared else digest.digest()
        if compared:
            yield from self._compare(digest.digest(), position)

    def image(
        self, position: int, recording: Recording, key: str, frame: int, image: NDArray[Any]
    ) -> None:
        """Takes note, where it matters."""
        if self._plain is not None:
            self._images.update(np.ascontiguousarray(image).tobytes())

    def images_seen(
        self, position: int, recording: Recording, statistics: Mapping[str, FeatureStatistics]
    ) -> Iterator[Finding]:
        """Compares an episode in which only images change."""
        if self._plain is not None and len(statistics) and len(statistics) == len(recording.frames):
            yield from self._compare(self._plain + self._images.digest(), position)

    def _compare(self, digest: bytes, position: int) -> Iterator[Finding]:
        first = self._known.setdefault(digest, position)
        if first != position:
            yield Finding(DUPLICATE, Place(episode=position), f"the same as episode {first}")
