"""Contrastive: does this chunk belong to what is seen and asked for, after CoVer.

https://arxiv.org/abs/2602.12281; with what it leaves out: false negatives, and the actions' prior.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import SUCCESS, Critic, chunk_of
from robot_policy.critics.q_network import QNetwork
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION
from robot_policy.nets.mixture import GaussianMixture, mixture_outputs
from robot_policy.nets.mlp import mlp
from robot_policy.nets.trainable import Batch

_SCALE = 10.0
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class ContrastiveConfig(CriticConfig):
    """Hyper-parameters of `Contrastive`."""

    embedding: int = 64
    """Length of the vectors that are compared."""
    alike: float = 0.1
    """Root mean square distance of normalised chunks below which two count as the same, so that
    neither is the other's negative."""
    wrong_instruction: float = 1.0
    """Weight of the comparison with what another instruction would say of the same chunk."""
    prior: float = 1.0
    """How much of log p(a) is added to a judgement; 0 leaves out the correction."""
    prior_modes: int = 8
    """Gaussians of the prior."""
    least_std: float = 0.05
    """Least standard deviation of a normalised action in the prior."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("embedding", "prior_modes"):
            if getattr(self, name) < 1:
                raise ConfigError("must be positive", where=name, got=getattr(self, name))
        for name in ("alike", "wrong_instruction", "prior"):
            if getattr(self, name) < 0:
                raise ConfigError("must not be negative", where=name, got=getattr(self, name))
        if self.least_std <= 0:
            raise ConfigError("must be positive", where="least_std", got=self.least_std)
        if self.variable_length:
            raise ConfigError("chunks are compared whole", where="variable_length")


class Contrastive(Critic[ContrastiveConfig]):
    """s(o, l, a) = e^tau n(f(o, l)) . n(g(a)) + log p(a), in every one of E heads.

    f . g is trained by the symmetric InfoNCE loss over the batch (van den Oord et al. 2018), whose
    optimum is log p(a | o, l) - log p(a) and a constant: left alone it prefers what is rare. The
    prior log p(a), a mixture of Gaussians over chunks that is learned beside it, is put back, per
    number of a chunk, so that what is judged is how likely the chunk is here. Chunks that are alike
    are no negatives. Of what failed nothing is a positive. And the chunk must fit its own
    instruction better than that of another row: -log sigma(s(o, l, a) - s(o, l', a)).
    """

    config_type = ContrastiveConfig
    presets: ClassVar[Mapping[str, ContrastiveConfig]] = {
        "cpu": ContrastiveConfig(vision_width=16),
        "gpu": ContrastiveConfig(width=512, hidden=(512, 512), embedding=256),
    }
    learns_values = False
    sampling_options = frozenset({"pessimism", "prior"})

    def __init__(self, config: ContrastiveConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.trunk = QNetwork(config, spec, outputs=1)
        del self.trunk.heads  # towers of their own say which chunk fits
        self._size = spec.horizon * spec.action.size
        vectors = config.ensemble * config.embedding
        self.scene = nn.Linear(config.width, vectors)
        self.action = mlp(self._size, config.hidden, vectors)
        self.log_scale = nn.Parameter(torch.tensor(_SCALE).log())
        self.prior = nn.Parameter(
            0.1 * torch.randn(mixture_outputs(config.prior_modes, self._size))
        )

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns InfoNCE, the comparison of instructions, and -log p(a) per number of a chunk."""
        features = self.trunk.encode(batch, draws=draws)
        chunks = chunk_of(batch)  # (B, 1, H, A)
        flat = chunks.flatten(1)
        scene, action = self._towers(features, flat)
        scores = self._scale * torch.einsum("ebd,ecd->ebc", scene, action)  # (E, B, B)
        good = batch[SUCCESS]
        same = torch.eye(len(flat), dtype=torch.bool, device=flat.device)
        distance = torch.cdist(flat, flat) / math.sqrt(self._size)
        scores = scores.masked_fill((distance < self.config.alike) & ~same, -torch.inf)
        diagonal = scores.diagonal(dim1=1, dim2=2)
        both = scores.logsumexp(2) + scores.logsumexp(1) - 2 * diagonal
        contrast = 0.5 * (both * good).mean()
        wrong = self._other_instruction(batch, draws, scene, action)
        density = self._density(flat[:, None])[:, 0]
        return contrast + self.config.wrong_instruction * wrong - density.mean()

    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W)."""
        return self.trunk.encode(batch)

    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns (E, B, N) of normalised chunks (B, N, H, A)."""
        flat = actions.flatten(2)
        scene, action = self._towers(features, flat)
        fits = self._scale * torch.einsum("ebd,ebnd->ebn", scene, action)
        return fits + self.config.prior * self._density(flat)

    def _other_instruction(
        self, batch: Batch, draws: Draws, scene: Tensor, action: Tensor
    ) -> Tensor:
        told = batch[INSTRUCTION].roll(1, 0)
        differs = (told - batch[INSTRUCTION]).abs().amax(1) > 0
        features = self.trunk.encode({**batch, INSTRUCTION: told}, draws=draws)
        other = self._unit(self.scene(features))
        gap = self._scale * ((scene - other) * action).sum(-1)  # (E, B)
        return (functional.softplus(-gap) * differs * batch[SUCCESS]).mean()

    def _towers(self, features: Tensor, flat: Tensor) -> tuple[Tensor, Tensor]:
        """(E, B, D) of scenes, (E, …, D) of chunks (…, H * A), of length 1."""
        return self._unit(self.scene(features)), self._unit(self.action(flat))

    def _unit(self, vectors: Tensor) -> Tensor:
        parted = vectors.unflatten(-1, (self.config.ensemble, -1))
        return functional.normalize(parted, dim=-1).movedim(-2, 0)

    @property
    def _scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=_LARGEST_SCALE)

    def _density(self, flat: Tensor) -> Tensor:
        """Log p(a) per number of chunks (B, N, H * A), (B, N)."""
        prior = self.prior.expand(len(flat), 1, -1)
        mixture = GaussianMixture.of_outputs(
            prior, modes=self.config.prior_modes, least_std=self.config.least_std
        )
        return mixture.log_density(flat) / self._size
