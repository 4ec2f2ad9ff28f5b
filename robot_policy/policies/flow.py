"""Flow matching policy: learns the velocity from noise to chunk along straight lines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.nets.draws import Draws
from robot_policy.policies.denoising.config import SAMPLING_OPTIONS, DenoisingConfig
from robot_policy.policies.denoising.flow_guidance import guided
from robot_policy.policies.denoising.flow_process import TIME_SCALE, FlowProcess
from robot_policy.policies.denoising.policy import DenoisingPolicy
from robot_policy.policies.denoising.sampler import Known, Predict
from robot_policy.policies.module import Batch


@dataclass(frozen=True)
class FlowConfig(DenoisingConfig):
    """Hyper-parameters of `Flow`."""

    sample_steps: int = 4
    """Euler steps when drawing."""
    prefix_guidance: float = 5.0
    """Largest gain with which a chunk is drawn towards given actions that are not decided; 0 heeds
    those that are decided alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_sample_steps(self.sample_steps)
        if self.prefix_guidance < 0:
            raise ConfigError("must not be negative", where="prefix_guidance")


class Flow(DenoisingPolicy[FlowConfig]):
    """Rectified flow (Liu et al. 2023) over action chunks.

    With s ~ U[0, 1), eps ~ N(0, I) and x_s = (1 - s) eps + s A the loss is
    E |v_theta(x_s, s, O) - (A - eps)|^2 over the whole predicted window; drawing integrates
    dx/ds = v_theta from s = 0.
    """

    config_type = FlowConfig
    presets: ClassVar[Mapping[str, FlowConfig]] = {
        "cpu": FlowConfig(vision_width=16),
        "gpu": FlowConfig(channels=(256, 512, 1024), step_embedding=256, layers=8, width=256),
    }
    sampling_options = SAMPLING_OPTIONS | {"sample_steps", "prefix_guidance"}
    prefix_needs_gradient = True

    def make_process(self) -> FlowProcess:
        """Returns the Euler steps of the config."""
        return FlowProcess(steps=self.config.sample_steps)

    def heeding(self, predict: Predict, known: Known | None) -> tuple[Predict, Known | None]:
        """Inpaints what is decided, and lets the rest of what is known guide the velocity."""
        if known is None or known.weights is None:
            return predict, known
        decided, gain = replace(known, weights=None), self.config.prefix_guidance
        if not gain:
            return predict, decided
        open_ones = replace(known, weights=known.weights.masked_fill(known.where, 0.0))
        return guided(predict, open_ones, largest_gain=gain), decided

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the velocity loss of (B, P + H, A) chunks."""
        clean = batch[ACTION]
        noise = draws.normal(clean.shape)
        s = draws.uniform(clean.shape[:1])
        along = s[:, None, None]
        x = (1 - along) * noise + along * clean
        decided = self.decided_beginning(clean, draws)
        predicted = self.predict(x, clean, TIME_SCALE * s, batch, decided, draws=draws)
        return self.regression(predicted, clean - noise, batch, decided)
