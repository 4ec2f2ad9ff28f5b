"""What a critic is: a network with a loss that judges chunks of actions."""

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.nets.trainable import Batch, TrainableModule

NEXT = "next."
"""Prefix of the keys of what is seen when the chunk has been executed."""
RETURN = "return"
"""(B,) discounted return of the episode from now on."""
REWARD = "reward"
"""(B,) discounted rewards while the chunk is executed."""
DISCOUNT = "discount"
"""(B,) gamma^n, or 0 where nothing follows."""
COUNT = "action_count"
"""(B,) int, actions of the chunk that are executed."""
SUCCESS = "success"
"""(B,) 1 where the episode succeeds, else 0."""
OTHERS = "action_of_others"
"""(B, M, H, A) chunks that were recorded at M moments chosen at random."""
OTHER_CHUNKS = 4
"""M."""
INTERVENED = "intervened"
"""(B,) 1 where a person drove instead of a policy, else 0."""
PROPOSED = "action_of_policy"
"""(B, H, A) chunks that the policy wanted then; the executed ones where there was none."""


class Critic[C: CriticConfig](TrainableModule[C]):
    """Base of everything that judges chunks.

    A subclass is one file; a line in `robot_policy.critics.registry` makes it known. Its batches
    have the entries above beside those of a policy, and no past actions.

    Attributes:
        learns_values: Whether it needs labels of returns; its judgement then is in their units.
        needs_interventions: Whether it learns from where people took over from a policy.
    """

    learns_values: ClassVar[bool] = True
    needs_interventions: ClassVar[bool] = False
    sampling_options = frozenset({"pessimism"})

    @classmethod
    def complete_spec(cls, config: C, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon; a critic reads the instruction."""
        return replace(
            source,
            history=config.history,
            horizon=config.horizon,
            past=0,
            needs_instruction=True,
        )

    @abstractmethod
    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W): once for all candidates."""

    @abstractmethod
    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns the heads' judgements (E, B, N) of normalised chunks (B, N, L, A)."""


def pessimistic(values: Tensor, k: float) -> Tensor:
    """Returns mean - k std over the first axis; with two heads and k = 1 it is the smaller one."""
    mean = values.mean(0)
    if k == 0 or len(values) == 1:
        return mean
    # The root's slope is infinite at 0, where members agree.
    variance = values.var(0, unbiased=False)
    return mean - k * torch.sqrt(variance + 1e-12)


def chunk_of(batch: Batch) -> Tensor:
    """Returns the chunks that were executed, (B, 1, H, A)."""
    return batch[ACTION][:, None]


def next_batch(batch: Batch) -> dict[str, Tensor]:
    """Returns what is seen after the chunk, under the usual keys; the instruction stays."""
    following = {k.removeprefix(NEXT): v for k, v in batch.items() if k.startswith(NEXT)}
    return {**batch, **following}
