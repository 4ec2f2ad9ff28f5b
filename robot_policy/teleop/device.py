"""What every device offers, and how one is missing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.robot import RobotDescription
from robot_policy.teleop.controls import Controls


class DeviceError(RobotPolicyError):
    """A device is missing, may not be read, or has been unplugged; the hint says what to do."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What a device is opened with.

    Attributes:
        robot: The arm that is driven.
        path: Which device, where there may be several; empty takes the first that is found.
        woken: To be called, from any thread, when something was pressed or let go.
    """

    robot: RobotDescription
    path: str = ""
    woken: Callable[[], None] = field(default=lambda: None)


class Device(Protocol):
    """One way to drive an arm. Built by ``Class.open(settings)``.

    Attributes:
        controls_help: What is shown on the screen: control, and what it does.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]]

    def read(self, now_ns: int) -> Controls | None:
        """Returns what it says now, without waiting; None if it has said nothing yet.

        Args:
            now_ns: Monotonic time [ns].

        Raises:
            DeviceError: If it has been unplugged.
        """
        ...

    def close(self) -> None:
        """Gives the device back."""
        ...
