"""Whether a hand is on the device: what it said last must be fresh."""

from dataclasses import dataclass

from robot_policy.core.errors import ConfigError
from robot_policy.teleop.controls import Controls


@dataclass(frozen=True, slots=True)
class DeadManLimits:
    """How long silence is put up with.

    Attributes:
        silence_s: Age of the last word of a device from which on the arm holds [s].
        hand_back_s: Time for which the device must have been let go before a policy goes on [s].

    Raises:
        ConfigError: If one is not positive.
    """

    silence_s: float = 0.25
    hand_back_s: float = 0.4

    def __post_init__(self) -> None:
        for name in ("silence_s", "hand_back_s"):
            if not getattr(self, name) > 0:
                raise ConfigError("must be positive", where=name, got=getattr(self, name))


class DeadMan:
    """Judges controls by their age.

    Args:
        limits: How old.
    """

    def __init__(self, limits: DeadManLimits | None = None) -> None:
        self._limits = limits or DeadManLimits()
        self._active_ns: int | None = None
        self._silent = False

    @property
    def silent(self) -> bool:
        """Whether a device that was held has fallen silent, a connection lost for example."""
        return self._silent

    def is_held(self, controls: Controls | None, now_ns: int) -> bool:
        """Whether the arm may be moved now."""
        if controls is None or not controls.active:
            self._silent = False
            return False
        self._silent = now_ns - controls.stamp_ns > self._limits.silence_s * 1e9
        if self._silent:
            return False
        self._active_ns = now_ns
        return True

    def hands_back(self, now_ns: int) -> bool:
        """Whether the device has been let go for long enough for a policy to go on."""
        if self._active_ns is None:
            return True
        return now_ns - self._active_ns >= self._limits.hand_back_s * 1e9
