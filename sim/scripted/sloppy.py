"""A worse demonstrator made out of a good one, for data of mixed quality."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.task import Task
from sim.scripted.expert import Expert
from sim.scripted.motion import MAX_STEP_M
from sim.scripted.scene import Scene

_HELD = (0.15, 0.75)
"""Gripper fractions at which something may be between the fingers, once they have stopped."""

_STOPPED = 0.01
"""Change of the gripper fraction in one step below which the fingers have stopped."""


@dataclass(frozen=True, slots=True)
class Flaws:
    """How often what goes wrong.

    Attributes:
        misjudge: Chance that an attempt aims beside the object.
        misjudge_m: By how much, at least and at most [m].
        attempt_steps: Steps after which it looks again, at least and at most.
        give_up_again: Chance of stopping for good when an attempt has to be made again.
        drops: Expected number of times that it lets go of what it holds, if it held something
            for the whole time limit of the task.
        drop_steps: Steps for which the gripper then stays open.
        detours: Expected number of times that it starts to wander within the time limit.
        detour_steps: Steps for which it wanders, at least and at most.
        give_ups: Expected number of times that it would stop for good within the time limit.
    """

    misjudge: float = 0.5
    misjudge_m: tuple[float, float] = (0.03, 0.05)
    attempt_steps: tuple[int, int] = (30, 50)
    give_up_again: float = 0.25
    drops: float = 1.8
    drop_steps: int = 8
    detours: float = 3.0
    detour_steps: tuple[int, int] = (5, 15)
    give_ups: float = 0.3


class Sloppy:
    """Does what `expert` would do, but misjudges, drops, wanders and gives up.

    It aims beside objects for a while and closes on nothing; opens the gripper in mid-air; makes
    detours; and now and then stops for good, so that some episodes fail.

    Args:
        expert: The one that knows how.
        task: What both do.
        flaws: How often what goes wrong.
    """

    quality = "sloppy"

    def __init__(self, expert: Expert, task: Task, flaws: Flaws | None = None) -> None:
        self._expert = expert
        self._task = task
        self._flaws = Flaws() if flaws is None else flaws

    def reset(self, rng: np.random.Generator) -> None:
        """Begins an episode; chance comes from `rng`."""
        self._rng = rng
        self._expert.reset(rng)
        self._closed = 0.0
        self._error = np.zeros(3)
        self._attempts = 0
        self._attempt_left = 0
        self._drop_left = 0
        self._detour_left = 0
        self._direction = np.zeros(3)
        self._gave_up = False

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, self._task)
        stopped = abs(scene.closed - self._closed) < _STOPPED
        self._closed = scene.closed
        self._stumble(holding=stopped and _HELD[0] < scene.closed < _HELD[1])
        if self._gave_up:
            return np.array([0, 0, 0, 0, 0, 0, float(scene.closed > 0.5)], dtype=np.float32)
        action = self._expert.act(self._misjudged(observation))
        if self._detour_left > 0:
            action[:3] = self._direction
        if self._drop_left > 0:
            action[-1] = 0.0
        return action

    def _stumble(self, *, holding: bool) -> None:
        """Decides what goes wrong from now on."""
        flaws, rng, limit = self._flaws, self._rng, self._task.max_steps
        chance = rng.random(5)  # drawn in every step: one event does not shift the others
        self._attempt_left -= 1
        self._drop_left -= 1
        self._detour_left -= 1
        self._gave_up = self._gave_up or chance[0] < flaws.give_ups / limit
        if holding:
            self._error = np.zeros(3)  # what is in the hand is felt
            if self._drop_left <= 0 and chance[1] < flaws.drops / limit:
                self._drop_left = flaws.drop_steps
        elif self._attempt_left <= 0:
            self._gave_up = self._gave_up or (
                self._attempts > 0 and chance[4] < flaws.give_up_again
            )
            self._attempts += 1
            self._attempt_left = int(rng.integers(*flaws.attempt_steps))
            size = rng.uniform(*flaws.misjudge_m) if chance[2] < flaws.misjudge else 0.0
            angle = rng.uniform(0.0, 2 * np.pi)
            self._error = size * np.array([np.cos(angle), np.sin(angle), 0.0])
        if self._detour_left <= 0 and chance[3] < flaws.detours / limit:
            self._detour_left = int(rng.integers(*flaws.detour_steps))
            direction = rng.standard_normal(3)
            direction[2] = abs(direction[2])  # not through the table
            self._direction = 0.7 * MAX_STEP_M * direction / np.linalg.norm(direction)

    def _misjudged(self, observation: Observation) -> Observation:
        """The observation with the first object, the one to be picked up, somewhere else."""
        assert observation.environment_state is not None  # Scene.read has checked
        state = observation.environment_state.copy()
        state[:3] += self._error
        return replace(observation, environment_state=state)
