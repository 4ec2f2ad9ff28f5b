"""Language reward: how far what is seen has got with what was asked for.

After LIV (Ma et al. 2023, https://arxiv.org/abs/2306.00958) and Video-Language Critic (Alakuijala
et al. 2024, https://arxiv.org/abs/2405.19988): a value of image and text, higher later in a success
and low for other instructions. Its differences reward data that has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import RETURN, SUCCESS, Critic
from robot_policy.critics.q_network import QNetwork
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION
from robot_policy.nets.mlp import mlp
from robot_policy.nets.trainable import Batch


@dataclass(frozen=True)
class LanguageRewardConfig(CriticConfig):
    """Hyper-parameters of `LanguageReward`."""

    ranking: float = 0.1
    """Weight of the order: of two moments the one with the higher return must be said to be
    further."""


class LanguageReward(Critic[LanguageRewardConfig]):
    """v(o, l), which no action changes: the discounted return of a success, by regression.

    With G the return, L = mean (v - G)^2 over successes, + mean v(o, l')^2 with the instruction l'
    of another row, + w mean softplus(-(v_i - v_j) sign(G_i - G_j)) over rows i = 2k, j = 2k + 1.
    """

    config_type = LanguageRewardConfig
    presets: ClassVar[Mapping[str, LanguageRewardConfig]] = {
        "cpu": LanguageRewardConfig(vision_width=16),
        "gpu": LanguageRewardConfig(width=512, hidden=(512, 512)),
    }

    def __init__(self, config: LanguageRewardConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.trunk = QNetwork(config, spec, outputs=1)
        del self.trunk.heads  # which would judge actions
        self.value = mlp(config.width, config.hidden, config.ensemble)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the mean over the rows."""
        wanted = batch[RETURN]
        values = self.value(self.trunk.encode(batch, draws=draws)).T  # (E, B)
        told = batch[INSTRUCTION].roll(1, 0)
        differs = ((told - batch[INSTRUCTION]).abs().amax(1) > 0).to(values.dtype)
        other = self.value(self.trunk.encode({**batch, INSTRUCTION: told}, draws=draws)).T
        least = self.config.value_low
        loss = (values - wanted).square().mean() + ((other - least).square() * differs).mean()
        even = len(wanted) // 2 * 2
        gap = values[:, 0:even:2] - values[:, 1:even:2]
        later = (wanted[0:even:2] - wanted[1:even:2]).sign()
        kept = later.abs() * batch[SUCCESS][0:even:2] * batch[SUCCESS][1:even:2]
        return loss + self.config.ranking * (functional.softplus(-gap * later) * kept).sum() / max(
            1, gap.numel()
        )

    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W)."""
        return self.trunk.encode(batch)

    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns the value of what is seen for every candidate, (E, B, N)."""
        values = self.value(features).T[..., None]
        return values.expand(-1, -1, actions.shape[1])


def rewards_of(progress: NDArray[np.floating], *, discount: float = 1.0) -> NDArray[np.float32]:
    """Rewards r_t = discount v_{t+1} - v_t of an episode's progress v (L,); the last is 0.

    A difference of potentials changes no optimal policy (Ng et al. 1999).
    """
    rewards = np.zeros(len(progress), dtype=np.float32)
    rewards[:-1] = discount * progress[1:] - progress[:-1]
    return rewards
