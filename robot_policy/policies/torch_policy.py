"""Makes a trained network a `Policy`: units in, units out."""

import numpy as np
import torch
from torch import Tensor

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, per_row
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Sample
from robot_policy.policies.module import PolicyModule


class TorchPolicy:
    """Runs a `PolicyModule` between the two directions of its pipeline.

    Args:
        module: Trained network; switched to evaluation mode.
        pipeline: The one it was trained with.
        device: Where it runs.
    """

    def __init__(self, module: PolicyModule, pipeline: Pipeline, *, device: torch.device) -> None:
        self.module = module.to(device).eval()
        self.pipeline = pipeline
        self.device = device

    @property
    def spec(self) -> PolicySpec:
        """What it needs and what it promises."""
        return self.module.spec

    def reset(self) -> None:
        """Nothing is kept between calls."""

    @torch.inference_mode()
    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws (B, N, H, A) actions in the robot's units."""
        batch = to_tensors(self.pipeline.apply(windows.as_sample()), self.device)
        generators = per_row(generator, windows.batch_size)
        chunks = self.module.sample(batch, num_samples=num_samples, generators=generators)
        actions = self.pipeline.invert(chunks.float().cpu().numpy()).astype(np.float32)
        past = self.spec.past
        return Candidates(actions[:, :, past:], actions[:, :, :past] if past else None)


def to_tensors(sample: Sample, device: torch.device) -> dict[str, Tensor]:
    """Moves the arrays of a sample to `device`; texts stay behind."""
    return {
        key: torch.from_numpy(np.ascontiguousarray(value)).to(device, non_blocking=True)
        for key, value in sample.items()
        if isinstance(value, np.ndarray)
    }
