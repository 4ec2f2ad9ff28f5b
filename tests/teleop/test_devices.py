"""Every device says what it should, and what to do where there is none."""

import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from robot_policy.core.errors import SpecError
from robot_policy.core.robot import load_robot
from robot_policy.teleop.controls import Command
from robot_policy.teleop.device import DeviceError, DeviceSettings
from robot_policy.teleop.devices.browser import Browser
from robot_policy.teleop.devices.gamepad import Gamepad
from robot_policy.teleop.devices.kernel_input import KernelInput
from robot_policy.teleop.devices.keyboard import Keyboard, split_keys
from robot_policy.teleop.devices.pad import Pad, PadControls, shaped
from robot_policy.teleop.devices.spacemouse import SpaceMouse
from robot_policy.teleop.registry import DEVICES

Event = namedtuple("Event", "type code value")
Range = namedtuple("Range", "min max")


class Plugged:
    """What evdev gives of a device: events as a test sends them, and an end when unplugged."""

    def __init__(self, axes: dict[int, tuple[int, int]], kind: int = 3) -> None:
        self._axes = {kind: [(code, Range(*range_)) for code, range_ in axes.items()]}
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._gone = False

    def capabilities(self, absinfo: bool = False) -> dict[int, Any]:
        return self._axes

    def send(self, *events: tuple[int, int, int]) -> None:
        with self._changed:
            self._events += [Event(*event) for event in events]
            self._changed.notify()

    def unplug(self) -> None:
        with self._changed:
            self._gone = True
            self._changed.notify()

    def read_loop(self) -> Iterator[Event]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._events or self._gone)
                if self._gone:
                    raise OSError(19, "No such device")
                event = self._events.pop(0)
            yield event

    def close(self) -> None:
        self.unplug()


def settle(condition: Any) -> None:
    deadline_s = time.monotonic() + 5.0
    while not condition() and time.monotonic() < deadline_s:
        time.sleep(0.002)
    assert condition()


@pytest.mark.parametrize("name", list(DEVICES))
def test_every_device_tells_its_controls(name: str) -> None:
    assert all(control and what for control, what in DEVICES[name].controls_help)


def test_keys_move_as_long_as_they_repeat() -> None:
    typed = ["w"]
    keyboard = Keyboard(lambda: typed.pop(0) if typed else "")
    read = keyboard.read(0)
    assert read is not None
    assert read.active
    assert read.velocity[0] == 1.0
    still = keyboard.read(100_000_000)
    assert still is not None
    assert still.velocity[0] == 1.0
    after = keyboard.read(200_000_000)
    assert after is not None
    assert not after.active


def test_keys_of_a_terminal_are_told_apart() -> None:
    assert split_keys("w\x1b[A\x1b[5~\x1b ") == ["w", "\x1b[A", "\x1b[5~", "\x1b", " "]
    typed = ["\x1b[Dp \x1b\ny"]
    read = Keyboard(lambda: typed.pop(0)).read(0)
    assert read is not None
    assert read.velocity[1] == 1.0
    assert read.gripper == 1.0
    assert read.commands == (
        *(Command.RUN_POLICY, Command.EMERGENCY_STOP),
        *(Command.START, Command.SUCCESS),
    )


def test_a_shifted_key_moves_too_but_a_button_stays_one() -> None:
    typed = ["WP"]
    read = Keyboard(lambda: typed.pop(0)).read(0)
    assert read is not None
    assert read.velocity[0] == 1.0
    assert read.commands == (Command.STOP_POLICY,)


