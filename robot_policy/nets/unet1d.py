"""1-D convolutional U-Net over the action axis with FiLM conditioning (Chi et al. 2023)."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.nets.chunk_layers import ChunkConv1d, ChunkGroupNorm, ChunkMish
from robot_policy.nets.draws import Draws
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
            ChunkConv1d(in_channels, out_channels, kernel, padding=kernel // 2),
            ChunkGroupNorm(groups, out_channels),
            ChunkMish(),
        )


class _ResidualBlock(nn.Module):
    """Two convolutions; between them FiLM: scale and bias per channel from the condition."""

    def __init__(
        self, in_channels: int, out_channels: int, *, condition: int, kernel: int, groups: int
    ) -> None:
        super().__init__()
        self.first = _ConvBlock(in_channels, out_channels, kernel=kernel, groups=groups)
        self.second = _ConvBlock(out_channels, out_channels, kernel=kernel, groups=groups)
        # Of two modules for the sake of their names in checkpoints; the Mish is applied by the
        # U-Net, once for all blocks.
        self.film = nn.Sequential(nn.Mish(), nn.Linear(condition, 2 * out_channels))
        self.skip = (
            nn.Identity()
            if in_channels == out_channels
            else ChunkConv1d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor, film: Tensor) -> Tensor:
        scale, bias = film[..., None].chunk(2, dim=1)
        return self.second(torch.addcmul(bias, scale, self.first(x))) + self.skip(x)


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
        self._step_size = step_embedding
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
                nn.Identity() if last else ChunkConv1d(width, width, 3, stride=2, padding=1)
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
            ChunkConv1d(previous, action_size, 1),
        )

    def forward(
        self, actions: Tensor, step: Tensor, condition: Tensor, *, draws: Draws | None = None
    ) -> Tensor:
        """Returns (B, L, A); L must be a multiple of ``shortest_length``.

        Args:
            actions: (B, L, A), noised.
            step: (B,) diffusion steps.
            condition: (B, T, F) features of the observations.
            draws: Not used; a U-Net drops nothing.
        """
        del draws
        told = torch.cat([self.step_encoder(step), condition.flatten(1)], dim=-1)
        active = functional.mish(told)
        return self._denoise(actions, [film(active) for film in self._films])

    def prepare(self, condition: Tensor) -> Tensor:
        """Computes what does not depend on the diffusion step.

        Args:
            condition: (B, T, F) features of the observations.

        Returns:
            What the observations add to the scale and bias of every residual block, (B, M).
        """
        active = functional.mish(condition.flatten(1))
        return torch.cat(
            [
                functional.linear(active, f.weight[:, self._step_size :], f.bias)
                for f in self._films
            ],
            dim=-1,
        )

    def denoise(self, actions: Tensor, step: Tensor, prepared: Tensor) -> Tensor:
        """Like `forward`, with what `prepare` computed in place of the features.

        `step` may be (1,) where all rows are at the same step.
        """
        active = functional.mish(self.step_encoder(step))
        films = [functional.linear(active, f.weight[:, : self._step_size]) for f in self._films]
        parts = prepared.split([film.shape[-1] for film in films], dim=-1)
        return self._denoise(actions, [a + b for a, b in zip(films, parts, strict=True)])

    @property
    def _films(self) -> list[nn.Linear]:
        """The linear layer of every residual block's FiLM, in the order in which they run."""
        levels = [*self.down, self.middle, *self.up]
        blocks = [block for level in levels for block in level.children()]
        return [b.film[1] for b in blocks if isinstance(b, _ResidualBlock)]  # pyright: ignore

    def _denoise(self, actions: Tensor, films: Sequence[Tensor]) -> Tensor:
        film = iter(films)
        x = actions.transpose(1, 2)  # (B, A, L)
        skips: list[Tensor] = []
        for blocks, shrink in zip(self.down, self.shrink, strict=True):
            x = _run(blocks, x, film)
            skips.append(x)
            x = shrink(x)
        x = _run(self.middle, x, film)
        for blocks, grow in zip(self.up, self.grow, strict=True):
            x = _run(blocks, torch.cat([x, skips.pop()], dim=1), film)
            x = grow(x)
        return self.head(x).transpose(1, 2)


def _pair(in_channels: int, out_channels: int, options: dict[str, int]) -> nn.ModuleList:
    return nn.ModuleList(
        [
            _ResidualBlock(in_channels, out_channels, **options),
            _ResidualBlock(out_channels, out_channels, **options),
        ]
    )


def _run(blocks: nn.Module, x: Tensor, film: Iterator[Tensor]) -> Tensor:
    for block in blocks.children():
        x = block(x, next(film))
    return x
