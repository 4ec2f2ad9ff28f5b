"""What a trainable policy is: a network with a loss and a way to draw from it."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.policy import standard_normal
from robot_policy.nets.language import SentenceAndWords
from robot_policy.nets.trainable import Batch, TrainableModule

__all__ = [
    "ERROR_SCALE",
    "Batch",
    "PolicyModule",
    "Remembers",
    "Trace",
    "Traceable",
    "masked_mean",
    "scaled",
]

ERROR_SCALE = "error_scale"
"""Key of a batch: by how much (B,) the errors of every row count, where not all count alike."""


class PolicyModule[C](TrainableModule[C]):
    """Base of every policy that is trained here.

    A subclass is one file; a line in `robot_policy.policies.registry` makes it known. Its
    constructor takes the config and the finished spec, and builds the network. What the training
    engine asks of it is in `TrainableModule`.

    Attributes:
        prefix_needs_gradient: Whether heeding ``action_prefix_weights`` takes a gradient.
        reads_instructions: Whether it has a `reader`.
    """

    prefix_needs_gradient: ClassVar[bool] = False
    reads_instructions: ClassVar[bool] = False

    @classmethod
    def config_for(cls, config: C, teacher: "PolicyModule") -> C:
        """Returns the config with which it can learn from `teacher`, a trained policy.

        Asked where `config` has a hyper-parameter ``teacher``, the path of a checkpoint.

        Raises:
            ConfigError: If it cannot.
        """
        raise ConfigError("it learns from data alone", where=cls.__name__, got=type(teacher))

    def learn_from(self, teacher: "PolicyModule") -> Self:
        """Begins with the weights of `teacher` and follows it in training."""
        raise ConfigError("it learns from data alone", where=type(self).__name__, got=type(teacher))

    @property
    def reader(self) -> SentenceAndWords | None:
        """What encodes instructions, under ``instruction`` in a batch; None if it reads none."""
        return None

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the standard normal numbers that make one candidate; () if it needs none."""
        return ()

    @abstractmethod
    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Turns noise (B, N, *noise_shape) into N normalised chunks per row, (B, N, P + H, A).

        A function of its arguments alone: all randomness is in `noise`, which is what makes a
        policy exportable, and its answers equal on every runtime.
        """

    def sample(
        self, batch: Batch, *, num_samples: int, generators: Sequence[np.random.Generator]
    ) -> Tensor:
        """Draws N normalised chunks per row, (B, N, P + H, A); one generator per row."""
        device = next(self.parameters()).device
        noise = standard_normal((num_samples, *self.noise_shape), generators)
        return self.decode(batch, torch.from_numpy(noise).to(device))


@runtime_checkable
class Remembers(Protocol):
    """A policy that keeps some of what it was trained on."""

    def memorise(self, windows: Batch, *, seed: int) -> None:
        """Chooses from all training windows, with the key ``episode``; before the first step.

        Raises:
            ConfigError: If what it would keep is too large.
        """
        ...


@dataclass(frozen=True)
class Trace:
    """Where the answers to B situations come from.

    Attributes:
        episode: (B,) of the data it was trained on.
        frame: (B,) of that episode.
        distance: (B,) from the situation to that frame, root mean square in the network's units.
        weight: (B,) how much of the answer is what was done there.
    """

    episode: Tensor
    frame: Tensor
    distance: Tensor
    weight: Tensor


@runtime_checkable
class Traceable(Protocol):
    """A policy that can say which demonstration an answer comes from."""

    def trace(self, batch: Batch) -> Trace:
        """Says so of every row of a normalised batch."""
        ...


def masked_mean(error: Tensor, is_pad: Tensor | None) -> Tensor:
    """Mean of (B, L, A), without the padded steps (B, L) if they are given.

    Every row counts the same however many of its steps are padding, so that the mean over parts
    of a batch is the mean over the batch.
    """
    if is_pad is None:
        return error.mean()
    keep = (~is_pad)[..., None].to(error.dtype)
    per_row = (error * keep).sum((1, 2)) / (keep.sum((1, 2)) * error.shape[-1]).clamp(min=1.0)
    return per_row.mean()


def scaled(batch: Batch, *chunks: Tensor) -> tuple[Tensor, ...]:
    """Returns chunks (B, L, A) times `ERROR_SCALE`, before they are compared with each other."""
    scale = batch.get(ERROR_SCALE)
    return chunks if scale is None else tuple(scale[:, None, None] * chunk for chunk in chunks)
