"""A dataset in memory: flat arrays over all episodes, and where each episode begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.statistics import (
    FeatureStatistics,
    image_statistics,
    merge_statistics,
    vector_statistics,
)


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """An episode without its frames.

    Attributes:
        length: Frames.
        success: Outcome.
        task: Instruction text.
        metadata: Anything else that was recorded with it.
    """

    length: int
    success: Success
    task: str
    metadata: Mapping[str, Any]


class EpisodeStore:
    """All episodes of a dataset. Use `open`, or `of` for episodes in memory.

    Attributes:
        spec: What the dataset holds.
        episodes: Summaries, in order.
        starts: (E + 1,) first frame of each episode in the flat arrays, and their length.
        state: (N, S) float32.
        actions: (N, A) float32.
        environment_state: (N, E) float32 or None.
        rewards: (N,) float32.
        stamps_ns: (N,) int64.
        episode_of: (N,) episode that each frame belongs to.
        images: Camera name to one (T, h, w, 3) uint8 array per episode; cameras asked for only.
    """

    def __init__(self, spec: PolicySpec, episodes: Sequence[Episode]) -> None:
        self.spec = spec
        self.episodes = tuple(
            EpisodeSummary(len(e), e.success, e.task, e.metadata) for e in episodes
        )
        lengths = [len(episode) for episode in episodes]
        self.starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.episode_of = np.repeat(np.arange(len(episodes)), lengths)
        self.state = np.concatenate([episode.state for episode in episodes])
        self.actions = np.concatenate([episode.actions for episode in episodes])
        self.rewards = np.concatenate([episode.rewards for episode in episodes])
        self.stamps_ns = np.concatenate([episode.stamps_ns for episode in episodes])
        privileged = [e.environment_state for e in episodes if e.environment_state is not None]
        self.environment_state = np.concatenate(privileged) if privileged else None
        self.images = {
            camera: tuple(episode.images[camera] for episode in episodes)
            for camera in episodes[0].images
        }
        self._statistics: dict[str, FeatureStatistics] | None = None

    @classmethod
    def open(cls, path: Path | str, *, cameras: Sequence[str] = ()) -> "EpisodeStore":
        """Reads a dataset of any known format.

        Args:
            path: Dataset.
            cameras: Cameras whose images to decode into memory.

        Raises:
            DataError: If there is no dataset, it is damaged or empty, or holds NaN.
            UnknownNameError: If there is no such camera.
        """
        path = Path(path)
        source = detect_format(path)
        spec = source.read_spec(path)
        episodes = list(source.read(path, cameras=cameras))
        if not episodes:
            raise DataError("the dataset holds no episode", where=path)
        return cls(spec, episodes)

    def __len__(self) -> int:
        """Frames in all episodes."""
        return len(self.state)

    @property
    def statistics(self) -> dict[str, FeatureStatistics]:
        """Statistics of states, actions and the images in memory, by dataset key.

        Computed from the values themselves, so they are right whatever the dataset's own
        statistics say.
        """
        if self._statistics is None:
            features = {STATE: self.state, ACTION: self.actions}
            if self.environment_state is not None:
                features[ENVIRONMENT_STATE] = self.environment_state
            self._statistics = {key: vector_statistics(x) for key, x in features.items()}
            for camera, frames in self.images.items():
                parts = [image_statistics(episode) for episode in frames]
                self._statistics[image_key(camera)] = merge_statistics(parts)
        return self._statistics

    def frames(self, camera: str, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Gathers images.

        Args:
            camera: One of `images`.
            indices: (...) flat frame numbers.

        Returns:
            (..., h, w, 3).
        """
        episodes = self.images[camera]
        flat = indices.reshape(-1)
        out = np.empty((len(flat), *episodes[0].shape[1:]), dtype=np.uint8)
        owners = self.episode_of[flat]
        for row, (owner, frame) in enumerate(zip(owners, flat - self.starts[owners], strict=True)):
            out[row] = episodes[owner][frame]
        return out.reshape(*indices.shape, *out.shape[1:])
