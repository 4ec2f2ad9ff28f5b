"""The transformer of the denoising policies, asked for the chunk itself."""

import torch
from torch import Tensor, nn

from robot_policy.nets.draws import Draws
from robot_policy.nets.transformer import ConditionalTransformer


class RegressionTransformer(nn.Module):
    """Decoder whose action tokens are learned places instead of noised actions, at step 0.

    Args:
        action_size: A.
        condition_size: Length F of the features of one observation.
        length: L, actions in a chunk.
        history: T, observations; every action sees all of them.
        layers: Decoder layers.
        heads: Attention heads; must divide `width`.
        width: Length of a token, even.
        dropout: Rate; in training only.

    Raises:
        ConfigError: If a size is out of range, or `width` is odd or no multiple of `heads`.
    """

    def __init__(
        self,
        action_size: int,
        condition_size: int,
        *,
        length: int,
        history: int,
        layers: int,
        heads: int,
        width: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(length, action_size))
        self.decoder = ConditionalTransformer(
            action_size,
            condition_size,
            length=length,
            history=history,
            layers=layers,
            heads=heads,
            width=width,
            dropout=dropout,
            causal=False,
        )

    def forward(self, condition: Tensor, *, draws: Draws | None = None) -> Tensor:
        """Returns the chunk (B, L, A) for the features (B, T, F) of the observations."""
        places = self.places.expand(condition.shape[0], -1, -1)
        step = condition.new_zeros(1)
        return self.decoder(places, step, condition, draws=draws)