def test_a_gamepad_moves_only_while_its_dead_man_is_held_and_says_when_it_is_gone() -> None:
    source = Plugged({code: (-32768, 32767) for code in (0, 1, 3, 4)})
    woken = threading.Event()
    pad = Gamepad(KernelInput(source, name="gamepad", woken=woken.set))
    source.send((3, 1, -32768), (1, 0x136, 0))
    settle(woken.is_set)
    read = pad.read(5)
    assert read is not None
    assert not read.active
    source.send((1, 0x136, 1), (1, 0x130, 1), (1, 0x13B, 1))
    settle(lambda: pad._source.values.get((1, 0x13B)))
    read = pad.read(6)
    assert read is not None
    assert read.active
    assert read.velocity[0] == pytest.approx(1.0, abs=1e-3)
    assert read.gripper == 1.0
    assert read.commands == (Command.START,)
    again = pad.read(7)
    assert again is not None
    assert again.commands == ()  # a button that stays down is pressed once
    source.unplug()
    settle(lambda: pad._source._problem)
    with pytest.raises(DeviceError, match=r"the gamepad is gone.*plug it in"):
        pad.read(8)


def test_the_cap_of_a_spacemouse_is_its_dead_man() -> None:
    source = Plugged({code: (-350, 350) for code in range(6)})
    mouse = SpaceMouse(KernelInput(source, name="SpaceMouse", woken=lambda: None))
    source.send((3, 1, -350), (3, 2, -175), (1, 0x101, 1))
    settle(lambda: mouse._source.values.get((1, 0x101)))
    read = mouse.read(0)
    assert read is not None
    assert read.active
    assert read.velocity[0] == 1.0  # pushed away from the person is forward
    assert 0 < read.velocity[2] < 0.5  # lifted is up
    assert read.commands == (Command.START,)
    source.send((3, 1, 0), (3, 2, 0))
    settle(lambda: mouse._source.values[3, 2] == 0)
    read = mouse.read(0)
    assert read is not None
    assert not read.active
    mouse.close()


def test_small_deflections_are_no_motion_and_shaping_is_odd() -> None:
    assert shaped(0.1) == 0.0
    assert shaped(1.0) == 1.0
    assert shaped(-0.6) == -shaped(0.6)
    read = PadControls().controls(Pad({"left_x": 1.0}, frozenset({"lb"})), stamp_ns=0)
    np.testing.assert_allclose(read.velocity, [0, -1, 0, 0, 0, 0])  # right is -y


def test_a_page_says_what_it_wants_and_nothing_once_it_is_gone() -> None:
    page = Browser()
    assert page.read(0) is None
    page.put({"active": True, "velocity": [1, 0, 0, 0, 0, 0], "shift": [0, 0.01, 0, 0, 0, 0]})
    page.put({"active": True, "shift": [0, 0.01, 0, 0, 0, 0], "gripper": 1}, stamp_ns=7)
    page.press(Command.START)
    read = page.read(9)
    assert read is not None
    assert read.stamp_ns == 7
    assert read.shift[1] == pytest.approx(0.02)  # what is not read yet adds up
    assert read.gripper == 1.0
    assert read.commands == (Command.START,)
    again = page.read(9)
    assert again is not None
    assert not again.shift.any()
    page.let_go()
    assert page.read(9) is None


@pytest.mark.parametrize(
    "message",
    [
        {"velocity": [1, 2, 3]},
        {"velocity": [float("nan")] * 6},
        {"velocity": [3, 0, 0, 0, 0, 0]},
        {"velocity": "fast"},
        {"shift": [9, 0, 0, 0, 0, 0]},
        {"gripper": "closed"},
        {"gripper": True},
    ],
)
def test_what_a_page_must_not_say_is_refused(message: dict[str, Any]) -> None:
    page = Browser()
    with pytest.raises(SpecError):
        page.put({"active": True, **message})
    assert page.read(0) is None


@pytest.mark.parametrize("name", ["gamepad", "spacemouse"])
def test_a_device_that_is_not_there_says_what_to_do(name: str) -> None:
    pytest.importorskip("evdev")
    settings = DeviceSettings(load_robot("panda_twin"), path="/dev/input/event999")
    with pytest.raises(DeviceError, match=r"event999.*udev"):
        DEVICES[name].open(settings)
