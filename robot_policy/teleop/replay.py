"""A recorded episode once more, on an arm: every action through the limits."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode
from robot_policy.core.errors import SafetyError
from robot_policy.runtime.clock import Clock
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST
from robot_policy.runtime.ticker import Ticker
from robot_policy.teleop.arm import TeleopArm

NEAR_RAD = 0.1
"""How far the joints may be from where the episode began."""
_PATIENCE = 100
"""Control periods for which an observation is waited for."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay came to.

    Attributes:
        steps: That were executed.
        limited: Of these, those that the safety filter changed.
        reasons: Why.
        largest_error_m: Largest distance of the end effector from where it was recorded [m].
        last_error_m: At the end [m].
        solved: Whether the task was reached; None where nobody can tell.
    """

    steps: int
    limited: int
    reasons: tuple[str, ...]
    largest_error_m: float
    last_error_m: float
    solved: bool | None


def replay(
    arm: TeleopArm, episode: Episode, *, clock: Clock, advance: Callable[[], None] = lambda: None
) -> Replayed:
    """Sends the actions of an episode at the control rate; the arm is held at the end.

    Args:
        arm: Where the episode began; in the twin it has been put back to the same start.
        episode: Of the same robot.
        clock: Paces it.
        advance: Called after every step.

    Raises:
        SafetyError: If the arm is somewhere else than the episode began, falls silent, or a limit
            stops it.
    """
    robot = arm.robot
    safety = SafetyFilter.from_robot(robot)
    ticker = Ticker(round(1e9 * robot.dt_s), clock)
    state = _state(arm, ticker)
    _check_start(arm, state, episode.state[0])
    sent, limited, errors, solved = AT_REST, 0, [], False
    reasons: dict[str, None] = {}
    try:
        for action, recorded in zip(episode.actions, episode.state, strict=True):
            state = _state(arm, ticker)
            errors.append(float(np.linalg.norm(_ee(arm, state) - _ee(arm, recorded))))
            decision = safety.restrict(action, state, robot.dt_s, sent=sent)
            if decision.stop:
                raise SafetyError("the replay is stopped", got="; ".join(decision.reasons))
            limited += bool(decision.reasons)
            reasons |= dict.fromkeys(decision.reasons)
            rest = hold_action(robot, state, gripper=float(decision.action[-1]))
            sent = sent.then(decision.action, rest=rest)
            arm.send(decision.action)
            solved = solved or bool(arm.solved)
            advance()
            ticker.wait()
    finally:
        arm.send(hold_action(robot, _state(arm, ticker), gripper=float(episode.actions[-1, -1])))
    return Replayed(
        steps=len(episode),
        limited=limited,
        reasons=tuple(reasons),
        largest_error_m=max(errors),
        last_error_m=errors[-1],
        solved=None if arm.solved is None else solved,
    )


def _state(arm: TeleopArm, ticker: Ticker) -> NDArray[np.float32]:
    problem = ""
    for attempt in range(_PATIENCE):
        observation, problem = arm.observe()
        if observation is not None:
            if attempt:
                ticker.start()
            return observation.state
        if not attempt:
            ticker.start()
        ticker.wait()
    raise SafetyError("the arm cannot be seen", got=problem)


def _check_start(arm: TeleopArm, state: NDArray[np.float32], recorded: NDArray[np.float32]) -> None:
    here, there = arm.robot.joint_positions(state), arm.robot.joint_positions(recorded)
    away = np.abs(here - there)
    if away.max() > NEAR_RAD:
        joint = int(np.argmax(away))
        raise SafetyError(
            "the arm is not where the episode began",
            where=f"joint {arm.robot.joint_names[joint]}",
            expected=f"{there[joint]:.3f} rad, within {NEAR_RAD:g}",
            got=f"{here[joint]:.3f}",
            hint="move it there first, by hand or with `robot-policy teleop`",
        )


def _ee(arm: TeleopArm, state: NDArray[np.float32]) -> NDArray[np.floating]:
    return arm.robot.ee_position(state)
