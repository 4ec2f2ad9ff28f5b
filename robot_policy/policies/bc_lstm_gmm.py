"""Recurrent behaviour cloning with a mixture output (Mandlekar et al. 2021, "BC-RNN").

https://arxiv.org/abs/2108.03298
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import OBSERVATION_IS_PAD
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.policies.mixture_policy import MixtureConfig, MixturePolicy
from robot_policy.policies.module import Batch


@dataclass(frozen=True)
class BcLstmGmmConfig(MixtureConfig):
    """Hyper-parameters of `BcLstmGmm`."""

    history: int = 10
    """Observations T that the state of the LSTM is built up over, at least 2."""
    recurrent_width: int = 400
    """Width of the LSTM."""
    recurrent_layers: int = 2
    """Layers of the LSTM."""


class BcLstmGmm(MixturePolicy[BcLstmGmmConfig]):
    """An LSTM reads o_{t-T+1..t} and gives the mixture of the action at every one of these steps.

    Trained on all T steps; only the last action is executed. The state starts at zero with the
    first observation of the window, or with the first of the episode where that comes later, in
    training as at run time. The published policy keeps its state for T steps and then forgets it
    all at once; starting again from the window at every step is what it does in its last step, and
    needs no memory between calls.
    """

    config_type = BcLstmGmmConfig
    presets: ClassVar[Mapping[str, BcLstmGmmConfig]] = {
        "cpu": BcLstmGmmConfig(vision_width=16, recurrent_width=128),
        "gpu": BcLstmGmmConfig(),
    }
    sampling_options = frozenset({"low_noise"})

    def __init__(self, config: BcLstmGmmConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec, steps_per_mixture=1)
        self.encoder = ObservationEncoder(spec, config)
        self.lstm = nn.LSTM(
            self.encoder.step_features,
            config.recurrent_width,
            num_layers=config.recurrent_layers,
            batch_first=True,
        )
        self.head = nn.Linear(config.recurrent_width, self.outputs_per_mixture)

    @classmethod
    def complete_spec(cls, config: BcLstmGmmConfig, source: PolicySpec) -> PolicySpec:
        """Predicts the T - 1 past actions and the one for now."""
        for name in ("recurrent_layers", "recurrent_width"):
            if getattr(config, name) < 1:
                raise ConfigError("must be positive", where=name, got=getattr(config, name))
        if config.history < 2:
            raise ConfigError(
                f"history does not suit recurrent_layers {config.recurrent_layers}: "
                "a recurrent network needs a sequence",
                where="history",
                expected="at least 2",
                got=config.history,
                hint="the policy bc_gmm looks at a single observation",
            )
        return replace(source, history=config.history, horizon=1, past=config.history - 1)

    def outputs(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns the outputs of the network, (B, T, outputs_per_mixture)."""
        features = self.encoder(batch, draws=draws)
        padding = batch[OBSERVATION_IS_PAD].sum(dim=1, keepdim=True)  # (B, 1), before the episode
        place = torch.arange(features.shape[1], device=features.device)  # (T,)
        # The episode is moved to the beginning of the window, where the state is zero, and what
        # the LSTM answers is moved back.
        moved = _take(features, (place + padding).clamp(max=len(place) - 1))
        hidden, _ = self.lstm(moved)
        return self.head(_take(hidden, (place - padding).clamp(min=0)))


def _take(sequence: Tensor, places: Tensor) -> Tensor:
    """(B, T, F) entries of a sequence at places (B, T)."""
    return sequence.gather(1, places[..., None].expand(-1, -1, sequence.shape[-1]))
