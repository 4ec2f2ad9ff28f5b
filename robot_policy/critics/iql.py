"""Implicit Q-learning (Kostrikov et al. 2022, https://arxiv.org/abs/2110.06169) over chunks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import COUNT, DISCOUNT, REWARD, chunk_of, next_batch
from robot_policy.critics.value_critic import ValueCritic, expectile_loss
from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp
from robot_policy.nets.trainable import Batch


@dataclass(frozen=True)
class IqlConfig(CriticConfig):
    """Hyper-parameters of `Iql`."""

    expectile: float = 0.7
    """tau of the expectile that V is of Q; 1/2 is the mean, 1 the largest."""
    target_rate: float = 0.005
    """Part by which the target network follows in every step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.5 <= self.expectile < 1.0:
            raise ConfigError(
                "out of range", where="expectile", expected="[0.5, 1)", got=self.expectile
            )


class Iql(ValueCritic[IqlConfig]):
    """Learns from recorded chunks only, never from chunks of its own making.

    V is an expectile of the target network's Q over the recorded chunks,
    E |tau - [Q' - V < 0]| (Q' - V)^2, and Q is regressed on R + gamma^n V(o'), R the discounted
    rewards of the n executed steps and o' what is seen after them.
    """

    config_type = IqlConfig
    presets: ClassVar[Mapping[str, IqlConfig]] = {
        "cpu": IqlConfig(vision_width=16),
        "gpu": IqlConfig(width=512, hidden=(512, 512)),
    }

    def __init__(self, config: IqlConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec, tau=config.target_rate)
        self.v = mlp(config.width, config.hidden, 1)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the loss of Q plus that of V; draws only the crops of the images."""
        features = self.q.encode(batch, draws=draws)
        with torch.no_grad():
            following = next_batch(batch)
            later = self._value(self.q.encode(following))
            target = batch[REWARD] + batch[DISCOUNT] * later
        q_loss = self.regression(features, batch, target)
        judged = self.target_value(batch, chunk_of(batch), counts=batch[COUNT])[:, 0]
        error = (judged - self._value(features)) / self._range
        return q_loss + expectile_loss(error, self.config.expectile).mean()

    @property
    def _range(self) -> float:
        return self.config.value_high - self.config.value_low

    def _value(self, features: Tensor) -> Tensor:
        """V (B,), within the range of the labels."""
        raw = self.v(features)[:, 0].float()
        return self.config.value_low + self._range * raw
