"""A scripted person at a device: knows the task, but reacts late, trembles and overshoots."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.teleop.controls import Controls
from sim.scripted.expert import Expert
from sim.scripted.motion import MAX_STEP_M, MAX_TURN_RAD
from sim.scripted.noise import CorrelatedNoise

_CLOSE = 0.5


@dataclass(frozen=True, slots=True)
class Habits:
    """How imperfect a person is.

    Attributes:
        reaction_s: Time from what is seen to what the hand does [s].
        jitter: Standard deviation of the hand's trembling, as a part of full speed.
        caution: Part of what an expert would do at once: who sees late must go gently, or circles
            around the goal.
        overshoot: Part of the hand's last speed that it still has a control period later.
        patience_s: For how long a policy may get no further before the person takes over [s].
        trust_s: Time for which the policy must want the right thing before it is let go on [s].
        least_drive_s: For how long the person drives at least, having taken over [s].
    """

    reaction_s: float = 0.2
    jitter: float = 0.1
    caution: float = 0.35
    overshoot: float = 0.3
    patience_s: float = 1.5
    trust_s: float = 0.8
    least_drive_s: float = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What the hand does now.

    Attributes:
        velocity: (6,) as parts of full speed in the base frame, -1 .. 1.
        closed: Whether the gripper should be closed.
        active: Whether the hand is on the device.
    """

    velocity: NDArray[np.floating]
    closed: bool
    active: bool


class Hand:
    """Decides what a person wants; knows no device.

    The person watches how far the expert's next command is from being done. While a policy drives,
    they take over when it gets no further for their patience, or does the contrary of what they
    would do, and let go once it goes well again.

    Args:
        expert: Knows the task.
        robot: Gives the control period.
        full_step: (6,) displacement at full speed, of the mapping [m], [rad].
        seed: Of the trembling.
        habits: How imperfect.
    """

    def __init__(
        self,
        expert: Expert,
        robot: RobotDescription,
        *,
        full_step: NDArray[np.floating],
        seed: int,
        habits: Habits | None = None,
    ) -> None:
        self.habits = habits or Habits()
        self._expert = expert
        self._full_step = full_step
        self._period_s = robot.dt_s
        self._delay = max(0, round(self.habits.reaction_s / robot.dt_s))
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Begins an episode."""
        rng = np.random.default_rng([seed, 3])
        self._expert.reset(rng)
        self._noise = CorrelatedNoise(np.full(7, self.habits.jitter), rng)
        self._seen: deque[Observation] = deque(maxlen=self._delay + 1)
        self._velocity = np.zeros(6)
        self._closed = False
        self._wrong_s = self._right_s = 0.0
        self._driven_s: float | None = None

    def watch(self, observation: Observation, *, policy_action: NDArray[np.float32] | None) -> Wish:
        """Returns what the hand does after a new observation, one control period.

        Args:
            observation: With the poses of objects.
            policy_action: (A,) what a running policy does; None where the person is alone.
        """
        self._seen.append(observation)
        wanted = self._expert.act(self._seen[0]).astype(np.float64)
        self._closed = bool(wanted[-1] > _CLOSE)
        active = policy_action is None or self._takes_over(wanted, policy_action)
        if not active:
            self._velocity = np.zeros(6)
            return Wish(self._velocity, self._closed, False)
        part = np.clip(self.habits.caution * wanted[:6] / self._full_step, -1.0, 1.0)
        kept = self.habits.overshoot
        tremble = self._noise.draw()[:6] * min(1.0, float(np.abs(part).max()))
        self._velocity = np.clip((1.0 - kept) * part + kept * self._velocity + tremble, -1.0, 1.0)
        return Wish(self._velocity, self._closed, True)

    def _takes_over(self, wanted: NDArray[np.floating], does: NDArray[np.float32]) -> bool:
        agrees = _agreement(wanted, does)
        if self._driven_s is not None:
            self._driven_s += self._period_s
            self._right_s = self._right_s + self._period_s if agrees else 0.0
            if self._driven_s < self.habits.least_drive_s or self._right_s < self.habits.trust_s:
                return True
            self._driven_s, self._wrong_s = None, 0.0
            return False
        self._wrong_s = max(0.0, self._wrong_s + (-1.0 if agrees else 1.0) * self._period_s)
        if self._wrong_s >= self.habits.patience_s:
            self._driven_s = self._right_s = 0.0
            return True
        return False


def _agreement(wanted: NDArray[np.floating], does: NDArray[np.float32]) -> bool:
    """Whether a command goes roughly where it should, the gripper included."""
    if (wanted[-1] > _CLOSE) != (does[-1] > _CLOSE):
        return False
    scale = np.repeat([MAX_STEP_M, MAX_TURN_RAD], 3)
    a, b = wanted[:6] / scale, does[:6].astype(np.float64) / scale
    if np.linalg.norm(a) < 0.1:
        return bool(np.linalg.norm(b) < 0.3)
    return float(a @ b) > 0.3 * float(a @ a) ** 0.5 * max(float(b @ b) ** 0.5, 0.1)


class ScriptedHuman:
    """A `Device` whose hand is scripted; looks at the arm and not at a picture.

    Args:
        hand: Decides.
        look: Gives the newest observation with the poses of objects.
        policy: Gives what a running policy wants (A,); None where none runs.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (("nothing", "it drives by itself"),)

    def __init__(
        self,
        hand: Hand,
        look: Callable[[], Observation | None],
        *,
        policy: Callable[[], NDArray[np.float32] | None] = lambda: None,
    ) -> None:
        self._hand = hand
        self._look = look
        self._policy = policy
        self._stamp_ns: int | None = None
        self._wish: Wish | None = None

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        observation = self._look()
        if observation is None:
            return None
        if observation.stamp_ns != self._stamp_ns or self._wish is None:
            self._stamp_ns = observation.stamp_ns
            self._wish = self._hand.watch(observation, policy_action=self._policy())
        wish = self._wish
        return Controls(
            stamp_ns=now_ns,
            active=wish.active,
            velocity=wish.velocity,
            gripper=float(wish.closed) if wish.active else None,
        )

    def close(self) -> None:
        """See `Device.close`."""
