"""The control loop: a session at the control rate, woken early where a hand must not wait."""

import threading
from collections import deque
from collections.abc import Callable

from robot_policy.core.errors import RobotPolicyError
from robot_policy.runtime.clock import Clock, MonotonicClock
from robot_policy.teleop.arm import TeleopArm
from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.device import Device
from robot_policy.teleop.session import Session

_SPACING = 0.1
"""Least part of a control period between two commands."""


class Wake:
    """Lets the loop be woken before its deadline; may be called from any thread."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._event = threading.Event()

    def __call__(self) -> None:
        """Wakes."""
        self._event.set()

    def wait_until_ns(self, deadline_ns: int) -> bool:
        """Returns whether it was woken before `deadline_ns`."""
        left_s = (deadline_ns - self._clock.now_ns()) * 1e-9
        if left_s > 0:
            self._event.wait(left_s)
        woken = self._event.is_set()
        self._event.clear()
        return woken and self._clock.now_ns() < deadline_ns


class TeleopLoop:
    """Reads the device, steps the session, sends what comes of it.

    A command goes out once per control period. When the hand takes hold of a resting arm or lets go
    of a moving one, and when a button is pressed, it goes out at once, and the next period counts
    from there: a stop must not wait, and a start from rest needs not to.

    Args:
        arm: That is driven.
        device: That drives.
        session: Between both.
        wake: Shared with whatever wakes it.
        clock: What time it is.
        shown: Called after every period, to show how things stand.
    """

    def __init__(
        self,
        arm: TeleopArm,
        device: Device,
        session: Session,
        *,
        wake: Wake,
        clock: Clock | None = None,
        shown: Callable[[], None] = lambda: None,
    ) -> None:
        self.missed = 0
        """Control periods without a command, because the arm or the machine was too slow."""
        self._arm = arm
        self._device = device
        self._session = session
        self._wake = wake
        self._clock = clock or MonotonicClock()
        self._shown = shown
        self._period_ns = round(1e9 * arm.robot.dt_s)
        self._pending: Controls | None = None
        self._active = False
        self._device_fault = ""
        self._commands: deque[Command] = deque()
        self._stopping = threading.Event()

    def press(self, command: Command) -> None:
        """Takes a button; may be called from any thread."""
        self._commands.append(command)
        self._wake()

    def stop(self) -> None:
        """Lets `run` return; may be called from any thread."""
        self._stopping.set()
        self._wake()

    def run(self, *, for_s: float | None = None) -> None:
        """Drives until `stop`, or for a time; the arm is held when this returns or raises."""
        begun_ns = deadline_ns = self._clock.now_ns()
        try:
            while not self._stopping.is_set():
                now_ns = self._clock.now_ns()
                if for_s is not None and now_ns - begun_ns > for_s * 1e9:
                    return
                self._period(now_ns)
                deadline_ns = self._next_deadline(deadline_ns)
                if self._woken_before(deadline_ns, since_ns=now_ns):
                    deadline_ns = self._clock.now_ns()  # the next period counts from here
        finally:
            self._hold()

    def _next_deadline(self, deadline_ns: int) -> int:
        """A period later; where several have passed meanwhile they are left out."""
        following = deadline_ns + self._period_ns
        missed = max(self._clock.now_ns() - following, 0) // self._period_ns
        self.missed += missed
        return following + missed * self._period_ns

    def _woken_before(self, deadline_ns: int, *, since_ns: int) -> bool:
        """Waits for the deadline; True as soon as what a hand did must not wait for it."""
        while self._wake.wait_until_ns(deadline_ns):
            if self._stopping.is_set():
                return True
            self._read()
            pressed = self._pending is not None and bool(self._pending.commands)
            taken = self._pending is not None and self._pending.active != self._active
            if pressed or taken or self._commands:
                self._clock.sleep_until_ns(since_ns + round(_SPACING * self._period_ns))
                return True
        return False

    def _period(self, now_ns: int) -> None:
        self._read()
        controls, self._pending = self._pending, None
        self._active = controls is not None and controls.active
        commands = [self._commands.popleft() for _ in range(len(self._commands))]
        observation, problem = self._arm.observe()
        driven = self._session.step(
            observation, controls, now_ns=now_ns, commands=commands, problem=problem
        )
        if driven is not None:
            self._arm.send(driven.action)
        self._shown()

    def _read(self) -> None:
        try:
            controls = self._device.read(self._clock.now_ns())
        except RobotPolicyError as error:
            if self._device_fault != str(error):
                self._device_fault = str(error)
                self._session.say("error", f"{error}; the arm holds")
            self._pending = None
            return
        if controls is not None:
            before = self._pending
            self._pending = controls if before is None else before.followed_by(controls)

    def _hold(self) -> None:
        observation, _ = self._arm.observe()
        if self._session.driven is not None and observation is not None:
            self._arm.send(self._session.driving.hold(observation.state).action)
