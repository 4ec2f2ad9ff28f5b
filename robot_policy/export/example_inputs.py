"""Which normalised arrays a policy reads when it draws, and examples of them."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from robot_policy.core.observation import (
    ACTION_PREFIX,
    ENVIRONMENT_STATE,
    OBSERVATION_IS_PAD,
    STATE,
    image_key,
)
from robot_policy.core.specs import PolicySpec
from robot_policy.policies.module import PolicyModule


def random_batch(spec: PolicySpec, *, batch: int, prefix: int, seed: int) -> dict[str, Tensor]:
    """Returns everything a policy of `spec` may read when it draws.

    Args:
        spec: Of the policy.
        batch: B.
        prefix: C, actions decided already.
        seed: Of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator)

    history = spec.history
    # Only the first observations of an episode are padding, never the present one.
    first = torch.randint(0, history, (batch, 1), generator=generator)
    inputs = {
        STATE: normal(history, spec.state.size),
        OBSERVATION_IS_PAD: torch.arange(history)[None] < first,
    }
    if spec.environment_state is not None:
        inputs[ENVIRONMENT_STATE] = normal(history, spec.environment_state.size)
    for camera, image in spec.cameras.items():
        shape = (batch, history, *image.shape)
        inputs[image_key(camera)] = torch.randint(
            0, 256, shape, dtype=torch.uint8, generator=generator
        )
    if spec.joins_prefix:
        inputs[ACTION_PREFIX] = normal(prefix, spec.action.size).clamp(-1.0, 1.0)
    return inputs


def used_inputs(module: PolicyModule) -> tuple[str, ...]:
    """Finds the names of the inputs that `decode` reads, by watching it."""
    watched = _WatchedBatch(random_batch(module.spec, batch=1, prefix=1, seed=0))
    with torch.inference_mode():
        module.decode(watched, torch.zeros(1, 1, *module.noise_shape))
    return tuple(name for name in watched if name in watched.read)


class _WatchedBatch(Mapping[str, Tensor]):
    """Remembers which entries were read."""

    def __init__(self, entries: Mapping[str, Tensor]) -> None:
        self._entries = entries
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        value = self._entries[name]
        self.read.add(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
