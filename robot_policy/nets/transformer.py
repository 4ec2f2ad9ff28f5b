"""Transformer decoder over the action axis that attends to the observations (Chi et al. 2023).

https://arxiv.org/abs/2303.04137, section 3.1 and appendix A.
"""

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.nets.attention import CrossAttention, SelfAttention
from robot_policy.nets.draws import Draws
from robot_policy.nets.dropout import dropout
from robot_policy.nets.unet1d import SinusoidalEmbedding

_INITIAL_STD = 0.02
_FEED_FORWARD = 4
"""Width of the feed-forward layers over the width of the tokens."""


class ConditionalTransformer(nn.Module):
    """Predicts noise (or the clean sample) for a chunk of actions.

    The L action tokens attend to those before them and to the memory: one token of the diffusion
    step and one per observation. What the memory says of the observations is the same at every
    denoising step; `prepare` computes it once, `denoise` takes it.

    Args:
        action_size: A.
        condition_size: Length F of the features of one observation.
        length: L, actions in a chunk.
        history: T, observations.
        layers: Decoder layers.
        heads: Attention heads; must divide `width`.
        width: Length of a token, even.
        dropout: Rate, of the attention and of what every sub-layer adds; in training only.
        causal: Whether action slot i sees the observations up to slot i's time only. The chunk
            begins at the first observation, so that slot i sees the observations 0 .. i, and
            those from now on see all.

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
        causal: bool,
    ) -> None:
        super().__init__()
        _check(layers=layers, heads=heads, width=width, rate=dropout)
        self.action_embedding = nn.Linear(action_size, width)
        self.action_position = nn.Parameter(torch.empty(length, width))
        self.step_embedding = SinusoidalEmbedding(width)
        self.condition_embedding = nn.Linear(condition_size, width)
        self.memory_position = nn.Parameter(torch.empty(1 + history, width))
        hidden = _FEED_FORWARD * width
        self.memory_encoder = nn.Sequential(
            nn.Linear(width, hidden), nn.Mish(), nn.Linear(hidden, width)
        )
        visible = _visible(length, history) if causal else None
        self.layers = nn.ModuleList(
            _DecoderLayer(width, heads=heads, rate=dropout, visible=visible) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, action_size)
        self.apply(_initialise)
        for position in (self.action_position, self.memory_position):
            nn.init.normal_(position, std=_INITIAL_STD)

    def forward(
        self, actions: Tensor, step: Tensor, condition: Tensor, *, draws: Draws | None = None
    ) -> Tensor:
        """Returns (B, L, A).

        Args:
            actions: (B, L, A), noised.
            step: (B,) diffusion steps.
            condition: (B, T, F) features of the observations.
            draws: In training, for the dropout; None drops nothing.
        """
        return self.denoise(actions, step, self.prepare(condition), draws=draws)

    def prepare(self, condition: Tensor) -> Tensor:
        """Computes what does not depend on the diffusion step.

        Args:
            condition: (B, T, F) features of the observations.

        Returns:
            Keys and values of the observations in every layer, batch axis first,
            (B, layers, 2, heads, T, width / heads).
        """
        tokens = self.condition_embedding(condition) + self.memory_position[1:]
        memory = self.memory_encoder(tokens)
        return torch.stack([layer.cross.keys_values(memory) for layer in self._layers], dim=1)

    def denoise(
        self, actions: Tensor, step: Tensor, prepared: Tensor, *, draws: Draws | None = None
    ) -> Tensor:
        """Like `forward`, with what `prepare` computed in place of the features.

        `step` may be (1,) where all rows are at the same step.
        """
        x, memory = self._tokens(actions, step)
        for index, layer in enumerate(self._layers):
            keys_values = torch.cat([layer.cross.keys_values(memory), prepared[:, index]], dim=-2)
            x = layer(x, keys_values, draws=draws)
        return self.head(self.norm(x))

    def attention(self, actions: Tensor, step: Tensor, condition: Tensor) -> Tensor:
        """Weights with which actions attend to the step (entry 0) and the observations.

        Returns:
            (B, layers, heads, L, 1 + T), each row of the last axis summing to 1.
        """
        prepared = self.prepare(condition)
        x, memory = self._tokens(actions, step)
        weights: list[Tensor] = []
        for index, layer in enumerate(self._layers):
            keys_values = torch.cat([layer.cross.keys_values(memory), prepared[:, index]], dim=-2)
            weights.append(layer.cross_weights(x, keys_values))
            x = layer(x, keys_values)
        return torch.stack(weights, dim=1)

    def _tokens(self, actions: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Action tokens (B, L, width), and the memory of the step (B, 1, width)."""
        step_token = self.step_embedding(step)[:, None].to(actions.dtype)
        memory = self.memory_encoder(step_token + self.memory_position[:1])
        memory = memory.expand(actions.shape[0], -1, -1)
        return self.action_embedding(actions) + self.action_position, memory

    @property
    def _layers(self) -> "list[_DecoderLayer]":
        return [layer for layer in self.layers if isinstance(layer, _DecoderLayer)]


class _DecoderLayer(nn.Module):
    """x += self(norm(x)); x += cross(norm(x), memory); x += feed_forward(norm(x))."""

    def __init__(self, width: int, *, heads: int, rate: float, visible: Tensor | None) -> None:
        super().__init__()
        self._rate = rate
        self.self_norm = nn.LayerNorm(width)
        self.self_attention = SelfAttention(width, heads=heads, rate=rate)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = CrossAttention(width, heads=heads, rate=rate, visible=visible)
        self.feed_norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, _FEED_FORWARD * width)
        self.narrow = nn.Linear(_FEED_FORWARD * width, width)
        self.activation = nn.GELU()

    def forward(self, x: Tensor, keys_values: Tensor, *, draws: Draws | None = None) -> Tensor:
        x = self._attend_to_actions(x, draws)
        attended = self.cross(self.cross_norm(x), keys_values, draws=draws)
        x = x + dropout(attended, self._rate, draws)
        hidden = dropout(self.activation(self.widen(self.feed_norm(x))), self._rate, draws)
        return x + dropout(self.narrow(hidden), self._rate, draws)

    def cross_weights(self, x: Tensor, keys_values: Tensor) -> Tensor:
        """Weights (B, heads, L, 1 + T) that the cross-attention would use for `x`."""
        return self.cross.weights(self.cross_norm(self._attend_to_actions(x, None)), keys_values)

    def _attend_to_actions(self, x: Tensor, draws: Draws | None) -> Tensor:
        attended = self.self_attention(self.self_norm(x), draws=draws)
        return x + dropout(attended, self._rate, draws)


def _visible(length: int, history: int) -> Tensor:
    """(L, 1 + T) bool: the step always, observation j from slot i if j <= i."""
    observations = torch.arange(history)[None] <= torch.arange(length)[:, None]
    return torch.cat([torch.ones(length, 1, dtype=torch.bool), observations], dim=-1)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=_INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check(*, layers: int, heads: int, width: int, rate: float) -> None:
    if layers < 1 or heads < 1:
        raise ConfigError(
            "layers and heads must be positive", where="transformer", got=f"{layers}, {heads}"
        )
    if width % 2 or width % heads or width < 4:
        raise ConfigError(
            "the width does not suit the heads",
            where="width",
            expected=f"an even multiple of {heads} heads, at least 4",
            got=width,
        )
    if not 0.0 <= rate < 1.0:
        raise ConfigError("out of range", where="dropout", expected="[0, 1)", got=rate)
