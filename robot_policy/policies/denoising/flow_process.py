"""Rectified flow: straight paths from noise to chunk, followed in a few Euler steps."""

from torch import Tensor

TIME_SCALE = 1000.0
"""The network is told s times this, in the range its step embedding resolves."""


class FlowProcess:
    """x_s = (1 - s) eps + s A, dx/ds = v (Liu et al. 2023, Lipman et al. 2023).

    Args:
        steps: Euler steps of equal length from s = 0 to s = 1.
    """

    draws = 1

    def __init__(self, *, steps: int) -> None:
        self.steps = steps

    def begin(self) -> None:
        """Nothing is kept between steps."""

    def forget(self) -> None:
        """Nothing is kept between steps."""

    def network_time(self, level: int) -> float:
        """Returns s, scaled."""
        return TIME_SCALE * level / self.steps

    def noised(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Returns (1 - s) noise + s clean."""
        s = level / self.steps
        return (1 - s) * noise + s * clean

    def clean(self, prediction: Tensor, x: Tensor, level: int) -> Tensor:
        """Follows the straight line to its end: x + (1 - s) v."""
        return x + (1 - level / self.steps) * prediction

    def step(self, prediction: Tensor, x: Tensor, level: int, noise: Tensor | None) -> Tensor:
        """Returns x + v / steps."""
        del level, noise
        return x + prediction / self.steps
