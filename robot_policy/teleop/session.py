"""One person, one arm, one dataset: what buttons mean, and what happens in a control period."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.driving import Driven, Driver, Driving
from robot_policy.teleop.episodes import Episodes

_MESSAGES = 20
_LOST_S = 1.0
"""Time without an observation after which an episode is ended and kept."""
_OUTCOMES = {
    Command.SUCCESS: Success.YES,
    Command.FAILURE: Success.NO,
    Command.STOP: Success.UNKNOWN,
}


class Phase(StrEnum):
    """What a session is at.

    IDLE: Nothing is recorded; the arm may be moved.
    RECORDING: An episode is under way.
    INTERVENTION: A person drives instead of the running policy, recorded or not.
    STOPPED: The arm is held until it is released.
    """

    IDLE = "idle"
    RECORDING = "recording"
    INTERVENTION = "intervention"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Message:
    """A line for the person.

    Attributes:
        number: Counts up.
        level: ``"info"``, ``"warning"`` or ``"error"``.
        text: In words.
    """

    number: int
    level: str
    text: str


class Session:
    """Carries out commands, drives and records. Called once per control period, from one thread.

    Args:
        driving: Who drives.
        episodes: What is recorded.
        task: Instruction text, as long as the arm itself brings none; may be changed between
            episodes.
        simulated: Whether observations' time may pass more slowly than the clock's.
        reset: Puts the scene back, to the start of a number; None where a person has to.
        first_start: Number of the first start.
    """

    def __init__(
        self,
        driving: Driving,
        episodes: Episodes,
        *,
        task: str = "",
        simulated: bool = False,
        reset: Callable[[int], None] | None = None,
        first_start: int = 0,
    ) -> None:
        self.driving = driving
        self.episodes = episodes
        self.task = task
        self.driven: Driven | None = None
        """What the last period came to."""
        self.stopped: str | None = None
        """Why the arm is held until it is released; None if it may move."""
        self.messages: deque[Message] = deque(maxlen=_MESSAGES)
        self._simulated = simulated
        self._reset = reset
        self._start = first_start
        self._told = 0
        self._state: NDArray[np.float32] | None = None
        self._seen_ns: int | None = None
        self._clocks: tuple[int, int] | None = None
        self._task = task
        self._was_lost = False
        self._was_silent = False
        self._put_back = False

    @property
    def start_number(self) -> int:
        """Number of the scene's start, the twin's seed."""
        return self._start

    @property
    def phase(self) -> Phase:
        """What it is at."""
        if self.stopped is not None:
            return Phase.STOPPED
        driven = self.driven
        if self.driving.policy_runs and driven is not None and driven.driver == Driver.HUMAN:
            return Phase.INTERVENTION
        return Phase.RECORDING if self.episodes.recording else Phase.IDLE

    def step(
        self,
        observation: Observation | None,
        controls: Controls | None,
        *,
        now_ns: int,
        commands: Sequence[Command] = (),
        problem: str = "",
    ) -> Driven | None:
        """Carries out one control period.

        Args:
            observation: The newest; None if the arm cannot be seen.
            controls: What the device says.
            now_ns: Monotonic time [ns].
            commands: Buttons pressed elsewhere, on a page for example.
            problem: Why there is no observation.

        Returns:
            What to send; None as long as nothing is known of the arm, or of the scene that a
            button has put back.
        """
        for command in (*commands, *(controls.commands if controls is not None else ())):
            self._obey(command, now_ns)
        if self._put_back:  # what was seen is of the scene before
            self._put_back = False
            return None
        if observation is None:
            return self._blind(now_ns, problem)
        self._check_clock(observation, now_ns)
        if self._was_lost:
            self._tell("info", "the arm is back")
            self._was_lost = False
        self._seen_ns, self._state = now_ns, observation.state
        observation = self._instructed(observation)
        if self.stopped is not None:
            self.driving.hold_still()
            self.driven = self.driving.hold(observation.state)
            return self.driven
        ran = self.driving.policy_runs
        self.driven = driven = self.driving.drive(observation, controls, now_ns)
        if ran and not self.driving.policy_runs:
            self._tell("error", f"the policy was stopped: {self.driving.policy_fault}")
        self._watch_silence()
        self._record(observation, driven, now_ns)
        return driven

    def say(self, level: str, text: str) -> None:
        """Tells the person something."""
        self._tell(level, text)

    def close(self) -> int:
        """Ends the session; returns how many episodes are lost."""
        return self.episodes.close()

    def _obey(self, command: Command, now_ns: int) -> None:
        try:
            self._carry_out(command, now_ns)
        except (RobotPolicyError, OSError) as error:
            self._tell("warning", str(error))

    def _carry_out(self, command: Command, now_ns: int) -> None:
        match command:
            case Command.START:
                if self.stopped is not None:
                    raise ConfigError("the arm is stopped", where="start", hint="release it first")
                number = self.episodes.start(now_ns=now_ns, metadata=self._about())
                self._task = self.task
                self._tell("info", f"episode {number}: recording begins with the first motion")
            case Command.SUCCESS | Command.FAILURE | Command.STOP:
                self._finish(_OUTCOMES[command])
            case Command.DISCARD:
                self._tell("info", f"discarded {self.episodes.discard()} steps")
                self._next_scene(self._start)
            case Command.UNDO:
                self._tell("info", f"episode {self.episodes.undo()} is taken back")
            case Command.RESET:
                if self.episodes.recording:
                    raise ConfigError("an episode is under way", where="reset", hint="end it first")
                self._next_scene(self._start + 1)
            case Command.RUN_POLICY:
                if self.driving.agent is None:
                    raise ConfigError("there is no policy", where="run", hint="give --policy RUN")
                self.driving.run_policy(seed=self._start)
                self._tell("info", "the policy drives; touch the device to take over")
            case Command.STOP_POLICY:
                self.driving.stop_policy()
                self._tell("info", "the policy is stopped")
            case Command.EMERGENCY_STOP:
                self._stop("emergency stop")
            case Command.RELEASE:
                self._release()

    def _about(self) -> dict[str, Any]:
        return {"seed": self._start} if self._reset is not None else {}

    def _finish(self, success: Success) -> None:
        kept = self.episodes.finish(success)
        self.driving.stop_policy()
        if kept is None:
            self._tell("warning", "nothing had moved; nothing was kept")
            return
        self._tell(
            "info", f"episode {kept.number} kept: {kept.steps} steps, success {success.value}"
        )
        self._next_scene(self._start + 1)

    def _next_scene(self, start: int) -> None:
        if self._reset is None:
            return
        self._start = start
        self.driving.stop_policy()
        self.driving.reset()
        self._clocks = None
        self.episodes.next_scene()
        self._reset(start)
        self._put_back = True

    def _stop(self, reason: str) -> None:
        if self.stopped is None:
            self.stopped = reason
            self.driving.stop_policy()
            self._tell("error", f"{reason}: the arm holds until it is released")

    def _release(self) -> None:
        if self.stopped is None:
            return
        self.stopped = None
        self._clocks = None
        self.driving.hold_still()
        self._tell("info", "released")

    def _blind(self, now_ns: int, problem: str) -> Driven | None:
        if not self._was_lost:
            self._was_lost = True
            self._tell("error", f"the arm cannot be seen: {problem or 'no observation'}; it holds")
        self.driving.hold_still()
        lost = self._seen_ns is not None and now_ns - self._seen_ns > _LOST_S * 1e9
        if lost and self.episodes.recording:
            self._keep("the arm was lost")
        if self._state is None:
            return None
        self.driven = self.driving.hold(self._state)
        return self.driven

    def _check_clock(self, observation: Observation, now_ns: int) -> None:
        """A clock that has jumped makes times from before and after it incomparable."""
        before, self._clocks = self._clocks, (observation.stamp_ns, now_ns)
        if before is None:
            return
        elapsed_s = (now_ns - before[1]) * 1e-9
        stamped_s = (observation.stamp_ns - before[0]) * 1e-9
        ahead_s = stamped_s - elapsed_s
        if stamped_s < 0.0 or (ahead_s > 0.5 and not self._simulated):
            self._stop(f"the clock has jumped by {ahead_s:+.2f} s")
            if self.episodes.recording:
                self._keep("the clock has jumped")

    def _instructed(self, observation: Observation) -> Observation:
        """With the task; that of an episode is the one it began with, if there was one by then."""
        self.task = self.task or observation.instruction
        if not self.episodes.recording or not self._task:
            self._task = self.task
        return replace(observation, instruction=self._task)

    def _watch_silence(self) -> None:
        silent = self.driving.lost
        if silent and not self._was_silent:
            self._tell("error", "the device has fallen silent while it was held: the arm holds")
        self._was_silent = silent

    def _record(self, observation: Observation, driven: Driven, now_ns: int) -> None:
        if not self.episodes.recording:
            return
        problem = self.episodes.problem(now_ns)
        if problem is not None:
            self._keep(problem)
            return
        try:
            self.episodes.add(observation, driven, policy_runs=self.driving.policy_runs)
        except (RobotPolicyError, OSError) as error:
            self._keep(str(error))

    def _keep(self, why: str) -> None:
        """Ends the episode early and keeps what there is of it."""
        try:
            kept = self.episodes.finish(Success.UNKNOWN)
        except (RobotPolicyError, OSError) as error:
            self._tell("error", f"{why}; the episode cannot be kept: {error}")
            return
        told = "nothing had been recorded" if kept is None else f"{kept.steps} steps are kept"
        self._tell("error", f"recording has ended: {why}; {told}")

    def _tell(self, level: str, text: str) -> None:
        self._told += 1
        self.messages.append(Message(self._told, level, text))
