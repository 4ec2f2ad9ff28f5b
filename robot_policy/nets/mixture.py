"""Mixture density output (Bishop 1994): p(a) = sum_m w_m prod_i N(a_i; mu_mi, sigma_mi)."""

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional


def mixture_outputs(modes: int, size: int) -> int:
    """Numbers that a network has to give for one mixture of M modes over D values."""
    return modes * (1 + 2 * size)


@dataclass(frozen=True, slots=True)
class GaussianMixture:
    """Mixtures of M Gaussians with diagonal covariance over D values.

    Attributes:
        log_weights: (…, M) logarithms of the weights, which sum to 1.
        means: (…, M, D).
        stds: (…, M, D).
    """

    log_weights: Tensor
    means: Tensor
    stds: Tensor

    @classmethod
    def of_outputs(cls, outputs: Tensor, *, modes: int, least_std: float) -> Self:
        """Reads the outputs of a network.

        Args:
            outputs: (…, M * (1 + 2D)): M logits of the weights, then M times D means and M times
                D widths.
            modes: M.
            least_std: Added to every standard deviation. Without it the density of a value that
                never varies grows beyond all bounds.

        Returns:
            Weights by softmax, means by tanh because actions are scaled to [-1, 1], standard
            deviations by softplus. In float32 whatever the network computes in.
        """
        logits, rest = outputs.float().split([modes, outputs.shape[-1] - modes], dim=-1)
        means, widths = rest.unflatten(-1, (2, modes, -1)).unbind(dim=-3)
        return cls(
            logits.log_softmax(dim=-1), means.tanh(), functional.softplus(widths) + least_std
        )

    def unsqueeze(self, dim: int) -> Self:
        """Adds an axis of length 1 at `dim`, counted from the front."""
        cls = type(self)
        parts = (self.log_weights, self.means, self.stds)
        return cls(*(part.unsqueeze(dim) for part in parts))

    def log_density(self, values: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Returns log p (…) of values (…, D), or of those of them that are `known` (…, D) bool."""
        deviation = (values[..., None, :] - self.means) / self.stds
        per_value = -0.5 * deviation.square() - self.stds.log() - 0.5 * math.log(2.0 * math.pi)
        if known is not None:
            # The others are integrated out, which for a diagonal covariance is leaving them out.
            per_value = per_value * known[..., None, :].to(per_value.dtype)
        return torch.logsumexp(self.log_weights + per_value.sum(-1), dim=-1)

    def draw(self, choice: Tensor, noise: Tensor, *, std: float | None = None) -> Tensor:
        """Turns standard normal numbers into draws.

        Args:
            choice: (…) chooses the mode: its normal CDF is uniform, and the mode is the one whose
                share of [0, 1) it falls into.
            noise: (…, D) deviation from the mean of the mode.
            std: Used in place of the mixture's own, to draw close to the means.

        Returns:
            (…, D).
        """
        uniform = torch.special.ndtr(choice)[..., None]
        # Beyond the last sum only by rounding: the sums but the last decide.
        below = self.log_weights.exp().cumsum(dim=-1)[..., :-1] <= uniform
        mode = below.sum(dim=-1)[..., None, None].expand(*noise.shape[:-1], 1, noise.shape[-1])
        mean = self._of_all(self.means, mode).squeeze(-2)
        if std is not None:
            return mean + std * noise
        return mean + self._of_all(self.stds, mode).squeeze(-2) * noise

    @staticmethod
    def _of_all(values: Tensor, mode: Tensor) -> Tensor:
        return values.expand(*mode.shape[:-2], *values.shape[-2:]).gather(-2, mode)
