"""1-D convolutional U-Net over the action axis with FiLM conditioning (Chi et al. 2023)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.nets.mlp import mlp


class SinusoidalEmbedding(nn.Module):
    """Embeds a diffusion step k as sin and cos of k * 10000^(-i/(d/2 - 1)).

    Args:
        size: Length d of the embedding, even.
    """

    frequencies: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        half = size // 2
        exponents = torch.arange(half) * (-math.log(10_000.0) / (half - 1))
        self.register_buffer("frequencies", exponents.exp(), persistent=False)

    def forward(self, step: Tensor) -> Tensor:
        """Returns (B, size) for steps (B,)."""
        angles = step[:, None].float() * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class _ConvBlock(nn.Sequential):
    """Conv, GroupNorm, Mish; (B, C, L) to (B, C', L)."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, groups: int) -> None:
        super().__init__(
            nn.Conv1d(in_channels, out_channels, kernel, padding=kernel // 2),
            nn.GroupNorm(groups, out_channels),
            nn.Mish(),
        )


class _ResidualBlock(nn.Module):
    """Two convolutions; between them FiLM: scale and bias per channel from the condition."""

    def __init__(
        self, in_channels: int, out_channels: int, *, condition: int, kernel: int, groups: int
    ) -> None:
        super().__init__()
        self.first = _ConvBlock(in_channels, out_channels, kernel=kernel, groups=groups)
        self.second = _ConvBlock(out_channels, out_channels, kernel=kernel, groups=groups)
        self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * out_channels))
        self.skip = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv1d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, bias = self.film(condition)[..., None].chunk(2, dim=1)
        return self.second(scale * self.first(x) + bias) + self.skip(x)


class ConditionalUnet1d(nn.Module):
    """Predicts noise (or the clean sample) for a chunk of actions.

    Each level halves the time axis, except the last; skip connections join the ways down and up.
    The condition is the embedding of the diffusion step beside the observation features, and
    enters every residual block by FiLM.

    Args:
        action_size: A.
        condition_size: Length of the observation features.
        channels: Channels per level.
        kernel: Odd kernel size.
        groups: Of GroupNorm; must divide every entry of `channels`.
        step_embedding: Length of the step embedding.

    Raises:
        ConfigError: If `groups` does not divide the channels or `kernel` is even.
    """

    def __init__(
        self,
        action_size: int,
        condition_size: int,
        *,
        channels: Sequence[int],
        kernel: int,
        groups: int,
        step_embedding: int,
    ) -> None:
        super().__init__()
        if any(c % groups for c in channels):
            raise ConfigError(
                "groups must divide every entry of channels",
                where="groups",
                expected=f"a divisor of {tuple(channels)}",
                got=groups,
            )
        if kernel % 2 == 0:
            raise ConfigError("the kernel must be odd", where="kernel", got=kernel)
        self.shortest_length = 2 ** (len(channels) - 1)
        self.step_encoder = nn.Sequential(
            SinusoidalEmbedding(step_embedding),
            mlp(step_embedding, [4 * step_embedding], step_embedding),
        )
        options = {
            "condition": step_embedding + condition_size,
            "kernel": kernel,
            "groups": groups,
        }
        self.down = nn.ModuleList()
        self.shrink = nn.ModuleList()
        previous = action_size
        for level, width in enumerate(channels):
            self.down.append(_pair(previous, width, options))
            last = level == len(channels) - 1
            self.shrink.append(
                nn.Identity() if last else nn.Conv1d(width, width, 3, stride=2, padding=1)
            )
            previous = width
        self.middle = _pair(previous, previous, options)
        self.up = nn.ModuleList()
        self.grow = nn.ModuleList()
        for width in reversed(channels[:-1]):
            self.up.append(_pair(2 * previous, width, options))
            self.grow.append(nn.ConvTranspose1d(width, width, 4, stride=2, padding=1))
            previous = width
        self.head = nn.Sequential(
            _ConvBlock(previous, previous, kernel=kernel, groups=groups),
            nn.Conv1d(previous, action_size, 1),
        )

    def forward(self, actions: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Returns (B, L, A) for noisy actions (B, L, A), steps (B,) and features (B, C).

        L must be a multiple of ``shortest_length``.
        """
        condition = torch.cat([self.step_encoder(step), condition], dim=-1)
        x = actions.transpose(1, 2)  # (B, A, L)
        skips: list[Tensor] = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            x = _run(blocks, x, condition)
            skips.append(x)
            x = shrink(x)
        x = _run(self.middle, x, condition)
        for blocks, grow in zip(self.up, self.grow, strict=True):
            x = _run(blocks, torch.cat([x, skips.pop()], dim=1), condition)
            x = grow(x)
        return self.head(x).transpose(1, 2)


def _pair(in_channels: int, out_channels: int, options: dict[str, int]) -> nn.ModuleList:
    return nn.ModuleList(
        [
            _ResidualBlock(in_channels, out_channels, **options),
            _ResidualBlock(out_channels, out_channels, **options),
        ]
    )


def _run(blocks: nn.Module, x: Tensor, condition: Tensor) -> Tensor:
    for block in blocks.children():
        x = block(x, condition)
    return x
