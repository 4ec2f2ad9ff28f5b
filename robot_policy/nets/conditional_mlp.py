"""Residual MLP over a whole action chunk: the cheapest backbone that denoises."""

from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp
from robot_policy.nets.unet1d import SinusoidalEmbedding


class ConditionalMlp(nn.Module):
    """Predicts noise (or the clean sample) for a chunk of actions taken as one vector.

    With c what the observations and the denoising step say,
    h_0 = W x + c_0 and h_{i+1} = h_i + B mish(A norm(h_i) + c_{i+1}); the answer is W' norm(h_n).
    One multiplication of matrices a layer makes it several times cheaper than convolutions on a
    CPU; what it lacks is any notion that neighbouring actions are alike.

    Args:
        action_size: A.
        condition_size: Length F of the features of one observation.
        length: L, actions in a chunk.
        history: T, observations.
        hidden: Width of the layers.
        blocks: Residual blocks n.
        step_embedding: Length of the embedding of the denoising step, even.

    Raises:
        ConfigError: If a size is out of range.
    """

    def __init__(
        self,
        action_size: int,
        condition_size: int,
        *,
        length: int,
        history: int,
        hidden: int,
        blocks: int,
        step_embedding: int,
    ) -> None:
        super().__init__()
        for name, value, least in (("hidden", hidden, 2), ("blocks", blocks, 1)):
            if value < least:
                raise ConfigError("too small", where=name, expected=f">= {least}", got=value)
        self._action_size = action_size
        narrow, terms = hidden // 2, (blocks + 1) * hidden
        self.step_encoder = nn.Sequential(
            SinusoidalEmbedding(step_embedding), nn.Linear(step_embedding, narrow), nn.Mish()
        )
        self.step_terms = nn.Linear(narrow, terms, bias=False)
        self.condition_encoder = nn.Sequential(
            mlp(history * condition_size, [hidden], narrow), nn.Mish()
        )
        self.condition_terms = nn.Linear(narrow, terms)
        self.enter = nn.Linear(length * action_size, hidden)
        self.blocks = nn.ModuleList(_Block(hidden) for _ in range(blocks))
        self.leave = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, length * action_size))

    def forward(
        self, actions: Tensor, step: Tensor, condition: Tensor, *, draws: Draws | None = None
    ) -> Tensor:
        """Returns (B, L, A).

        Args:
            actions: (B, L, A), noised.
            step: (B,) denoising steps.
            condition: (B, T, F) features of the observations.
            draws: Not used; nothing is dropped.
        """
        del draws
        return self.denoise(actions, step, self.prepare(condition))

    def prepare(self, condition: Tensor) -> Tensor:
        """Computes what the observations say to every block, (B, (n + 1) * hidden)."""
        return self.condition_terms(self.condition_encoder(condition.flatten(1)))

    def denoise(self, actions: Tensor, step: Tensor, prepared: Tensor) -> Tensor:
        """Like `forward`, with what `prepare` computed in place of the features.

        `step` may be (1,) where all rows are at the same step.
        """
        told = prepared + self.step_terms(self.step_encoder(step))
        first, *others = told.chunk(len(self.blocks) + 1, dim=-1)
        h = self.enter(actions.flatten(1)) + first
        for block, term in zip(self.blocks, others, strict=True):
            h = block(h, term)
        return self.leave(h).unflatten(-1, (-1, self._action_size))


class _Block(nn.Module):
    """h + B mish(A norm(h) + term)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.into = nn.Linear(hidden, hidden)
        self.back = nn.Linear(hidden, hidden)

    def forward(self, h: Tensor, term: Tensor) -> Tensor:
        return h + self.back(functional.mish(self.into(self.norm(h)) + term))
