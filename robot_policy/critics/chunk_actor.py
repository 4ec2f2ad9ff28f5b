"""A policy that exists only while a critic is trained: a squashed Gaussian over whole chunks."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp

_LOG_STD = (-5.0, 1.0)


class ChunkActor(nn.Module):
    """a = tanh(mu + sigma eps) over the H * A numbers of a normalised chunk.

    Args:
        features: W, of the trunk.
        hidden: Width of each hidden layer.
        length: H.
        action_size: A.
    """

    def __init__(
        self, features: int, hidden: tuple[int, ...], *, length: int, action_size: int
    ) -> None:
        super().__init__()
        self._action_size = action_size
        self.net = mlp(features, hidden, 2 * length * action_size)

    @property
    def size(self) -> int:
        """Numbers in a chunk."""
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        return last.out_features // 2

    def sample(self, features: Tensor, *, count: int, draws: Draws) -> tuple[Tensor, Tensor]:
        """Draws chunks.

        Args:
            features: (B, W).
            count: N.
            draws: Of the training step.

        Returns:
            Chunks (B, N, H, A) and log densities (B, N), both with gradients.
        """
        mean, log_std = self.net(features).float().chunk(2, dim=-1)
        low, high = _LOG_STD
        log_std = low + 0.5 * (high - low) * (torch.tanh(log_std) + 1.0)
        noise = draws.normal((len(features), count, mean.shape[-1]))
        raw = mean[:, None] + log_std.exp()[:, None] * noise
        density = -0.5 * (noise.square() + math.log(2 * math.pi)) - log_std[:, None]
        # log |d tanh(x) / dx| = 2 (log 2 - x - softplus(-2x)), which does not underflow.
        squash = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
        chunks = torch.tanh(raw).unflatten(-1, (-1, self._action_size))
        return chunks, (density - squash).sum(-1)
