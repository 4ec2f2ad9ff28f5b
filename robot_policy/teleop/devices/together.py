"""Several devices as one: whoever is held drives."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from robot_policy.core.errors import RobotPolicyError
from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.device import Device


class Together:
    """The first of some devices whose dead-man is held; the buttons of all.

    Args:
        devices: The most important one first.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = tuple(devices)

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`.

        Raises:
            DeviceError: If one has been unplugged and no other is held.
        """
        chosen: Controls | None = None
        commands: list[Command] = []
        gone: RobotPolicyError | None = None
        for device in self._devices:
            try:
                said = device.read(now_ns)
            except RobotPolicyError as error:
                gone = gone or error
                continue
            if said is None:
                continue
            commands += said.commands
            if chosen is None or (said.active and not chosen.active):
                chosen = said
        if gone is not None and not commands and (chosen is None or not chosen.active):
            raise gone
        return None if chosen is None else replace(chosen, commands=tuple(commands))

    def close(self) -> None:
        """See `Device.close`."""
        for device in self._devices:
            device.close()
