"""How an agent uses its policy."""

from dataclasses import dataclass

from robot_policy.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Settings that are the same in the harness and on the arm.

    Attributes:
        execute_steps: Ta, actions of a chunk executed before planning again; None takes the
            default for the policy's horizon.
        num_samples: N, candidates drawn per plan.
        schedule: Which action of which chunk is executed when; a name of
            `robot_policy.runtime.schedules.registry.SCHEDULES`.
        blend_steps: Steps over which ``async`` goes from the old chunk to the new one; 0 switches.
        ensemble_decay: m of the weights exp(-m i) with which ``ensemble`` averages; i counts from
            the oldest chunk, as in ACT (Zhao et al. 2023).

    Raises:
        ConfigError: If a number is out of range.
    """

    execute_steps: int | None = None
    num_samples: int = 1
    schedule: str = "receding"
    blend_steps: int = 8
    ensemble_decay: float = 0.01

    def __post_init__(self) -> None:
        for name, least in (("num_samples", 1), ("blend_steps", 0), ("ensemble_decay", 0.0)):
            value = getattr(self, name)
            if not value >= least:
                raise ConfigError("too small", where=name, expected=f">= {least}", got=value)
