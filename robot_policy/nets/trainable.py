"""What the training engine trains: a network with a loss, hyper-parameters and a spec."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws

type Batch = Mapping[str, Tensor]
"""Normalised tensors under dataset keys: ``observation.state`` (B, T, S),
``observation.images.<camera>`` (B, T, h, w, 3) uint8, ``observation_is_pad`` (B, T) bool,
``action`` (B, L, A) with L = P + H and ``action_is_pad`` (B, L) bool; when drawing,
``action_prefix`` (B, C, A) where the chunk must begin with actions already decided, and
``action_prefix_weights`` (B, C) where some of them are not."""


class TrainableModule[C](nn.Module, ABC):
    """Base of every policy and critic that is trained here.

    Attributes:
        config_type: Frozen dataclass of the hyper-parameters.
        presets: Named hyper-parameters, at least ``cpu`` (two cores, minutes) and ``gpu``.
        sampling_options: Hyper-parameters that a trained network may be given anew, because they
            shape how it is used and not what it has learned.
        state_normalization: How its observations are scaled unless a run says otherwise: a
            `NormalizationMode`, or ``none``.
        action_normalization: How its actions are scaled; part of what it means.
        library: Import name of the library whose network it is; empty for our own.
        sees_cameras: Whether it can learn from images.
        optimizer_defaults: Preset to the entries of the optimiser's settings in which it differs
            from that preset.
    """

    config_type: ClassVar[type]
    presets: ClassVar[Mapping[str, Any]]
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    state_normalization: ClassVar[str] = "min_max"
    action_normalization: ClassVar[str] = "min_max"
    library: ClassVar[str] = ""
    sees_cameras: ClassVar[bool] = True
    optimizer_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(self, config: C, spec: PolicySpec) -> None:
        super().__init__()
        self.config = config
        self.spec = spec

    @classmethod
    @abstractmethod
    def complete_spec(cls, config: C, source: PolicySpec) -> PolicySpec:
        """Adds history, horizon and past to the `source` of the data.

        Raises:
            ConfigError: If the hyper-parameters contradict each other.
        """

    @classmethod
    def build(cls, config: C, source: PolicySpec) -> Self:
        """Builds the network for data that looks like `source`.

        Raises:
            ConfigError: If the hyper-parameters do not suit, or there are cameras in `source` and
                it cannot see.
        """
        if source.cameras and not cls.sees_cameras:
            raise ConfigError(
                f"{cls.__name__} learns from states only",
                where="cameras",
                expected="none",
                got=", ".join(source.cameras),
            )
        return cls(config, cls.complete_spec(config, source))

    @property
    def training_lookahead(self) -> int:
        """Steps by which the windows it is trained on reach beyond those it is asked about."""
        return 0

    @abstractmethod
    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the scalar training loss of a normalised batch, a mean over its rows."""

    def after_step(self) -> None:
        """Called after every gradient step: where target networks follow."""

    def figures(self) -> Mapping[str, float]:
        """What is worth a curve beside the loss, of the last training batch: name to value."""
        return {}

    def no_weight_decay(self) -> frozenset[str]:
        """Names of the parameters that get no weight decay unless a run asks for it by name.

        None by default; `robot_policy.nets.weight_decay` has the usual choice for transformers.
        """
        return frozenset()
