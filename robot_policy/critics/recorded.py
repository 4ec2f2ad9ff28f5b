"""What critics are asked about recorded episodes: batches as windows, and values along episodes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.observation import (
    ACTION,
    ENVIRONMENT_STATE,
    OBSERVATION_IS_PAD,
    STATE,
    TASK,
    Candidates,
    Windows,
    image_key,
)
from robot_policy.critics.torch_scorer import TorchScorer
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset

_ROWS = 256


def windows_of(batch: Mapping[str, Any], past: int, action_size: int) -> Windows:
    """Returns a batch of `WindowDataset` as a policy or a critic is shown it, nothing executed."""
    size = len(batch[STATE])
    cameras = [key for key in batch if key.startswith(image_key(""))]
    return Windows(
        state=batch[STATE],
        past=np.zeros((size, past, action_size), np.float32),
        valid=~batch[OBSERVATION_IS_PAD],
        past_valid=np.zeros((size, past), bool),
        environment_state=batch.get(ENVIRONMENT_STATE),
        images={key.removeprefix(image_key("")): batch[key] for key in cameras},
        instructions=tuple(batch[TASK]),
    )


def values_along(scorer: TorchScorer, store: EpisodeStore) -> list[NDArray[np.float32]]:
    """Returns what a critic says of the recorded chunk at every frame, per episode (L,).

    Args:
        scorer: The critic.
        store: Dataset, with the cameras that the critic sees.

    Raises:
        DataError: If an episode has an instruction that the critic was not trained on.
    """
    for episode in store.episodes:
        if episode.task not in scorer.instructions:
            raise DataError(
                "the critic was not trained on the instruction",
                where=f"episode {episode.index}",
                expected=", ".join(scorer.instructions),
                got=episode.task,
            )
    spec = scorer.spec
    data = WindowDataset(
        store,
        history=spec.history,
        past=0,
        horizon=spec.horizon,
        stride=spec.history_stride,
        cameras=tuple(spec.cameras),
        use_environment_state=store.environment_state is not None,
    )
    values = np.zeros(len(store), np.float32)
    for start in range(0, len(data), _ROWS):
        indices = np.arange(start, min(start + _ROWS, len(data)))
        batch = data.batch(indices)
        candidates = Candidates(batch[ACTION][:, None])
        judged = scorer.judge(windows_of(batch, 0, spec.action.size), candidates)
        values[data.steps(indices)] = judged.mean(0)[:, 0]
    return np.split(values, store.starts[1:-1])
