"""Behaviour cloning with a mixture density output (Mandlekar et al. 2021, "BC").

https://arxiv.org/abs/2108.03298; with a chunk of actions where the published one predicts a single
action.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.policies.mixture_policy import MixtureConfig, MixturePolicy
from robot_policy.policies.module import Batch


@dataclass(frozen=True)
class BcGmmConfig(MixtureConfig):
    """Hyper-parameters of `BcGmm`."""

    history: int = 2
    """Observations the policy looks at, T."""
    horizon: int = 16
    """Actions it predicts, H."""
    hidden: tuple[int, ...] = (512, 512)
    """Width of each hidden layer."""
    joint: bool = True
    """One choice of mode for the whole chunk, so that it does not mix ways to do the task; False
    gives every step a mixture of its own."""


class BcGmm(MixturePolicy[BcGmmConfig]):
    """An MLP gives the mixture of the chunk a_{t..t+H-1} from the window o_{t-T+1..t}.

    For H = 1 it is the published policy. Modes of mixtures of single steps have no order that is
    the same at every step, so a chunk of them jumps between ways; hence the joint one.
    """

    config_type = BcGmmConfig
    presets: ClassVar[Mapping[str, BcGmmConfig]] = {
        "cpu": BcGmmConfig(vision_width=16),
        "gpu": BcGmmConfig(hidden=(1024, 1024)),
    }
    sampling_options = frozenset({"low_noise"})

    def __init__(self, config: BcGmmConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec, steps_per_mixture=spec.horizon if config.joint else 1)
        self.encoder = ObservationEncoder(spec, config)
        size = self.mixtures * self.outputs_per_mixture
        self.net = mlp(self.encoder.out_features, config.hidden, size)

    @classmethod
    def complete_spec(cls, config: BcGmmConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(source, history=config.history, horizon=config.horizon, past=0)

    def outputs(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns the outputs of the network, (B, mixtures, outputs_per_mixture)."""
        features = self.encoder(batch, draws=draws).flatten(1)
        return self.net(features).unflatten(-1, (self.mixtures, -1))
