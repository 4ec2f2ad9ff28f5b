"""The episodes of a session: recorded, judged, kept, and taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy.data.recorder import EpisodeRecorder
from robot_policy.teleop.disk import DiskWatch
from robot_policy.teleop.driving import Driven, Driver


class Beside(Protocol):
    """What else is recorded of an episode, a bag for example."""

    def start(self, number: int) -> None:
        """Begins."""
        ...

    def finish(self, notes: dict[str, str]) -> None:
        """Ends and keeps it."""
        ...

    def discard(self) -> None:
        """Ends and forgets it."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """An episode that was kept.

    Attributes:
        number: In the dataset.
        steps: Control periods.
        success: Its outcome.
        task: Instruction text.
        interventions: Steps in which a person drove instead of the policy.
    """

    number: int
    steps: int
    success: Success
    task: str
    interventions: int = 0


class Episodes:
    """Records one episode after the other into a dataset; nothing is encoded here.

    An episode begins with the first motion after its start, so that nobody learns to wait. While a
    policy runs, periods in which nobody drives are left out: the arm stands still in them.

    Args:
        output: Dataset, LeRobot v3.0; one that is there is appended to. None records nothing.
        spec: What every step holds.
        interventions: Whether a policy takes part.
        disk: Says when there is no more room.
        metadata: Kept with every episode.
        beside: What else is recorded; None for nothing.

    Raises:
        SpecError: If the dataset holds something else.
        DataError: If it is damaged.
    """

    def __init__(
        self,
        output: Path | None,
        spec: PolicySpec,
        *,
        interventions: bool = False,
        disk: DiskWatch | None = None,
        metadata: Mapping[str, Any] | None = None,
        beside: Beside | None = None,
    ) -> None:
        self.output = output
        self.kept: list[Kept] = []
        """Those of this session, in order."""
        self._saver = (
            None if output is None else EpisodeSaver(output, spec, interventions=interventions)
        )
        self._disk = None if output is None else disk or DiskWatch(output)
        self._spool = None if output is None else output.parent / f".{output.name}.recording"
        told = interventions if self._saver is None else self._saver.interventions
        self._recorder = EpisodeRecorder(spec, spool=self._spool, interventions=told)
        self._metadata = dict(metadata or {})
        self._beside = beside
        self._begun: dict[str, Any] | None = None
        self._interventions = 0
        self._stamp_ns = -1

    @property
    def recording(self) -> bool:
        """Whether an episode is under way."""
        return self._begun is not None

    @property
    def steps(self) -> int:
        """Of the episode under way."""
        return len(self._recorder)

    @property
    def number(self) -> int:
        """That the next episode gets."""
        return 0 if self._saver is None else self._saver.kept

    @property
    def saved(self) -> int:
        """Episodes that the dataset on the disk holds."""
        return 0 if self._saver is None else self._saver.saved

    @property
    def waiting(self) -> int:
        """Episodes that are still being written."""
        return 0 if self._saver is None else self._saver.waiting

    def problem(self, now_ns: int) -> str | None:
        """Returns why nothing can be recorded now; None if it can."""
        if self._saver is None or self._disk is None:
            return None
        if self._saver.problem is not None:
            return f"the last episode is not written yet: {self._saver.problem}"
        return self._disk.problem(now_ns)

    def start(self, *, now_ns: int, metadata: Mapping[str, Any]) -> int:
        """Begins an episode and returns its number.

        Raises:
            ConfigError: If one is under way, there is no dataset, or no room.
        """
        if self._saver is None:
            raise ConfigError("nothing is recorded", where="start", hint="give --output DIR")
        if self.recording:
            raise ConfigError("an episode is under way", where="start", hint="end it first")
        if self._saver.problem is not None:
            self._saver.retry()
        problem = self.problem(now_ns)
        if problem is not None:
            raise ConfigError(problem, where="start")
        if self._beside is not None:
            self._beside.start(self.number)
        self._begun = dict(metadata)
        self._interventions = 0
        self._recorder.discard()
        return self.number

    def add(self, observation: Observation, driven: Driven, *, policy_runs: bool) -> None:
        """Takes a step, if an episode is under way and there is something new.

        Raises:
            RobotPolicyError: If it does not fit.
            OSError: If the disk is full. The steps before are kept in both cases.
        """
        if self._begun is None or observation.stamp_ns <= self._stamp_ns:
            return
        idle = driven.driver == Driver.NOBODY
        if idle and (policy_runs or not len(self._recorder)):
            return
        taken_over = policy_runs and driven.driver == Driver.HUMAN
        self._recorder.append(
            observation,
            driven.action,
            intervention=taken_over,
            policy_action=driven.policy_action,
        )
        self._interventions += taken_over
        self._stamp_ns = observation.stamp_ns

    def finish(self, success: Success) -> Kept | None:
        """Ends the episode and keeps it; None if nothing had moved.

        Raises:
            ConfigError: If none is under way.
            RobotPolicyError: If it cannot be stored.
        """
        begun = self._ended("an episode")
        if not len(self._recorder):
            if self._beside is not None:
                self._beside.discard()
            return None
        assert self._saver is not None
        metadata = {**self._metadata, **begun, "interventions": self._interventions}
        episode = self._recorder.finish(success, metadata=metadata)
        number = self._saver.kept
        self._saver.submit(episode)
        if self._beside is not None:
            notes = {"episode": str(number), "success": success.value, "task": episode.task}
            self._beside.finish(notes)
        kept = Kept(number, len(episode), success, episode.task, self._interventions)
        self.kept.append(kept)
        return kept

    def discard(self) -> int:
        """Ends the episode, forgets it, and returns how many steps it had.

        Raises:
            ConfigError: If none is under way.
        """
        self._ended("nothing to discard: an episode")
        steps = len(self._recorder)
        self._recorder.discard()
        if self._beside is not None:
            self._beside.discard()
        return steps

    def undo(self) -> int:
        """Takes the last episode of this session back and returns its number.

        Raises:
            ConfigError: If there is none, or one is under way.
        """
        if self.recording:
            raise ConfigError("an episode is under way", where="undo", hint="discard it instead")
        if self._saver is None or not self.kept:
            raise ConfigError("no episode of this session is left", where="undo")
        number = self._saver.undo()
        self.kept.pop()
        return number

    def next_scene(self) -> None:
        """The clock of observations may begin anew: the scene has been put back."""
        self._stamp_ns = -1

    def close(self) -> int:
        """Keeps what is under way, waits until all is written, and returns how many are lost."""
        if self.recording:
            try:
                self.finish(Success.UNKNOWN)
            except (RobotPolicyError, OSError):
                self._recorder.discard()
        if self._saver is None:
            return 0
        lost = self._saver.close()
        if self._spool is not None and self._spool.is_dir() and not any(self._spool.iterdir()):
            self._spool.rmdir()
        return lost

    @property
    def save_problem(self) -> str | None:
        """Why episodes could not be written; None while all is well."""
        return None if self._saver is None else self._saver.problem

    def _ended(self, what: str) -> dict[str, Any]:
        begun, self._begun = self._begun, None
        if begun is None:
            raise ConfigError(f"{what} is not under way")
        return begun
