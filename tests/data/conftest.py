"""A dataset whose values say where they come from."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from robot_policy.core.episode import Episode, Success
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.store import EpisodeStore

COUNTING_SPEC = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((2,)),
    action=ArraySpec((2,)),
    action_space=ActionSpace.JOINT_DELTA,
    dt_s=0.1,
    environment_state=ArraySpec((1,)),
    cameras={"wrist": image_spec(2, 2)},
)


def counting_episode(number: int, length: int) -> Episode:
    """Every value is (episode, frame), in one way or the other."""
    place = np.stack([np.full(length, number), np.arange(length)], axis=1).astype(np.float32)
    return Episode(
        stamps_ns=np.arange(length, dtype=np.int64) * 100_000_000,
        state=place,
        actions=place + 100,
        task=f"task {number}",
        rewards=np.zeros(length, np.float32),
        success=Success.YES,
        environment_state=place[:, 1:] + 1000,
        images={
            "wrist": np.tile((10 * number + place[:, 1]).astype(np.uint8), (2, 2, 3, 1)).transpose(
                3, 0, 1, 2
            )
        },
    )


@pytest.fixture
def counting_store() -> Callable[[Sequence[int]], EpisodeStore]:
    """Builds a store with episodes of the given lengths."""

    def build(lengths: Sequence[int]) -> EpisodeStore:
        return EpisodeStore.of(
            COUNTING_SPEC, [counting_episode(i, n) for i, n in enumerate(lengths)]
        )

    return build


@pytest.fixture
def counting_spec() -> PolicySpec:
    return COUNTING_SPEC
