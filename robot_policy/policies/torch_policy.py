"""Makes a trained network a `Policy`: units in, units out."""

import torch
from torch import Tensor

from robot_policy.core.network_io import candidates_of, network_inputs
from robot_policy.core.observation import ACTION_PREFIX_WEIGHTS, STATE, Candidates, Windows
from robot_policy.core.policy import Generators, per_row, standard_normal
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline
from robot_policy.nets.language import INSTRUCTION
from robot_policy.nets.tensors import bounded_threads, to_tensors
from robot_policy.policies.cuda_graph import CapturedDecode
from robot_policy.policies.module import Batch, PolicyModule

__all__ = ["TorchPolicy", "to_tensors"]


class TorchPolicy:
    """Runs a `PolicyModule` between the two directions of its pipeline.

    Args:
        module: Trained network; switched to evaluation mode.
        pipeline: The one it was trained with.
        device: Where it runs.
        threads: CPU threads of torch during a call, 0 for what torch is set to.
    """

    def __init__(
        self, module: PolicyModule, pipeline: Pipeline, *, device: torch.device, threads: int = 0
    ) -> None:
        self.module = module.to(device).eval()
        self.pipeline = pipeline
        self.device = device
        self.threads = threads
        self._decode = CapturedDecode(self.module.decode) if device.type == "cuda" else None

    @property
    def spec(self) -> PolicySpec:
        """What it needs and what it promises."""
        return self.pipeline.source_spec(self.module.spec)

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        return self.device.type

    def reset(self) -> None:
        """Nothing is kept between calls."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws (B, N, H, A) actions in the robot's units."""
        inputs = network_inputs(windows, self.pipeline, self.spec)
        if self.module.reader is not None:
            inputs = {**inputs, INSTRUCTION: self.module.reader.encode(windows.instructions)}
        gradient = self.module.prefix_needs_gradient and ACTION_PREFIX_WEIGHTS in inputs
        # No gradient can be taken of what was made in inference mode.
        with torch.no_grad() if gradient else torch.inference_mode(), bounded_threads(self.threads):
            batch = to_tensors(inputs, self.device)
            chunks = self._chunks(batch, num_samples, generator, gradient=gradient)
        return candidates_of(chunks.float().cpu().numpy(), self.pipeline, self.spec)

    def _chunks(
        self, batch: Batch, num_samples: int, generators: Generators, *, gradient: bool
    ) -> Tensor:
        generators = per_row(generators, len(batch[STATE]))
        if self._decode is None or gradient:
            return self.module.sample(batch, num_samples=num_samples, generators=generators)
        noise = standard_normal((num_samples, *self.module.noise_shape), generators)
        return self._decode(batch, torch.from_numpy(noise).to(self.device))
