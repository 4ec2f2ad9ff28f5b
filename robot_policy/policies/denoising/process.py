"""What a denoising sampler must offer, whatever its equations are."""

from typing import Protocol

from torch import Tensor


class Process(Protocol):
    """Levels of noise from pure noise to a clean chunk, and the steps between them.

    A sampling run visits levels 0 .. `steps` - 1 in order; level 0 is the noisiest. Where an
    argument is called `level` it is such a number; what the network is told instead is
    `network_time(level)`.
    """

    @property
    def steps(self) -> int:
        """Calls of the network in one run."""
        ...

    @property
    def draws(self) -> int:
        """Noise chunks (L, A) that one candidate needs: its start, and one per random step."""
        ...

    def begin(self) -> None:
        """Starts a run: forgets what a solver keeps of earlier predictions."""
        ...

    def forget(self) -> None:
        """Lets a solver go on without earlier predictions, because `x` has been replaced."""
        ...

    def network_time(self, level: int) -> float:
        """Returns what the network is told of the noise at `level`."""
        ...

    def noised(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Returns `clean` with as much of `noise` in it as `level` has."""
        ...

    def clean(self, prediction: Tensor, x: Tensor, level: int) -> Tensor:
        """Returns the clean chunk that the network's `prediction` for `x` means."""
        ...

    def step(self, prediction: Tensor, x: Tensor, level: int, noise: Tensor | None) -> Tensor:
        """Goes from `level` to the next one, after the last level to the clean chunk.

        Args:
            prediction: (R, L, A) of the network.
            x: (R, L, A) at `level`.
            level: Where `x` is.
            noise: (R, L, A) for a random step; None where `draws` is 1.
        """
        ...
