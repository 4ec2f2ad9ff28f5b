"""Preference: a reward learned from which of two chunks is better (Bradley and Terry 1952)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import COUNT, OTHERS, RETURN, SUCCESS, Critic, chunk_of
from robot_policy.critics.q_network import QNetwork
from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch


@dataclass(frozen=True)
class PreferenceConfig(CriticConfig):
    """Hyper-parameters of `Preference`."""

    preferences: Literal["expert", "returns", "both"] = "both"
    """Who is better: the chunk closer to a successful recorded one, the one that a higher return
    followed, or one comparison of each kind."""
    noise: tuple[float, ...] = (0.05, 0.4)
    """Least and largest standard deviation of the noise on the chunks that are compared, in
    normalised actions."""
    margin: float = 0.1
    """Weight with which the difference of rewards is drawn to that of the distances, for
    closeness."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.noise) != 2 or not 0 <= self.noise[0] <= self.noise[1]:
            raise ConfigError(
                "needs a least and a largest", where="noise", expected="0 <= a <= b", got=self.noise
            )


class Preference(Critic[PreferenceConfig]):
    """P(a > b) = sigma(r(o, a) - r(o', b)), minimising -log P of what is preferred.

    ``expert``: a and b are the recorded chunk with noise, or one of another moment, both judged for
    the same observation; the one with the smaller root mean square distance to the recorded chunk
    of a success wins, and margin (r_a - r_b - (d_b - d_a))^2 is added. ``returns``: a and b are the
    recorded chunks of two moments; the one that a higher return followed wins (as DeformPAM ranks
    actions without a world model, https://arxiv.org/abs/2410.11584). Rows 2k and 2k + 1 of a batch
    are compared, so that parts of an even size see the same pairs.
    """

    config_type = PreferenceConfig
    presets: ClassVar[Mapping[str, PreferenceConfig]] = {
        "cpu": PreferenceConfig(vision_width=16),
        "gpu": PreferenceConfig(width=512, hidden=(512, 512)),
    }

    def __init__(self, config: PreferenceConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.reward = QNetwork(config, spec, outputs=1)

    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W)."""
        return self.reward.encode(batch)

    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns rewards (E, B, N)."""
        return self.reward(features, actions)[..., 0].float()

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the mean of the comparisons' losses."""
        features = self.reward.encode(batch, draws=draws)
        losses: list[Tensor] = []
        if self.config.preferences != "returns":
            losses.append(self._closeness(features, batch, draws))
        if self.config.preferences != "expert":
            losses.append(self._returns(features, batch))
        return torch.stack(losses).sum()

    def _closeness(self, features: Tensor, batch: Batch, draws: Draws) -> Tensor:
        recorded = chunk_of(batch)
        low, high = self.config.noise
        shape = (len(recorded), 3, *recorded.shape[2:])
        scale = low + (high - low) * draws.uniform((len(recorded), 3))[..., None, None]
        noisy = recorded + scale * draws.normal(shape)
        chunks = torch.cat([noisy, batch[OTHERS][:, :1]], dim=1)  # (B, 4, H, A)
        distance = (chunks - recorded).square().mean((2, 3)).sqrt()  # (B, 4)
        rewards = self.reward(features, chunks, counts=batch[COUNT])[..., 0].float()
        gap = rewards[..., :, None] - rewards[..., None, :]  # (E, B, 4, 4)
        closer = distance[:, None, :] - distance[:, :, None]  # above 0: the first is closer
        wrong = (
            functional.softplus(-gap * closer.sign()) + self.config.margin * (gap - closer).square()
        )
        kept = (closer > 0) * batch[SUCCESS][:, None, None]
        return (wrong * kept).sum((-1, -2)).mean() / 6.0

    def _returns(self, features: Tensor, batch: Batch) -> Tensor:
        rewards = self.reward(features, chunk_of(batch), counts=batch[COUNT])[:, :, 0, 0].float()
        even = len(batch[RETURN]) // 2 * 2
        gap = rewards[:, 0:even:2] - rewards[:, 1:even:2]
        better = (batch[RETURN][0:even:2] - batch[RETURN][1:even:2]).sign()
        wrong = functional.softplus(-gap * better) * better.abs()
        return wrong.sum(1).mean() / max(1, even // 2)
