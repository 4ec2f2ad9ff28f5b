"""Sampling with a network that knows the clean chunk from any level (Song et al. 2023)."""

from collections.abc import Sequence

from torch import Tensor

from robot_policy.policies.denoising.diffusion_process import Prediction, clean_chunk, noised_to


class ConsistencyProcess:
    """One step from noise to chunk; with more, the chunk is noised anew at lower levels.

    Args:
        times: k of the levels, noisiest first.
        abar: abar_k of each.
        prediction: What the network predicts.
    """

    def __init__(self, times: Sequence[int], abar: Sequence[float], prediction: Prediction) -> None:
        self._prediction: Prediction = prediction
        self.steps = len(times)
        self.draws = self.steps
        self._times, self._abar = tuple(times), tuple(abar)

    def begin(self) -> None:
        """Nothing is kept between steps."""

    def forget(self) -> None:
        """Nothing is kept between steps."""

    def network_time(self, level: int) -> float:
        """Returns k."""
        return float(self._times[level])

    def noised(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Returns sqrt(abar_k) clean + sqrt(1 - abar_k) noise."""
        return noised_to(self._abar[level], clean, noise)

    def clean(self, prediction: Tensor, x: Tensor, level: int) -> Tensor:
        """Returns the clean chunk that the prediction means, clipped to [-1, 1]."""
        found = clean_chunk(prediction, x, self._abar[level], self._prediction)
        return found.clamp(-1.0, 1.0)

    def step(self, prediction: Tensor, x: Tensor, level: int, noise: Tensor | None) -> Tensor:
        """Noises the predicted chunk for the next level; the last one is the answer."""
        clean = self.clean(prediction, x, level)
        if level + 1 == self.steps or noise is None:
            return clean
        return self.noised(clean, noise, level + 1)
