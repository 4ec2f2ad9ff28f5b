"""Stochastic trajectory augmentation, executed in the twin (Kang et al. 2024, section on STA).

An episode that was given in primitives is executed again on other ways: what is far from a change
of the gripper is taken in other steps that add up to the same, and what is near is left as it is,
after a deviation that is not recorded and the recovery from it, which is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_policy.core.episode import Episode, Success
from robot_policy.core.observation import Observation
from robot_policy.data.recorder import EpisodeRecorder
from robot_policy.policies.primitive_servo import PrimitiveServo
from robot_policy.policies.primitives import TRANSLATIONS, Move, PrimitiveSet
from sim.envs.robosuite_arm import RobosuiteArm

FINE = 3
"""Decisions before a change of the gripper that stay as they are."""
_DEVIATE = 0.5
"""Chance of a deviation before a fine decision."""
_LARGEST_LEVEL = 4
"""Amounts that a path is resampled in are below this place among the robot's."""
_DEVIATION_LEVELS = (1, 3)
"""Places of the amounts of a deviation, the last excluded."""
_WAIT = 12
_SETTLE = 6


@dataclass(frozen=True, slots=True)
class Leg:
    """A move of an augmented episode.

    Attributes:
        move: What is done.
        recorded: Whether it is a label; a deviation is none.
    """

    move: Move
    recorded: bool = True


def augmented(
    moves: Sequence[Move], primitives: PrimitiveSet, rng: np.random.Generator
) -> list[Leg]:
    """Returns another way to do `moves`; where they lead, it leads.

    Args:
        moves: Of a successful episode, in order.
        primitives: Of the robot.
        rng: Of all chance.
    """
    legs: list[Leg] = []
    for part in _parts(moves):
        coarse, fine = part[:-FINE], part[-FINE:]
        legs += [Leg(move) for move in _resampled(coarse, primitives, rng)]
        for move in fine:
            if rng.random() < _DEVIATE:
                away = _deviation(move.closed, primitives, rng)
                back = primitives.inverse(away, closed_before=move.closed)
                legs += [Leg(away, recorded=False), Leg(back)]
            legs.append(Leg(move))
    return legs


def execute(environment: RobosuiteArm, legs: Sequence[Leg], *, seed: int) -> Episode | None:
    """Executes an augmented episode from the start of `seed`.

    Returns:
        What was seen and done on the recorded legs; None if it did not succeed.
    """
    servo = PrimitiveServo(environment.robot)
    recorder = EpisodeRecorder(environment.spec)
    observation = environment.reset(seed)
    servo.reset(observation.state)
    done = success = False
    for place, leg in enumerate(legs):
        following = legs[place + 1].move if place + 1 < len(legs) else leg.move
        servo.begin(leg.move, observation.state)
        changes = following.closed != leg.move.closed or place + 1 == len(legs)
        periods = servo.periods(leg.move) if leg.move.primitives else _WAIT
        for _ in range(periods + (_SETTLE if changes else 0)):
            if done or (leg.move.primitives and servo.arrived(observation.state)):
                break
            observation, done, success = _step(
                environment, servo, observation, recorder, leg.recorded
            )
    for _ in range(_WAIT):
        if not done:
            observation, done, success = _step(environment, servo, observation, recorder, True)
    if not success or not len(recorder):
        return None
    metadata = {"seed": seed, "quality": "augmented"}
    return recorder.finish(Success.YES, metadata=metadata)


def _step(
    environment: RobosuiteArm,
    servo: PrimitiveServo,
    observation: Observation,
    recorder: EpisodeRecorder,
    recorded: bool,
) -> tuple[Observation, bool, bool]:
    action = servo.action(observation.state)
    step = environment.step(action)
    if recorded:
        recorder.append(observation, action, reward=step.reward, success=step.success)
    return step.observation, step.done, step.success


def _parts(moves: Sequence[Move]) -> list[list[Move]]:
    """Cuts where the gripper changes."""
    parts: list[list[Move]] = []
    for move in moves:
        if not parts or parts[-1][-1].closed != move.closed:
            parts.append([])
        parts[-1].append(move)
    return parts


def _resampled(
    moves: Sequence[Move], primitives: PrimitiveSet, rng: np.random.Generator
) -> list[Move]:
    """Random steps, in a random order, with the sum of `moves`; turns come first, at once."""
    if not moves:
        return []
    closed = moves[0].closed
    total = sum((m.motion for m in moves), np.zeros(2 * TRANSLATIONS))
    steps: list[Move] = []
    turn = np.append(np.zeros(TRANSLATIONS), total[TRANSLATIONS:])
    if primitives.compose(turn, closed=closed).primitives:
        steps.append(primitives.compose(turn, closed=closed))
    ways = [_split(total[axis], primitives.amounts(axis), rng) for axis in range(TRANSLATIONS)]
    while any(ways):
        motion = np.zeros(2 * TRANSLATIONS)
        open_axes = [axis for axis, way in enumerate(ways) if way]
        chosen = [axis for axis in open_axes if rng.random() < 0.7] or [
            open_axes[int(rng.integers(len(open_axes)))]
        ]
        for axis in chosen:
            motion[axis] = ways[axis].pop()
        steps.append(primitives.compose(motion, closed=closed))
    return steps


def _split(total: float, amounts: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Signed amounts that add up to `total`, but for less than half the smallest."""
    parts: list[float] = []
    rest, usable = abs(total), amounts[:_LARGEST_LEVEL]
    while rest >= amounts[0] / 2:
        fitting = [a for a in usable if a <= rest + amounts[0] / 2]
        part = fitting[int(rng.integers(len(fitting)))]
        parts.append(float(np.sign(total)) * part)
        rest -= part
    return [float(p) for p in rng.permutation(parts)] if parts else []


def _deviation(closed: bool, primitives: PrimitiveSet, rng: np.random.Generator) -> Move:
    """Somewhere else, and never down."""
    motion = np.zeros(2 * TRANSLATIONS)
    axis = int(rng.integers(TRANSLATIONS))
    amount = primitives.amounts(axis)[int(rng.integers(*_DEVIATION_LEVELS))]
    motion[axis] = amount if axis == TRANSLATIONS - 1 or rng.random() < 0.5 else -amount
    return primitives.compose(motion, closed=closed)
