"""A dataset as training reads it: flat arrays over all episodes, and where each one begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError
from robot_policy.core.images import resize
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import PolicySpec, image_spec
from robot_policy.data.common_spec import common_spec
from robot_policy.data.episode_frames import EpisodeFrames
from robot_policy.data.flat_arrays import FlatArrays
from robot_policy.data.formats.episode_format import check_episodes
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.statistics import FeatureStatistics, vector_statistics


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """An episode without its frames.

    Attributes:
        length: Frames.
        success: Outcome.
        task: Instruction text.
        metadata: Anything else that was recorded with it.
        dataset: Where it comes from; empty where that is only one place.
        index: Its number there.
    """

    length: int
    success: Success
    task: str
    metadata: Mapping[str, Any]
    dataset: str = ""
    index: int = 0


class EpisodeStore:
    """All episodes of a dataset. Use `open`, `of` for episodes in memory, or `open_cached`.

    Args:
        spec: What the dataset holds.
        episodes: Summaries, in order.
        arrays: Their frames.
        images: Camera name to what it saw; cameras asked for only.

    Attributes:
        spec: What the dataset holds.
        episodes: Summaries, in order.
        starts: (E + 1,) first frame of each episode in the flat arrays, and their length.
        state: (N, S) float32.
        actions: (N, A) float32.
        environment_state: (N, E) float32 or None.
        rewards: (N,) float32.
        stamps_ns: (N,) int64.
        intervention: (N,) bool, where a person drove instead of a policy; None where nobody tells.
        policy_actions: (N, A) float32, what the policy wanted; None likewise.
        episode_of: (N,) episode that each frame belongs to.
        images: Camera name to one (T, h, w, 3) uint8 array per episode; cameras asked for only.
    """

    def __init__(
        self,
        spec: PolicySpec,
        episodes: Sequence[EpisodeSummary],
        arrays: FlatArrays,
        images: Mapping[str, EpisodeFrames],
    ) -> None:
        self.spec = spec
        self.episodes = tuple(episodes)
        lengths = [episode.length for episode in episodes]
        self.starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self.episode_of = np.repeat(np.arange(len(episodes)), lengths)
        self._arrays = arrays
        self.state = arrays.state
        self.actions = arrays.actions
        self.rewards = arrays.rewards
        self.stamps_ns = arrays.stamps_ns
        self.environment_state = arrays.environment_state
        self.intervention = arrays.intervention
        self.policy_actions = arrays.policy_actions
        self.images = dict(images)
        self._statistics: dict[str, FeatureStatistics] | None = None

    @classmethod
    def of(cls, spec: PolicySpec, episodes: Sequence[Episode]) -> "EpisodeStore":
        """Holds episodes in memory; there must be at least one."""
        summaries = [
            EpisodeSummary(len(e), e.success, e.task, e.metadata, index=number)
            for number, e in enumerate(episodes)
        ]
        images = {
            camera: EpisodeFrames(episode.images[camera] for episode in episodes)
            for camera in episodes[0].images
        }
        return cls(spec, summaries, FlatArrays.of(episodes), images)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        cameras: Sequence[str] = (),
        size: tuple[int, int] | None = None,
    ) -> "EpisodeStore":
        """Reads a dataset of any known format.

        Args:
            path: Dataset.
            cameras: Cameras whose images to decode into memory.
            size: (height, width) that images are brought to [px]; as they are if None.

        Raises:
            DataError: If there is no dataset, it is damaged or empty, or holds NaN.
            UnknownNameError: If there is no such camera.
        """
        path = Path(path)
        source = detect_format(path)
        spec = source.read_spec(path)
        episodes = [_sized(episode, size) for episode in source.read(path, cameras=cameras)]
        if not episodes:
            raise DataError("the dataset holds no episode", where=path)
        if size is not None:
            sized = {c: image_spec(*size) if c in cameras else s for c, s in spec.cameras.items()}
            spec = replace(spec, cameras=sized)
        return cls.of(spec, episodes)

    def __len__(self) -> int:
        """Frames in all episodes."""
        return len(self.state)

    @property
    def statistics(self) -> dict[str, FeatureStatistics]:
        """Statistics of states, actions and the images that are there, by dataset key.

        Computed from the values themselves, so they are right whatever the dataset's own
        statistics say.
        """
        if self._statistics is None:
            features = {STATE: self.state, ACTION: self.actions}
            if self.environment_state is not None:
                features[ENVIRONMENT_STATE] = self.environment_state
            self._statistics = {key: vector_statistics(x) for key, x in features.items()}
            for camera, frames in self.images.items():
                self._statistics[image_key(camera)] = frames.statistics()
        return self._statistics

    def frames(self, camera: str, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Gathers images.

        Args:
            camera: One of `images`.
            indices: (...) flat frame numbers.

        Returns:
            (..., h, w, 3).
        """
        flat = indices.reshape(-1)
        owners = self.episode_of[flat]
        out = self.images[camera].gather(owners, flat - self.starts[owners])
        return out.reshape(*indices.shape, *out.shape[1:])

    def described(self, episodes: Sequence[EpisodeSummary]) -> "EpisodeStore":
        """Returns the store with other summaries of the same episodes."""
        return EpisodeStore(self.spec, episodes, self._arrays, self.images)

    def select(self, episodes: Sequence[int]) -> "EpisodeStore":
        """Returns a store with some of the episodes, in this order; images are not copied.

        Raises:
            ConfigError: If there is no such episode.
            DataError: If none is left.
        """
        check_episodes(episodes, count=len(self.episodes), where="episodes")
        if not episodes:
            raise DataError("no episode is left")
        rows = [np.arange(self.starts[e], self.starts[e + 1]) for e in episodes]
        return EpisodeStore(
            self.spec,
            [self.episodes[episode] for episode in episodes],
            self._arrays.rows(np.concatenate(rows)),
            {camera: frames.select(episodes) for camera, frames in self.images.items()},
        )

    def followed_by(self, other: "EpisodeStore", *, where: object = None) -> "EpisodeStore":
        """Returns a store with the episodes of both; images are not copied.

        Of cameras and privileged state it has those that both have.

        Args:
            other: Comes after the episodes of this one.
            where: Names it in the error.

        Raises:
            DataError: If robot, rate, states, actions or the size of images differ.
        """
        spec = common_spec(self.spec, other.spec, where=where)
        cameras = [camera for camera in self.images if camera in other.images]
        return EpisodeStore(
            spec,
            [*self.episodes, *other.episodes],
            self._arrays.followed_by(other._arrays),
            {c: self.images[c].followed_by(other.images[c]) for c in cameras},
        )


def _sized(episode: Episode, size: tuple[int, int] | None) -> Episode:
    if size is None:
        return episode
    images = {camera: resize(frames, size) for camera, frames in episode.images.items()}
    return replace(episode, images=images)
