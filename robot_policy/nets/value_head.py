"""How a network says a value: one number, or probabilities of bins."""

import math
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from robot_policy.core.errors import ConfigError

type HeadKind = Literal["scalar", "hl_gauss", "two_hot"]

_SMOOTHING = 0.75
"""Standard deviation of HL-Gauss in bins, as Farebrother et al. 2024 recommend."""


class ValueHead(Protocol):
    """Between the outputs of a network and values in [low, high]."""

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for one value."""
        ...

    def value(self, outputs: Tensor) -> Tensor:
        """Returns values (…) for (…, outputs)."""
        ...

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Returns what (…, outputs) are worse than the target values (…), unreduced."""
        ...


class ScalarHead:
    """value = low + (high - low) x; the loss is the squared error of x.

    Args:
        low: Least value.
        high: Largest value.
    """

    outputs = 1

    def __init__(self, *, low: float, high: float) -> None:
        self._low = low
        self._range = high - low

    def value(self, outputs: Tensor) -> Tensor:
        """Returns values (…)."""
        return self._low + self._range * outputs[..., 0].float()

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Returns the squared error in units of the range."""
        wanted = (target - self._low) / self._range
        return (outputs[..., 0].float() - wanted).square()


class CategoricalHead:
    """value = sum_i p_i c_i over M bin centres c; the loss is a cross entropy.

    It is taken to a distribution that stands for the target (Farebrother et al. 2024,
    https://arxiv.org/abs/2403.03950).

    HL-Gauss: p_i = (Phi(e_{i+1}) - Phi(e_i)) / Z for a normal distribution around the target with
    a width of 3/4 of a bin, e the edges, Z the mass between the outermost. Two-hot: the two centres
    beside the target share the mass so that the mean is the target.

    The centres reach beyond [low, high] by a few bins for HL-Gauss, so that a target at the end of
    the range keeps its mean.

    Args:
        low: Least value.
        high: Largest value.
        bins: M.
        smooth: HL-Gauss if True, two-hot otherwise.
    """

    def __init__(self, *, low: float, high: float, bins: int, smooth: bool) -> None:
        margin = 3 if smooth else 0
        if bins < 2 + 2 * margin:
            raise ConfigError("too few", where="bins", expected=f">= {2 + 2 * margin}", got=bins)
        self.outputs = bins
        self._smooth = smooth
        self._low, self._high = low, high
        self._width = (high - low) / (bins - 1 - 2 * margin)
        self._first = low - margin * self._width

    def value(self, outputs: Tensor) -> Tensor:
        """Returns the mean of the bins (…)."""
        return outputs.float().softmax(-1) @ self._centres(outputs)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Returns the cross entropy."""
        wanted = self.distribution(target)
        return -(wanted * outputs.float().log_softmax(-1)).sum(-1)

    def distribution(self, target: Tensor) -> Tensor:
        """Returns the probabilities (…, M) that stand for target values (…)."""
        target = target.float().clamp(self._low, self._high)[..., None]
        place = (target - self._first) / self._width
        index = torch.arange(self.outputs, device=target.device, dtype=torch.float32)
        if self._smooth:
            edges = torch.cat([index - 0.5, index[-1:] + 0.5])
            mass = torch.special.erf((edges - place) / (math.sqrt(2.0) * _SMOOTHING)).diff(dim=-1)
        else:
            mass = (1.0 - (place - index).abs()).clamp(min=0.0)
        return functional.normalize(mass, p=1.0, dim=-1)

    def _centres(self, like: Tensor) -> Tensor:
        index = torch.arange(self.outputs, device=like.device, dtype=torch.float32)
        return self._first + self._width * index


def make_value_head(kind: HeadKind, *, low: float, high: float, bins: int) -> ValueHead:
    """Builds a head for values in [low, high].

    Raises:
        ConfigError: If the range is empty, or there are too few bins.
    """
    if not high > low:
        raise ConfigError(
            "the range of values is empty",
            where="value_low and value_high",
            expected="value_low < value_high",
            got=f"{low:g} and {high:g}",
        )
    if kind == "scalar":
        return ScalarHead(low=low, high=high)
    return CategoricalHead(low=low, high=high, bins=bins, smooth=kind == "hl_gauss")
