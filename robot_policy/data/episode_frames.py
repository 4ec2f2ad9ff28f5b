"""What a camera saw, episode by episode; in memory or mapped from files."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from robot_policy.data.statistics import (
    FeatureStatistics,
    image_statistics,
    merge_statistics,
    vector_statistics,
)

_NAMES = ("min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99")


class EpisodeFrames(Sequence[NDArray[Any]]):
    """One array (T, ...) per episode: images (T, h, w, 3) uint8, or features of them.

    Args:
        episodes: The arrays; all alike but for T.
        statistics: (E, K, D), `pack_statistics` of each of them; computed when asked for if None.
    """

    def __init__(
        self,
        episodes: Iterable[NDArray[Any]],
        statistics: NDArray[np.float64] | None = None,
    ) -> None:
        self._episodes = tuple(episodes)
        self._statistics = statistics

    def __len__(self) -> int:
        return len(self._episodes)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        return self._episodes[index]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one frame."""
        return self._episodes[0].shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the entries."""
        return self._episodes[0].dtype

    def gather(self, episodes: NDArray[np.int64], frames: NDArray[np.int64]) -> NDArray[Any]:
        """Copies frames.

        Args:
            episodes: (n,) which episodes.
            frames: (n,) which frames of these.

        Returns:
            (n, ...).
        """
        out = np.empty((len(frames), *self.shape), dtype=self.dtype)
        for row, (episode, frame) in enumerate(
            zip(episodes.tolist(), frames.tolist(), strict=True)
        ):
            out[row] = self._episodes[episode][frame]
        return out

    def select(self, episodes: Sequence[int]) -> "EpisodeFrames":
        """Returns some of the episodes, in this order; copies nothing."""
        known = self._statistics
        return EpisodeFrames(
            (self._episodes[episode] for episode in episodes),
            None if known is None else known[list(episodes)],
        )

    def followed_by(self, other: "EpisodeFrames") -> "EpisodeFrames":
        """Returns the episodes of both; copies nothing."""
        known = None
        if self._statistics is not None and other._statistics is not None:
            known = np.concatenate([self._statistics, other._statistics])
        return EpisodeFrames((*self._episodes, *other._episodes), known)

    def statistics(self) -> FeatureStatistics:
        """Statistics over all episodes: per colour of images, per entry of features."""
        if self._statistics is None:
            self._statistics = np.stack(
                [pack_statistics(frame_statistics(frames)) for frames in self._episodes]
            )
        shape = (3, 1, 1) if are_images(self._episodes[0]) else (-1,)
        parts = [
            {name: row.reshape(shape) for name, row in zip(_NAMES, table, strict=True)}
            | {"count": table[_NAMES.index("count"), :1].astype(np.int64)}
            for table in self._statistics
        ]
        return merge_statistics(parts)


def frame_statistics(frames: NDArray[Any]) -> FeatureStatistics:
    """Statistics of one episode's frames."""
    return image_statistics(frames) if are_images(frames) else vector_statistics(frames)


def pack_statistics(of: FeatureStatistics) -> NDArray[np.float64]:
    """Statistics of one episode's frames as a table (K, D), D colours of images or entries."""
    size = of["mean"].size
    rows = [np.broadcast_to(of[name].reshape(-1), size) for name in _NAMES]
    return np.array(rows, dtype=np.float64)


def are_images(frames: NDArray[Any]) -> bool:
    """Whether frames (T, ...) are images, and not features of them."""
    return frames.dtype == np.uint8 and frames.ndim == 4
