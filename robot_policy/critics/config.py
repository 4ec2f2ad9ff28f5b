"""Hyper-parameters that all critics have in common."""

from dataclasses import dataclass

from robot_policy.core.errors import ConfigError
from robot_policy.nets.value_head import HeadKind
from robot_policy.nets.vision import VisionConfig


@dataclass(frozen=True)
class CriticConfig(VisionConfig):
    """What is judged, how large the network is, and how a judgement is said."""

    history: int = 2
    """Observations the critic looks at, T."""
    horizon: int = 8
    """Actions it judges, H: as many as are executed of a chunk."""
    variable_length: bool = False
    """Also judge fewer actions than the horizon; it then trains on every number of them."""
    width: int = 256
    """Features of the trunk, which is computed once for any number of candidates."""
    hidden: tuple[int, ...] = (256, 256)
    """Width of each hidden layer of a head."""
    ensemble: int = 4
    """Heads, which begin with other weights."""
    pessimism: float = 1.0
    """k: the value is the mean over the heads minus k of their standard deviations."""
    head: HeadKind = "hl_gauss"
    """How a head says a value: scalar, or the probabilities of bins (hl_gauss, two_hot)."""
    bins: int = 51
    """Bins of the categorical heads."""
    value_low: float = 0.0
    """Least value; set from the labels of the data."""
    value_high: float = 1.0
    """Largest value; set from the labels of the data."""
    text_encoder: str = "hashing"
    """What turns instructions into vectors."""
    text_features: int = 64
    """Length of these vectors."""

    def __post_init__(self) -> None:
        self.check_vision()
        for name in ("history", "horizon", "width", "ensemble"):
            if getattr(self, name) < 1:
                raise ConfigError("too small", where=name, expected=">= 1", got=getattr(self, name))
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError("a head needs a hidden layer", where="hidden", got=self.hidden)
        if self.pessimism < 0:
            raise ConfigError("must not be negative", where="pessimism", got=self.pessimism)
