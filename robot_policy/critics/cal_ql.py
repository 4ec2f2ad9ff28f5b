"""Calibrated Q-learning (Nakamoto et al. 2023, https://arxiv.org/abs/2303.05479) over chunks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.chunk_actor import ChunkActor
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import (
    COUNT,
    DISCOUNT,
    OTHERS,
    RETURN,
    REWARD,
    next_batch,
    pessimistic,
)
from robot_policy.critics.value_critic import ValueCritic
from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch


@dataclass(frozen=True)
class CalQlConfig(CriticConfig):
    """Hyper-parameters of `CalQl`."""

    conservatism: float = 0.1
    """alpha, weight of the regulariser, where values are scaled to a range of 1. V-GPS has 5 for
    values in a range of 50, which is the same."""
    temperature: float = 0.02
    """Of the soft maximum in the regulariser, in the same scale; V-GPS has 1 in a range of 50."""
    proposals: int = 4
    """Chunks per source that the regulariser compares with the recorded one: uniform ones, the
    actor's for now and for what follows, recorded ones of other moments, and the recorded one
    with noise."""
    noise: float = 0.2
    """Standard deviation of that noise, in normalised actions."""
    calibrated: bool = True
    """Floor the actor's values in the regulariser at the return of the data; False is CQL."""
    target_rate: float = 0.005
    """Part by which the target network follows in every step."""
    target_entropy: float = -1.0
    """Wanted entropy of the actor per number of a chunk."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.conservatism < 0:
            raise ConfigError("must not be negative", where="conservatism", got=self.conservatism)
        if self.temperature <= 0:
            raise ConfigError("must be positive", where="temperature", got=self.temperature)
        if self.proposals < 1:
            raise ConfigError("too small", where="proposals", expected=">= 1", got=self.proposals)


class CalQl(ValueCritic[CalQlConfig]):
    """Values that are conservative about chunks nobody recorded, but not below what was reached.

    Q is regressed on R + gamma^n max_j Q'(o', a'_j), a'_j of an actor, and pushed down by

    alpha (T log sum_j exp(Q(o, a_j) / T) - Q(o, a)), where Q of the actor's chunks is replaced by
    max(Q, G): values need not fall below what was really reached (Cal-QL).

    Deviations from the publication: no importance weights, because the density of a uniform chunk
    of H * A numbers is so small that nothing else would count; recorded chunks of other moments,
    and noisy ones, are compared too, because they are what candidates of a policy look like.
    The actor is trained along with it on max_a Q - beta log pi with beta adapted to an entropy, and
    is not used afterwards.
    """

    config_type = CalQlConfig
    presets: ClassVar[Mapping[str, CalQlConfig]] = {
        "cpu": CalQlConfig(vision_width=16, ensemble=2),
        "gpu": CalQlConfig(ensemble=2, width=512, hidden=(512, 512)),
    }
    optimizer_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # The actor follows the critic slowly, as in V-GPS (1e-4 to 3e-4).
        preset: {"groups": ("actor.*:lr_scale=0.333",)}
        for preset in ("cpu", "gpu")
    }

    def __init__(self, config: CalQlConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec, tau=config.target_rate)
        self.actor = ChunkActor(
            config.width, config.hidden, length=spec.horizon, action_size=spec.action.size
        )
        self.log_beta = nn.Parameter(torch.tensor(-4.0))

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns temporal difference, regulariser, actor and temperature losses, summed."""
        features = self.q.encode(batch, draws=draws)
        following = next_batch(batch)
        with torch.no_grad():
            later_features = self.q.encode(following)
        later, _ = self.actor.sample(later_features, count=self.config.proposals, draws=draws)
        best = self.target_value(following, later.detach(), counts=None).max(1).values
        best = best.clamp(self.config.value_low, self.config.value_high)
        td_loss = self.regression(features, batch, batch[REWARD] + batch[DISCOUNT] * best)
        now, log_density = self.actor.sample(
            features.detach(), count=self.config.proposals, draws=draws
        )
        gap = self._gap(features, batch, now.detach(), later.detach(), draws)
        return (
            td_loss
            + self.config.conservatism * gap
            + self._actor_loss(features.detach(), now, log_density)
        )

    @property
    def _range(self) -> float:
        return self.config.value_high - self.config.value_low

    def _scaled(self, outputs: Tensor) -> Tensor:
        return (self.head.value(outputs) - self.config.value_low) / self._range

    def _gap(
        self, features: Tensor, batch: Batch, now: Tensor, later: Tensor, draws: Draws
    ) -> Tensor:
        recorded = batch[ACTION][:, None]
        count, t = self.config.proposals, self.config.temperature
        shape = (len(recorded), count, *recorded.shape[2:])
        uniform = 2.0 * draws.uniform(shape) - 1.0
        noisy = recorded + self.config.noise * draws.normal(shape)
        proposed = torch.cat([now, later, uniform, noisy, batch[OTHERS], recorded], dim=1)
        outputs = self.q(features, proposed, counts=batch[COUNT])
        values = self._scaled(outputs)  # (E, B, N)
        if self.config.calibrated:
            floor = (batch[RETURN] - self.config.value_low) / self._range
            of_actor = values[..., : 2 * count]
            of_actor = torch.maximum(of_actor, floor[None, :, None])
            values = torch.cat([of_actor, values[..., 2 * count :]], dim=-1)
        return (t * torch.logsumexp(values / t, dim=-1) - values[..., -1]).mean()

    def _actor_loss(self, features: Tensor, chunks: Tensor, log_density: Tensor) -> Tensor:
        # The critic judges here and must not learn to judge the actor well.
        frozen = {key: value.detach() for key, value in self.q.named_parameters()}
        outputs = functional_call(self.q, frozen, (features, chunks))
        value = pessimistic(self._scaled(outputs), self.config.pessimism)
        beta, size = self.log_beta.exp(), self.actor.size
        entropy = -log_density / size
        follow = (-value - beta.detach() * entropy).mean()
        return follow + (beta * (entropy.detach() - self.config.target_entropy)).mean()
