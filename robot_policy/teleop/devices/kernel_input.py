"""Input devices of the Linux kernel: found, opened, and read in a thread of their own."""

import threading
import time
from collections.abc import Callable
from typing import Any

from robot_policy.teleop.device import DeviceError, DeviceSettings

UDEV_RULE = 'KERNEL=="event*", SUBSYSTEM=="input", TAG+="uaccess"'


class KernelInput:
    """Keeps the newest value of every axis and button of a device.

    Args:
        source: An `evdev.InputDevice`, or what reads like one.
        name: Shown when it is unplugged.
        woken: Called after every event.
    """

    def __init__(self, source: Any, *, name: str, woken: Callable[[], None]) -> None:
        self.values: dict[tuple[int, int], int] = {}
        """(type, code) to the newest value."""
        self.stamp_ns = time.monotonic_ns()
        """When something last changed."""
        self._source = source
        self._name = name
        self._woken = woken
        self._problem: str | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"read {name}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises if the device has gone.

        Raises:
            DeviceError: If it has been unplugged.
        """
        if self._problem is not None:
            raise DeviceError(
                f"the {self._name} is gone", got=self._problem, hint="plug it in and start again"
            )

    def ranges(self, kind: int) -> dict[int, tuple[int, int]]:
        """Returns (least, largest) of the axes, by code."""
        found = self._source.capabilities(absinfo=True).get(kind, [])
        return {code: (info.min, info.max) for code, info in found}

    def close(self) -> None:
        """Gives the device back."""
        self._closing = True
        self._source.close()

    def _run(self) -> None:
        try:
            for event in self._source.read_loop():
                self.values[event.type, event.code] = event.value
                self.stamp_ns = time.monotonic_ns()
                self._woken()
        except (OSError, ValueError) as error:
            if not self._closing:
                self._problem = str(error)
                self._woken()


def open_input(
    settings: DeviceSettings, *, name: str, matches: Callable[[str, dict[int, Any]], bool]
) -> KernelInput:
    """Opens the device at the settings' path, or the first that `matches`.

    Args:
        settings: Of the device.
        name: What is looked for, in words.
        matches: Of a device's name and what it can do.

    Raises:
        DeviceError: If there is none, or it may not be read.
        ModuleNotFoundError: If evdev is not installed.
    """
    import evdev

    if settings.path:
        try:
            source = evdev.InputDevice(settings.path)
        except OSError as error:
            raise DeviceError(
                f"no {name}", where=settings.path, got=error.strerror, hint=_advice()
            ) from error
        return KernelInput(source, name=name, woken=settings.woken)
    seen: list[str] = []
    for path in evdev.list_devices():
        source = evdev.InputDevice(path)
        if matches(source.name, source.capabilities()):
            return KernelInput(source, name=name, woken=settings.woken)
        seen.append(source.name)
        source.close()
    raise DeviceError(
        f"no {name} is found",
        where="/dev/input",
        got=", ".join(seen) if seen else "no input device that this user may read",
        hint=_advice(),
    )


def _advice() -> str:
    return (
        "plug it in; if it is, let this user read it: put "
        f"{UDEV_RULE} into /etc/udev/rules.d/70-robot-policy.rules, "
        "run `sudo udevadm control --reload && sudo udevadm trigger`, or join the group input"
    )
