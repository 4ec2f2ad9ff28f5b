"""Demonstrations as primitives, executed again: what the primitives cost."""

from dataclasses import dataclass

import numpy as np

from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot_description import RobotDescription
from robot_policy.policies.primitive_coding import PERIODS, Decision, discretise
from robot_policy.policies.primitive_servo import PrimitiveServo
from robot_policy.policies.primitives import Move, PrimitiveSet
from sim.envs.robosuite_arm import RobosuiteArm
from sim.scripted.expert import Expert
from sim.scripted.rollout import collect_episode

_WAIT = 20
"""Control periods after the last decision in which the arm arrives and the goal must hold."""
_ARRIVE = 8
"""Most control periods for which a move that did not arrive in those of its decision is waited for:
the demonstration was as fast as the arm is, so that what is late is never made up for otherwise."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One demonstration and what its primitives did.

    Attributes:
        seed: Of the episode.
        demonstrated: Whether the demonstration succeeded.
        replayed: Whether its primitives did.
        decisions: How many there are.
        composed: How many of them move along more than one axis.
        error_m: Mean distance between demonstrated and replayed end effector at the decisions [m].
    """

    seed: int
    demonstrated: bool
    replayed: bool
    decisions: int
    composed: int
    error_m: float


def decisions_of(
    episode: Episode, robot: RobotDescription, primitives: PrimitiveSet, *, periods: int = PERIODS
) -> list[Decision]:
    """Returns the decisions of a recorded episode, from the poses that the arm had."""
    return discretise(
        np.stack([robot.ee_position(state) for state in episode.state]),
        np.stack([robot.ee_rotation(state) for state in episode.state]),
        episode.actions[:, -1],
        primitives,
        periods=periods,
    )


def replay(
    environment: RobosuiteArm, expert: Expert, *, seed: int, noise: float, periods: int = PERIODS
) -> Replay:
    """Demonstrates the episode of `seed`, turns it into primitives and executes those instead.

    Args:
        environment: The twin.
        expert: Of its task.
        seed: Of the episode.
        noise: On the commands of the demonstration, as `collect_episode` takes it.
        periods: Control periods of a decision.
    """
    robot = environment.robot
    episode = collect_episode(environment, expert, seed=seed, noise=noise)
    decisions = decisions_of(episode, robot, PrimitiveSet.for_robot(robot), periods=periods)
    errors: list[float] = []
    player = _Player(environment, seed)
    for decision in decisions:
        player.play(decision.move, decision.count)
        last = min(decision.start + decision.count, len(episode) - 1)
        there = robot.ee_position(episode.state[last]) - robot.ee_position(player.state)
        errors.append(float(np.linalg.norm(there)))
    player.wait()
    return Replay(
        seed=seed,
        demonstrated=episode.success == Success.YES,
        replayed=player.success,
        decisions=len(decisions),
        composed=sum(len(d.move.primitives) > 1 for d in decisions),
        error_m=float(np.mean(errors)),
    )


class _Player:
    """Executes moves from the start that belongs to a seed, until the episode is over."""

    def __init__(self, environment: RobosuiteArm, seed: int) -> None:
        self._environment = environment
        self._servo = PrimitiveServo(environment.robot)
        self.state = environment.reset(seed).state
        self._servo.reset(self.state)
        self._over = self.success = False

    def play(self, move: Move, count: int) -> None:
        """Executes a move for `count` control periods, and then until it has arrived."""
        self._servo.follow(move)
        self._steps(count)
        for _ in range(_ARRIVE):
            if self._servo.arrived(self.state):
                return
            self._steps(1)

    def wait(self) -> None:
        """Waits for the end."""
        self._steps(_WAIT)

    def _steps(self, count: int) -> None:
        for _ in range(count):
            if self._over:
                return
            step = self._environment.step(self._servo.action(self.state))
            self.state, self.success, self._over = step.observation.state, step.success, step.done
