"""What a trainable policy is: a network with a loss and a way to draw from it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from robot_policy.core.specs import PolicySpec

type Batch = Mapping[str, Tensor]
"""Normalised tensors under dataset keys: ``observation.state`` (B, T, S), ``action`` (B, L, A)
with L = P + H, ``action_is_pad`` (B, L) bool."""


class PolicyModule[C](nn.Module, ABC):
    """Base of every policy that is trained here.

    A subclass is one file; a line in `robot_policy.policies.registry` makes it known. Its
    constructor takes the config and the finished spec, and builds the network.

    Attributes:
        config_type: Frozen dataclass of the hyper-parameters.
        presets: Named hyper-parameters, at least ``cpu`` (two cores, minutes) and ``gpu``.
    """

    config_type: ClassVar[type]
    presets: ClassVar[Mapping[str, Any]]

    def __init__(self, config: C, spec: PolicySpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    @classmethod
    @abstractmethod
    def complete_spec(cls, config: C, source: PolicySpec) -> PolicySpec:
        """Adds history, horizon and past to the `source` of the data.

        Raises:
            ConfigError: If the hyper-parameters contradict each other.
        """

    @classmethod
    def build(cls, config: C, source: PolicySpec) -> Self:
        """Builds the network for data that looks like `source`."""
        return cls(config, cls.complete_spec(config, source))

    @abstractmethod
    def loss(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Returns the scalar training loss of a normalised batch."""

    @abstractmethod
    def sample(
        self, batch: Batch, *, num_samples: int, generators: Sequence[np.random.Generator]
    ) -> Tensor:
        """Draws N normalised chunks per row, (B, N, P + H, A); one generator per row."""


def masked_mean(error: Tensor, is_pad: Tensor | None) -> Tensor:
    """Mean of (B, L, A), without the padded steps (B, L) if they are given."""
    if is_pad is None:
        return error.mean()
    keep = (~is_pad)[..., None].to(error.dtype)
    return (error * keep).sum() / (keep.sum() * error.shape[-1]).clamp(min=1.0)


def standard_normal(
    shape: tuple[int, ...], generators: Sequence[np.random.Generator], device: torch.device
) -> Tensor:
    """Noise (B, *shape), row b from ``generators[b]``."""
    rows = [g.standard_normal(shape, dtype=np.float32) for g in generators]
    return torch.from_numpy(np.stack(rows)).to(device)
