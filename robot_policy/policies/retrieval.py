"""Policies that look demonstrations up: nearest neighbours, VINN, and following what was found."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, EPISODE, OBSERVATION_IS_PAD
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.memory_bank import MemoryBank, frames_of, leave_one_out
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.vision import VisionConfig
from robot_policy.policies.module import Batch, PolicyModule, Trace, masked_mean


@dataclass(frozen=True)
class RetrievalConfig(VisionConfig):
    """Hyper-parameters of `Retrieval`."""

    horizon: int = 16
    """Actions it predicts, H."""
    neighbours: int = 10
    """k, demonstrations whose chunks are averaged; 1 takes the nearest one's."""
    follow: bool = False
    """Follow the demonstration that was found earlier while what is seen stays close to it, and
    search anew when it does not (behaviour cloning by search)."""
    history: int = 1
    """Observations the policy looks at, T; following begins at the oldest of them."""
    history_stride: int = 1
    """Control periods between two observations."""
    divergence_quantile: float = 0.9
    """Quantile of the distances from training windows to other episodes beyond which what is seen
    is not that of the demonstration any more."""
    most_megabytes: float = 2048.0
    """Demonstrations that would take more are refused."""
    mask_padding: bool = True
    """Leave steps beyond the end of an episode out of the loss."""

    def __post_init__(self) -> None:
        for name in ("neighbours", "history", "history_stride", "horizon"):
            if getattr(self, name) < 1:
                raise ConfigError("too small", where=name, expected=">= 1", got=getattr(self, name))
        if not 0.0 < self.divergence_quantile <= 1.0:
            raise ConfigError("out of range", where="divergence_quantile", expected="(0, 1]")
        if self.follow and self.history < 2:
            raise ConfigError(
                "there is nothing to follow without a history",
                where="follow and history",
                expected="history >= 2",
                got=self.history,
            )


class Retrieval(PolicyModule[RetrievalConfig]):
    """Locally weighted regression over all training windows (VINN, Pari et al. 2022).

        a(o) = sum_j softmax_j(-d_j / tau) a_j

    over the k nearest demonstrations of other situations. Its one parameter, tau, is learned by
    predicting every episode from the others. With `follow` it is behaviour cloning by search
    (Malato et al. 2022), computed from the window alone, so that nothing is kept between calls:
    the demonstration nearest to the oldest observation is followed through the window, and left for
    a new one where the two diverge.
    """

    config_type = RetrievalConfig
    presets: ClassVar[Mapping[str, RetrievalConfig]] = {
        "cpu": RetrievalConfig(),
        "gpu": RetrievalConfig(),
    }
    sees_cameras = False

    divergence: Tensor

    def __init__(self, config: RetrievalConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = ObservationEncoder(spec, config)
        self.bank = MemoryBank(self.encoder.step_features, (spec.horizon, spec.action.size))
        self.log_bandwidth = nn.Parameter(torch.tensor(-3.0))
        self.register_buffer("divergence", torch.zeros(()))

    @classmethod
    def complete_spec(cls, config: RetrievalConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(
            source,
            history=config.history,
            history_stride=config.history_stride,
            horizon=config.horizon,
            past=0,
        )

    @torch.no_grad()
    def memorise(self, windows: Batch, *, seed: int) -> None:
        """Keeps all training windows, which are in the order in which they were recorded.

        Raises:
            ConfigError: If they would take more memory than is allowed.
        """
        del seed
        keys = self.encoder(windows)[:, -1]
        self.bank.check_size(len(keys), most_megabytes=self.config.most_megabytes)
        self.bank.fill(keys, windows[ACTION], windows[EPISODE], frames_of(windows[EPISODE]))
        distances = leave_one_out(keys, windows[EPISODE], self.bank)
        distances = distances[distances.isfinite()]
        if len(distances):
            self.divergence.fill_(distances.quantile(self.config.divergence_quantile))
            self.log_bandwidth.fill_(distances.median().clamp(min=1e-6).log())

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the error of the weighted chunk, found in other episodes; draws nothing."""
        del draws
        error = (self._weighted(self.encoder(batch)[:, -1], batch) - batch[ACTION]) ** 2
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the one chunk N times, (B, N, H, A)."""
        features = self.encoder(batch)
        if self.config.follow and len(self.bank):
            chunk = self.bank.chunks[self.followed(features, batch.get(OBSERVATION_IS_PAD))]
        else:
            chunk = self._weighted(features[:, -1], batch)
        return chunk[:, None].expand(-1, noise.shape[1], -1, -1)

    def trace(self, batch: Batch) -> Trace:
        """Returns the demonstration that is followed, or the nearest of those that are averaged."""
        features, bank = self.encoder(batch), self.bank
        if self.config.follow:
            index = self.followed(features, batch.get(OBSERVATION_IS_PAD))
            distance = (features[:, -1] - bank.keys[index]).square().mean(1).sqrt()
            weight = torch.ones_like(distance)
        else:
            distances, found = bank.find(features[:, -1], self.config.neighbours)
            weights = torch.softmax(-distances / self.log_bandwidth.exp(), dim=1)
            index, distance, weight = found[:, 0], distances[:, 0], weights[:, 0]
        return Trace(bank.episodes[index], bank.frames[index], distance, weight)

    def followed(self, features: Tensor, padding: Tensor | None = None) -> Tensor:
        """Returns which memory (B,) a window leads to.

        Args:
            features: (B, T, F).
            padding: (B, T) bool, observations that only stand for those before the episode: no
                time passes from them to the next.
        """
        bank, stride = self.bank, self.config.history_stride
        at = bank.nearest(features[:, 0])[1]
        for step, seen in enumerate(features.unbind(1)[1:]):
            following = (at + stride).clamp(max=len(bank) - 1)
            goes_on = bank.episodes[following] == bank.episodes[at]
            apart = (seen - bank.keys[following]).square().mean(1).sqrt()
            stays = goes_on & (apart <= self.divergence)
            if padding is not None:
                stays = stays & ~padding[:, step]
            at = torch.where(stays, following, bank.nearest(seen)[1])
        return at

    def _weighted(self, features: Tensor, batch: Batch) -> Tensor:
        if not len(self.bank):  # nothing was learned yet; the parameter takes part all the same
            shape = (features.shape[0], self.spec.horizon, self.spec.action.size)
            return features.new_zeros(shape) + 0.0 * self.log_bandwidth
        distances, index = self.bank.find(
            features, self.config.neighbours, without=batch.get(EPISODE)
        )
        weights = torch.softmax(-distances / self.log_bandwidth.exp(), dim=1)
        return (weights[..., None, None] * self.bank.chunks[index]).sum(1)
