"""How a policy is steered."""

from dataclasses import dataclass

from robot_policy.core.errors import ConfigError

SOURCES = ("policy", "gaussian", "primitives")


@dataclass(frozen=True)
class SteeringConfig:
    """How candidates are made and chosen."""

    candidates: int = 16
    """K, candidates per plan; the first is the policy's own first sample."""
    strategy: str = "argmax"
    """argmax, softmax, spread_softmax, weighted_mean; first and random are controls."""
    temperature: float = 0.5
    """Of softmax in the critic's units, of spread_softmax and weighted_mean in standard deviations
    of the judgements."""
    caution: float = 1.0
    """k: a candidate counts for the mean over the heads of its gain over the first sample minus k
    of their standard deviations. Above 0 the first sample is kept where the heads disagree on what
    would be better; 0 believes the mean."""
    least_gain: float = 0.0
    """Gain in standard deviations of the judgements below which the first sample is kept."""
    least_support: float = 0.0
    """Support below which a candidate is not taken, where there is a support scorer: 0 is the least
    usual twentieth of the data."""
    gaussian: float = 0.0
    """Part of the candidates that are samples moved by Gaussian noise instead."""
    gaussian_scale: float = 1.0
    """Standard deviation of that noise relative to that of the samples."""
    primitives: bool = False
    """Add straight moves along every axis to the candidates."""
    verify_past: bool = False
    """Judge candidates by how well they retell the actions that were really executed, alone or
    beside critics; for policies that predict their past."""

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ConfigError("too small", where="candidates", expected=">= 1", got=self.candidates)
        for name in ("temperature", "caution", "least_gain", "gaussian_scale"):
            if not getattr(self, name) >= 0:
                raise ConfigError("must not be negative", where=name, got=getattr(self, name))
        if self.verify_past and (self.gaussian or self.primitives):
            raise ConfigError(
                "only the policy's own samples tell of the past",
                where="verify_past with gaussian or primitives",
            )
        if not 0.0 <= self.gaussian < 1.0:
            raise ConfigError(
                "out of range", where="gaussian", expected="[0, 1)", got=self.gaussian
            )
