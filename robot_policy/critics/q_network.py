"""The network of a critic: a trunk over what is seen and asked for, heads over what is done."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.nets.draws import Draws
from robot_policy.nets.ensemble import ConditionalEnsemble
from robot_policy.nets.language import INSTRUCTION
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.trainable import Batch


class QNetwork(nn.Module):
    """f_e(o, l, a_1..a_H), e = 1..E: E heads over the features of one trunk.

    Args:
        config: Sizes.
        spec: Of the critic.
        outputs: Numbers that a head gives.
    """

    def __init__(self, config: CriticConfig, spec: PolicySpec, *, outputs: int) -> None:
        super().__init__()
        self._length = spec.horizon
        self._masked = config.variable_length
        self.encoder = ObservationEncoder(spec, config)
        size = self.encoder.out_features + config.text_features
        self.trunk = nn.Sequential(
            nn.Linear(size, config.width),
            nn.LayerNorm(config.width),
            nn.Mish(),
            nn.Linear(config.width, config.width),
            nn.LayerNorm(config.width),
            nn.Mish(),
        )
        self.heads = ConditionalEnsemble(
            config.ensemble,
            condition=config.width,
            actions=spec.horizon * (spec.action.size + self._masked),
            hidden=config.hidden,
            out_features=outputs,
        )

    def encode(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns the features of the trunk (B, W); `draws` in training, for the crops."""
        seen = self.encoder(batch, draws=draws).flatten(1)
        return self.trunk(torch.cat([seen, batch[INSTRUCTION].to(seen.dtype)], dim=-1))

    def forward(self, features: Tensor, actions: Tensor, *, counts: Tensor | None = None) -> Tensor:
        """Judges chunks.

        Args:
            features: (B, W) of the trunk.
            actions: (B, N, L, A), L <= H; what is missing to H counts as not executed.
            counts: (B,) how many of the L actions are executed; all of them if None.

        Returns:
            (E, B, N, outputs).
        """
        return self.heads(features, self.flat(actions, counts=counts))

    def flat(self, actions: Tensor, *, counts: Tensor | None = None) -> Tensor:
        """Returns what the heads see of chunks, (B, N, H * A), or with marks H * (A + 1)."""
        batch, _, length, _ = actions.shape
        if not self._masked:
            return actions.flatten(2)
        if counts is None:
            counts = torch.full((batch,), length, device=actions.device)
        actions = functional.pad(actions, (0, 0, 0, self._length - length))
        index = torch.arange(self._length, device=actions.device)
        executed = (index < counts[:, None])[:, None, :, None].to(actions.dtype)
        marks = executed.expand(*actions.shape[:3], 1)
        return torch.cat([actions * executed, marks], dim=-1).flatten(2)
