"""What the critics that learn returns have in common: value heads and target networks."""

import copy

import torch
from torch import Tensor

from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import COUNT, Critic, chunk_of, pessimistic
from robot_policy.critics.q_network import QNetwork
from robot_policy.nets.trainable import Batch
from robot_policy.nets.value_head import ValueHead, make_value_head


class ValueCritic[C: CriticConfig](Critic[C]):
    """Q_e(o, l, a_1..a_H): the discounted return after executing the chunk.

    Args:
        config: Hyper-parameters.
        spec: Of the critic.
        tau: Part by which the target network follows in every step; None for no target network.
    """

    def __init__(self, config: C, spec: PolicySpec, *, tau: float | None = None) -> None:
        super().__init__(config, spec)
        self.head: ValueHead = make_value_head(
            config.head, low=config.value_low, high=config.value_high, bins=config.bins
        )
        self.q = QNetwork(config, spec, outputs=self.head.outputs)
        self._tau = tau
        self.target: QNetwork | None = None
        if tau is not None:
            self.target = copy.deepcopy(self.q).requires_grad_(False)

    @torch.no_grad()
    def after_step(self) -> None:
        """Lets the target network follow: target <- (1 - tau) target + tau q."""
        if self.target is None or self._tau is None:
            return
        for old, new in zip(self.target.parameters(), self.q.parameters(), strict=True):
            old.lerp_(new, self._tau)

    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W)."""
        return self.q.encode(batch)

    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns values (E, B, N)."""
        return self.head.value(self.q(features, actions))

    def regression(self, features: Tensor, batch: Batch, target: Tensor) -> Tensor:
        """Returns the heads' mean loss of the executed chunks' values against (B,) targets."""
        outputs = self.q(features, chunk_of(batch), counts=batch[COUNT])[:, :, 0]
        return self.head.loss(outputs, target.expand(outputs.shape[:2])).mean()

    @torch.no_grad()
    def target_value(self, batch: Batch, actions: Tensor, *, counts: Tensor | None) -> Tensor:
        """Returns the target network's pessimistic values (B, N) of chunks (B, N, H, A)."""
        assert self.target is not None
        outputs = self.target(self.target.encode(batch), actions, counts=counts)
        return pessimistic(self.head.value(outputs), self.config.pessimism)


def expectile_loss(error: Tensor, expectile: float) -> Tensor:
    """|tau - [error < 0]| error^2, unreduced; above 1/2 it leans to what is high."""
    weight = torch.where(error < 0, 1.0 - expectile, expectile)
    return weight * error.square()
