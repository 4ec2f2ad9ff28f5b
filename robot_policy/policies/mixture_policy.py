"""What the policies with a mixture density output have in common."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.mixture import GaussianMixture, mixture_outputs
from robot_policy.nets.vision import VisionConfig
from robot_policy.policies.module import Batch, PolicyModule

_LOW_NOISE_STD = 1e-4
"""Standard deviation of normalised actions that robomimic evaluates with."""


@dataclass(frozen=True)
class MixtureConfig(VisionConfig):
    """Hyper-parameters of a mixture density output."""

    modes: int = 5
    """Gaussians M in the mixture of one step."""
    least_std: float = 0.01
    """Least standard deviation of a normalised action; robomimic's 1e-4 lets a gradient step
    explode where demonstrations never deviate."""
    low_noise: bool = True
    """Draw the mode at random but then its mean, almost; False draws from the mixture itself."""


class MixturePolicy[C: MixtureConfig](PolicyModule[C]):
    """Mixtures over the P + H actions, each over a part of the steps.

    The loss is -log p of all actions that are no padding, per step. One normal number chooses the
    modes of a candidate, the rest is the deviation from their means.

    Args:
        config: Hyper-parameters.
        spec: Of the policy.
        steps_per_mixture: Steps that share the choice of a mode, a divisor of P + H.
    """

    def __init__(self, config: C, spec: PolicySpec, *, steps_per_mixture: int) -> None:
        super().__init__(config, spec)
        if config.modes < 1:
            raise ConfigError("must be positive", where="modes", got=config.modes)
        if config.least_std <= 0:
            raise ConfigError("must be positive", where="least_std", got=config.least_std)
        self._steps_per_mixture = steps_per_mixture
        self.mixtures = (spec.past + spec.horizon) // steps_per_mixture
        size = steps_per_mixture * spec.action.size
        self.outputs_per_mixture = mixture_outputs(config.modes, size)

    @abstractmethod
    def outputs(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns the outputs of the network, (B, mixtures, outputs_per_mixture)."""

    def mixture(self, batch: Batch, *, draws: Draws | None = None) -> GaussianMixture:
        """Returns (B, mixtures) mixtures over the actions of their steps; `draws` in training."""
        outputs = self.outputs(batch, draws=draws)
        return GaussianMixture.of_outputs(
            outputs, modes=self.config.modes, least_std=self.config.least_std
        )

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the mean over the rows of -log p / steps, without the steps that are padding."""
        actions = batch[ACTION]
        known = ~batch["action_is_pad"]
        density = self.mixture(batch, draws=draws).log_density(
            self._by_mixture(actions),
            known=self._by_mixture(known[..., None].expand(actions.shape)),
        )
        return -(density.sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """One number for the modes, then one per step and entry of the action."""
        return (1 + (self.spec.past + self.spec.horizon) * self.spec.action.size,)

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Draws N chunks per row, (B, N, P + H, A)."""
        size = self.spec.action.size
        deviation = self._by_mixture(noise[..., 1:].unflatten(-1, (-1, size)))
        choice = noise[..., :1].expand(deviation.shape[:-1])
        std = _LOW_NOISE_STD if self.config.low_noise else None
        drawn = self.mixture(batch).unsqueeze(1).draw(choice, deviation, std=std)
        return drawn.flatten(-2).unflatten(-1, (-1, size))

    def _by_mixture(self, steps: Tensor) -> Tensor:
        """(…, P + H, A) to (…, mixtures, steps_per_mixture * A)."""
        return steps.unflatten(-2, (-1, self._steps_per_mixture)).flatten(-2)
