"""Options of a command that steers a policy by critics."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robot_policy.runtime.guidance.config import SteeringConfig


@dataclass(frozen=True)
class SteeringOptions(SteeringConfig):
    """Critics, and how candidates are made and chosen."""

    steer: tuple[Path, ...] = ()
    """Critics that judge the candidates; of several each counts in units of its own spread."""
    support: Path | None = None
    """Support critic: candidates unlike anything in its data are not taken."""
    resample: int = 0
    """Denoising policies: times that candidates are resampled by their judgements while they are
    drawn (Feynman-Kac steering)."""

    @property
    def active(self) -> bool:
        """Whether the policy is steered at all."""
        return bool(self.steer) or self.verify_past or self.strategy in ("first", "random")

    @property
    def config(self) -> SteeringConfig:
        """Without the critics."""
        names = SteeringConfig.__dataclass_fields__
        return SteeringConfig(**{name: getattr(self, name) for name in names})

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict, empty where the policy is not steered."""
        if not self.active:
            return {}
        return {
            **asdict(self.config),
            "steer": [str(path) for path in self.steer],
            "support": None if self.support is None else str(self.support),
            "resample": self.resample,
        }

    def words(self) -> list[str]:
        """Returns the words of the command line that give these options again."""
        if not self.active:
            return []
        words = ["--steer", *map(str, self.steer)] if self.steer else []
        words += ["--support", str(self.support)] if self.support is not None else []
        default = SteeringOptions()
        for name in (*SteeringConfig.__dataclass_fields__, "resample"):
            value = getattr(self, name)
            if value == getattr(default, name):
                continue
            option = f"--{name.replace('_', '-')}"
            words += [option] if value is True else [option, str(value)]
        return words
