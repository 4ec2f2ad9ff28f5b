"""Proxy value propagation: what people do when they take over, without any reward."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import (
    COUNT,
    DISCOUNT,
    INTERVENED,
    PROPOSED,
    chunk_of,
    next_batch,
)
from robot_policy.critics.value_critic import ValueCritic
from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp
from robot_policy.nets.trainable import Batch

_PROXY = 1.0
_MARGIN = 0.05


@dataclass(frozen=True)
class ProxyValueConfig(CriticConfig):
    """Hyper-parameters of `ProxyValue`."""

    propagation: float = 1.0
    """Weight of the temporal difference, which carries the proxy values to other situations."""
    target_rate: float = 0.005
    """Part by which the target network follows in every step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.propagation < 0:
            raise ConfigError("must not be negative", where="propagation", got=self.propagation)


class ProxyValue(ValueCritic[ProxyValueConfig]):
    """Q = +1 for what a person did after taking over, -1 for what the policy wanted there.

    After Peng et al. 2023, "Learning from Active Human Involvement through Proxy Value
    Propagation" (https://arxiv.org/abs/2502.03369):

    E_h [ell(Q(o, a_h), 1) + ell(Q(o, a_p), -1)] + w E ell(Q(o, a), gamma^n V(o')), with no reward.

    Deviations: chunks instead of actions; the value of what follows is V, regressed on the target
    network's Q of the recorded chunks, so that no actor has to be trained along with it.
    """

    config_type = ProxyValueConfig
    presets: ClassVar[Mapping[str, ProxyValueConfig]] = {
        "cpu": ProxyValueConfig(vision_width=16),
        "gpu": ProxyValueConfig(width=512, hidden=(512, 512)),
    }
    learns_values = False
    needs_interventions = True

    def __init__(self, config: ProxyValueConfig, spec: PolicySpec) -> None:
        # Its values are no returns: their range does not come from labels.
        config = replace(config, value_low=-_PROXY - _MARGIN, value_high=_PROXY + _MARGIN)
        super().__init__(config, spec, tau=config.target_rate)
        self.v = mlp(config.width, config.hidden, 1)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the proxy losses, the temporal difference and the loss of V, summed."""
        features = self.q.encode(batch, draws=draws)
        with torch.no_grad():
            later = self._value(self.q.encode(next_batch(batch)))
            judged = self.target_value(batch, chunk_of(batch), counts=batch[COUNT])[:, 0]
        value_loss = (judged - self._value(features)).square().mean()
        difference = self.regression(features, batch, batch[DISCOUNT] * later)
        return self._proxy_loss(features, batch) + self.config.propagation * difference + value_loss

    def _proxy_loss(self, features: Tensor, batch: Batch) -> Tensor:
        """Over the rows where a person drove; 0 in a batch without any."""
        chunks = torch.stack([batch[ACTION], batch[PROPOSED]], dim=1)
        outputs = self.q(features, chunks, counts=batch[COUNT])  # (E, B, 2, outputs)
        shape = outputs.shape[:2]
        human, policy = (
            self.head.loss(outputs[:, :, i], outputs.new_full(shape, proxy))
            for i, proxy in enumerate((_PROXY, -_PROXY))
        )
        driven = batch[INTERVENED].to(human.dtype)
        return ((human + policy) * driven).sum(-1).mean() / driven.sum().clamp(min=1.0)

    def _value(self, features: Tensor) -> Tensor:
        """V (B,)."""
        return torch.tanh(self.v(features)[:, 0].float())
