"""Turns what arrives into the steps of an episode. Knows no ROS."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from robot_policy.core.command_values import action_from_values
from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy.data.recorder import EpisodeRecorder
from robot_policy_ros.command_log import CommandLog
from robot_policy_ros.inputs import Inputs


class CaptureError(RobotPolicyError):
    """An episode cannot be begun or ended now."""


@dataclass(frozen=True, slots=True)
class CaptureState:
    """How the recording goes.

    Attributes:
        recording: Whether an episode is under way.
        steps: Of it so far.
        missed: Control periods of it without an observation.
        longest_gap_s: Longest time between two of its observations [s].
        problem: Why the newest step could not be taken, else None.
        ended: Whether no more steps are taken, because the disk is full for example.
    """

    recording: bool = False
    steps: int = 0
    missed: int = 0
    longest_gap_s: float = 0.0
    problem: str | None = None
    ended: bool = False


class EpisodeCapture:
    """Takes an observation per control period, and as its action what was commanded after it.

    Observations are those that a policy would see: as-of, with the times at which they were
    measured. An observation that a sensor did not deliver in time is missing, is counted, and is
    not made up for.

    Every method may be called from any thread.

    Args:
        robot: Gives the state vector.
        spec: What every step holds.
        inputs: Give observations.
        commands: Give actions.
        spool: Folder for images until the episode is over; None keeps them in memory.
    """

    def __init__(
        self,
        robot: RobotDescription,
        spec: PolicySpec,
        *,
        inputs: Inputs,
        commands: CommandLog,
        spool: Path | None = None,
    ) -> None:
        self._robot = robot
        self._inputs = inputs
        self._commands = commands
        self._period_ns = round(1e9 * spec.dt_s)
        # Stamps of a stream at just the control rate jitter; none of it may be skipped for that.
        self._slack_ns = self._period_ns // 4
        self._due_ns: int | None = None
        self._recorder = EpisodeRecorder(spec, spool=spool)
        self._task = ""
        self._last: Observation | None = None
        self._state = CaptureState()
        self._lock = threading.Lock()

    @property
    def state(self) -> CaptureState:
        """How the recording goes."""
        with self._lock:
            return self._state

    def start(self, task: str) -> None:
        """Begins an episode.

        Raises:
            CaptureError: If one is under way.
        """
        with self._lock:
            if self._state.recording:
                raise CaptureError("an episode is under way", got=f"{self._state.steps} steps")
            self._recorder.discard()
            self._due_ns = None
            self._task = task
            self._last = None
            self._state = CaptureState(recording=True)

    def observe(self, now_ns: int) -> None:
        """Takes a step if there is a new observation and it is time for one."""
        with self._lock:
            if not self._state.recording or self._state.ended:
                return
            observation = self._inputs.observation(now_ns)
            if observation is None or not self._is_due(observation.stamp_ns):
                return
            try:
                if self._last is not None:
                    self._count_gap(observation.stamp_ns - self._last.stamp_ns)
                    self._append(self._last, until_ns=observation.stamp_ns)
                self._last = replace(observation, instruction=self._task)
                self._state = replace(self._state, steps=self._state.steps + 1, problem=None)
            except (RobotPolicyError, OSError) as error:
                self._fail(error)

    def finish(self, success: Success, *, now_ns: int) -> Episode:
        """Ends the episode and returns it.

        Raises:
            CaptureError: If none is under way, or it has no step; it is over then.
        """
        with self._lock:
            if not self._state.recording:
                raise CaptureError("no episode is under way")
            if self._last is not None:
                try:
                    self._append(self._last, until_ns=now_ns)
                except (RobotPolicyError, OSError) as error:
                    self._fail(error)
            state, self._state, self._last = self._state, CaptureState(), None
            if not len(self._recorder):
                raise CaptureError(
                    "nothing was recorded",
                    got=state.problem,
                    hint="no observation and command have arrived since the start",
                )
            told = {
                "missed_steps": state.missed,
                "longest_gap_s": round(state.longest_gap_s, 4),
                "problem": state.problem,
            }
            return self._recorder.finish(success, metadata={"recorder": told})

    def discard(self) -> int:
        """Ends the episode, forgets it, and returns how many steps it had.

        Raises:
            CaptureError: If none is under way.
        """
        with self._lock:
            if not self._state.recording:
                raise CaptureError("no episode is under way")
            steps = self._state.steps
            self._recorder.discard()
            self._last = None
            self._state = CaptureState()
            return steps

    def _is_due(self, stamp_ns: int) -> bool:
        """Whether a step is due; it counts as taken then."""
        due_ns = stamp_ns if self._due_ns is None else self._due_ns
        low, high = stamp_ns - self._slack_ns, stamp_ns + self._slack_ns
        if due_ns > high:
            return False
        self._due_ns = max(due_ns, low) + self._period_ns
        return True

    def _fail(self, error: Exception) -> None:
        # What was recorded before is whole, and may still be kept.
        self._last = None
        ended = isinstance(error, OSError)
        self._state = replace(self._state, problem=str(error), ended=ended)

    def close(self) -> None:
        """Forgets an episode that is under way."""
        with self._lock:
            self._state = CaptureState()
            self._recorder.discard()

    def _append(self, observation: Observation, *, until_ns: int) -> None:
        gripper = float(observation.state[len(self._robot.joint_names)])
        command = self._commands.action(
            after_ns=observation.stamp_ns, until_ns=until_ns, gripper=gripper
        )
        if command is None:  # before the first command there is nothing to learn from
            return
        arm = action_from_values(self._robot, command[:-1], observation.state)
        self._recorder.append(observation, np.append(arm, command[-1]).astype(np.float32))

    def _count_gap(self, gap_ns: int) -> None:
        missed = max(0, round(gap_ns / self._period_ns) - 1)
        self._state = replace(
            self._state,
            missed=self._state.missed + missed,
            longest_gap_s=max(self._state.longest_gap_s, gap_ns * 1e-9),
        )
