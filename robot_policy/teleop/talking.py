"""Demonstrations given by talking: sentences in, primitives executed, everything recorded."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError, RobotPolicyError, SafetyError
from robot_policy.core.observation import Observation
from robot_policy.data.recorder import EpisodeRecorder
from robot_policy.policies.primitive_servo import PrimitiveServo
from robot_policy.policies.primitives import Kind, Move, Primitive, PrimitiveSet
from robot_policy.policies.sentence_parser import Ask, Meaning, SentenceParser
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST
from robot_policy.teleop.arm import TeleopArm

type Chooser = Callable[[str], str | None]
"""A sentence to the name of a primitive, or None."""

_FIRST_S = 10.0
"""For which an arm is waited for that has not been heard yet [s]."""
_LATE_PERIODS = 10
"""Control periods for which a new observation is waited for."""
_GRIPPER_PERIODS = 10
"""Control periods in which fingers open or close."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a sentence came to.

    Attributes:
        text: One line for the person.
        moved: Whether the arm was moved.
        over: Whether the episode is over: done was said, or the task is reached.
    """

    text: str
    moved: bool = False
    over: bool = False


@dataclass
class _Said:
    """One sentence of the episode, and what it takes to take it back."""

    sentence: str
    code: str
    by: str
    moves: list[Move] = field(default_factory=list)
    closed_before: bool = False
    steps: list[tuple[Observation, NDArray[np.float32]]] = field(default_factory=list)


class TalkSession:
    """One episode after the other, sentence by sentence.

    Nothing moves without a sentence that is understood. Every command passes the robot's limits;
    what they stop ends the sentence and is said.

    Args:
        arm: What is moved; its observations carry the task of the episode.
        parser: Understands sentences.
        primitives: Of the robot.
        instruction: Task text, where observations carry none.
        chooser: Asked about a sentence that is not understood; may name a primitive and no more.
        sleep: Waits for an arm that does not wait for us [s].
    """

    def __init__(
        self,
        arm: TeleopArm,
        parser: SentenceParser,
        primitives: PrimitiveSet,
        *,
        instruction: str = "",
        chooser: Chooser | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._arm = arm
        self._parser = parser
        self._primitives = primitives
        self._instruction = instruction
        self._chooser = chooser
        self._sleep = sleep
        self._safety = SafetyFilter.from_robot(arm.robot)
        self._servo = PrimitiveServo(arm.robot)
        self._solved = False
        self.begin()

    @property
    def steps(self) -> int:
        """Control periods of the episode so far."""
        return sum(len(said.steps) for said in self._said)

    @property
    def closed(self) -> bool:
        """State of the gripper that was asked for last."""
        return self._servo.closed

    @property
    def task(self) -> str:
        """Task text of the episode."""
        return self._observe().instruction

    def begin(self) -> None:
        """Begins an episode where the arm is."""
        self._said: list[_Said] = []
        self._sent = AT_REST
        self._solved = False
        state = self._first().state
        closed = self._arm.robot.gripper_fraction(state) > 0.5
        self._servo.reset(state, closed=closed)

    def say(self, sentence: str) -> Reply:
        """Does what a sentence says, if it is understood."""
        meaning = self._understood(sentence)
        match meaning.ask:
            case Ask.QUESTION:
                return Reply(meaning.question)
            case Ask.WAIT:
                return Reply("waiting")
            case Ask.UNDO:
                return self._undo()
            case Ask.AGAIN:
                if not self._said:
                    return Reply("There is nothing to do again yet.")
                last = self._said[-1]
                return self._do(sentence, self._parser.parse(last.sentence))
            case Ask.MOVE:
                return self._do(sentence, meaning)

    def finish(self, success: Success | None = None) -> Episode:
        """Returns the episode; its metadata tells which sentence belongs to which steps.

        Args:
            success: As a person judged it; if None, as the arm tells, or unknown.

        Raises:
            SpecError: If nothing was recorded.
        """
        recorder = EpisodeRecorder(self._arm.spec)
        sentences: list[dict[str, object]] = []
        for said in self._said:
            start = len(recorder)
            for observation, action in said.steps:
                recorder.append(observation, action)
            sentences.append(
                {
                    "said": said.sentence,
                    "primitives": said.code,
                    "by": said.by,
                    "start": start,
                    "count": len(said.steps),
                }
            )
        if success is None:
            told = self._arm.solved
            success = Success.UNKNOWN if told is None else Success.NO
            if self._solved or told:
                success = Success.YES
        return recorder.finish(success, metadata={"quality": "language", "sentences": sentences})

    def _understood(self, sentence: str) -> Meaning:
        meaning = self._parser.parse(sentence)
        if meaning.ask is not Ask.QUESTION or self._chooser is None:
            return meaning
        name = self._chooser(sentence)
        if name is None:
            return meaning
        return Meaning(Ask.MOVE, ((self._primitives.named(name),),), by="endpoint")

    def _do(self, sentence: str, meaning: Meaning) -> Reply:
        said = _Said(sentence, meaning.code, meaning.by, closed_before=self._servo.closed)
        over = False
        try:
            for step in meaning.steps:
                over = any(p.kind is Kind.DONE for p in step)
                if not over:
                    move = self._move(step)
                    said.moves.append(move)
                    self._execute(move, said)
                if self._solved:
                    break
        except SafetyError as error:
            self._keep(said)
            return Reply(f"stopped: {error}", moved=bool(said.steps))
        self._keep(said)
        text = meaning.code.replace(";", ", then ").replace("+", " and ")
        if self._solved:
            return Reply(f"{text}: the task is reached", moved=True, over=True)
        return Reply(text, moved=bool(said.steps), over=over)

    def _keep(self, said: _Said) -> None:
        if said.steps:
            self._said.append(said)

    def _move(self, step: tuple[Primitive, ...]) -> Move:
        closed = self._servo.closed
        for primitive in step:
            if primitive.kind in (Kind.CLOSE, Kind.OPEN):
                closed = primitive.kind is Kind.CLOSE
        return Move(tuple(p for p in step if p.kind is Kind.MOVE), closed=closed)

    def _undo(self) -> Reply:
        if not self._said:
            return Reply("There is nothing to undo.")
        last = self._said.pop()
        closed = [last.closed_before, *(move.closed for move in last.moves[:-1])]
        forgotten = _Said("undo", "undo", "grammar")
        try:
            for move, before in zip(reversed(last.moves), reversed(closed), strict=True):
                self._execute(self._primitives.inverse(move, closed_before=before), forgotten)
        except SafetyError as error:
            return Reply(f"stopped while undoing “{last.sentence}”: {error}", moved=True)
        return Reply(f"undone: “{last.sentence}”; objects stay where they are", moved=True)

    def _execute(self, move: Move, said: _Said) -> None:
        observation = self._observe()
        turned = move.closed != self._servo.closed
        self._servo.begin(move, observation.state)
        least = _GRIPPER_PERIODS if turned else 0
        for period in range(max(self._servo.periods(move), least)):
            if period >= least and self._servo.arrived(observation.state):
                return
            observation = self._period(observation, said)
            if self._solved:
                return

    def _period(self, observation: Observation, said: _Said) -> Observation:
        robot = self._arm.robot
        wanted = self._servo.action(observation.state)
        decision = self._safety.restrict(wanted, observation.state, robot.dt_s, sent=self._sent)
        rest = hold_action(robot, observation.state, gripper=float(wanted[-1]))
        if decision.stop:
            self._arm.send(rest)
            raise SafetyError("the safety filter", got=", ".join(map(str, decision.reasons)))
        self._sent = self._sent.then(decision.action, rest=rest)
        said.steps.append((observation, decision.action))
        self._arm.send(decision.action)
        self._solved = self._solved or bool(self._arm.solved)
        return self._later(observation.stamp_ns)

    def _later(self, stamp_ns: int) -> Observation:
        for _ in range(_LATE_PERIODS):
            observation = self._observe()
            if observation.stamp_ns > stamp_ns:
                return observation
            self._sleep(self._arm.robot.dt_s)
        raise RobotPolicyError(
            "nothing new is heard of the arm", where=self._arm.robot.name, hint="is it running?"
        )

    def _first(self) -> Observation:
        """Waits for an arm that has not been heard yet, as one behind topics at the beginning."""
        for _ in range(round(_FIRST_S / self._arm.robot.dt_s)):
            if self._arm.observe()[0] is not None:
                break
            self._sleep(self._arm.robot.dt_s)
        return self._observe()

    def _observe(self) -> Observation:
        observation, why = self._arm.observe()
        if observation is None:
            raise RobotPolicyError("there is no observation", where=self._arm.robot.name, got=why)
        if not observation.instruction and not self._instruction:
            raise ConfigError(
                "the task has no words", where="--instruction", expected="what is to be done"
            )
        if self._instruction:
            observation = replace(observation, instruction=self._instruction)
        return observation
