"""Who moves the arm now, and where to: a person, a policy, or nobody."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST
from robot_policy.runtime.translation import Translation
from robot_policy.teleop.controls import Controls
from robot_policy.teleop.dead_man import DeadMan
from robot_policy.teleop.mapping import Mapping

type Action = NDArray[np.float32]


class Driver(StrEnum):
    """Who drives."""

    NOBODY = "nobody"
    HUMAN = "human"
    POLICY = "policy"


@dataclass(frozen=True, slots=True, eq=False)
class Driven:
    """What is commanded for one control period.

    Attributes:
        action: (A,), within the limits.
        driver: Whose it is; a hold is nobody's.
        reasons: Why it is not what was asked for.
        policy_action: (A,) what the running policy wanted; None without one.
    """

    action: Action
    driver: Driver
    reasons: tuple[str, ...] = ()
    policy_action: Action | None = None


class Driving:
    """Lets a person drive, or a policy that a person can take over from at any time.

    Touching the device takes over at once. When it has been let go, the arm holds for a moment and
    the policy goes on from what it sees then. Every command passes the safety filter; nothing moves
    while the dead-man is not held.

    Args:
        robot: The arm.
        mapping: What the person's hand means.
        agent: The policy; None for a person alone.
        safety: Limits of what a person commands; None builds all that the description has.
        dead_man: Judges whether a hand is on the device.
    """

    def __init__(
        self,
        robot: RobotDescription,
        mapping: Mapping,
        *,
        agent: Agent | None = None,
        safety: SafetyFilter | None = None,
        dead_man: DeadMan | None = None,
    ) -> None:
        self.agent = agent
        self.policy_fault: str | None = None
        """Why the policy was stopped; None while all is well."""
        self._robot = robot
        self._mapping = mapping
        self._safety = safety or SafetyFilter.from_robot(robot)
        self._dead_man = dead_man or DeadMan()
        self._translation: Translation | None = None
        self._running = False
        self._interrupted = True
        self._gripper: float | None = None
        self._sent = AT_REST

    @property
    def policy_runs(self) -> bool:
        """Whether the policy drives when nobody else does."""
        return self._running

    @property
    def gripper(self) -> float | None:
        """What the gripper was last commanded, 0 open .. 1 closed; None if it was not."""
        return self._gripper

    @property
    def lost(self) -> bool:
        """Whether a device that was held has fallen silent."""
        return self._dead_man.silent

    def run_policy(self, *, seed: int) -> None:
        """Lets the policy drive from the next period on; `seed` fixes what it draws."""
        assert self.agent is not None
        self.agent.reset(seed=seed)
        self.policy_fault = None
        self._running = True
        self._interrupted = True

    def stop_policy(self) -> None:
        """The arm holds unless a person drives."""
        self._running = False

    def reset(self) -> None:
        """Forgets what was commanded: the scene has been put back."""
        self._gripper = None
        self.hold_still()

    def drive(self, observation: Observation, controls: Controls | None, now_ns: int) -> Driven:
        """Decides one control period.

        Args:
            observation: The newest.
            controls: What the device says; None if nothing.
            now_ns: Monotonic time [ns].
        """
        if self._dead_man.is_held(controls, now_ns):
            assert controls is not None
            driven = self._by_hand(observation, controls)
            self._interrupted = True
            if not self._running:
                return driven
            wanted = self._wanted(observation)
            return Driven(driven.action, Driver.HUMAN, driven.reasons, wanted)
        self._mapping.release()
        self._sent = AT_REST
        if self._running and self._dead_man.hands_back(now_ns):
            return self._by_policy(observation)
        return self.hold(observation.state)

    def hold(self, state: NDArray[np.float32]) -> Driven:
        """Holds the arm at a state (S,)."""
        gripper = self._robot.gripper_fraction(state) if self._gripper is None else self._gripper
        action = hold_action(self._robot, state, gripper=round(gripper))
        return Driven(action, Driver.NOBODY)

    def hold_still(self) -> None:
        """Lets nothing from before count: the arm has been stopped."""
        self._mapping.release()
        self._sent = AT_REST
        self._interrupted = True
        self._translation = None

    def _by_hand(self, observation: Observation, controls: Controls) -> Driven:
        robot, state = self._robot, observation.state
        if controls.gripper is not None:
            self._gripper = float(np.clip(controls.gripper, 0.0, 1.0))
        rest = self.hold(state).action
        asked = self._asked(controls, state, gripper=float(rest[-1]))
        decision = self._safety.restrict(asked, state, robot.dt_s, sent=self._sent)
        if decision.stop:
            self._sent = AT_REST
            return Driven(rest, Driver.HUMAN, decision.reasons)
        action = decision.action
        if self._translation is not None:
            action = self._translation.named(action)
        self._sent = self._sent.then(action, rest=rest)
        return Driven(action, Driver.HUMAN, decision.reasons)

    def _asked(self, controls: Controls, state: NDArray[np.float32], *, gripper: float) -> Action:
        """What the hand asks for, limits left aside."""
        robot, space = self._robot, self._robot.command.action_space
        if controls.joints is not None and not space.value.startswith("ee_"):
            arm = self._mapping.joints(controls.joints, state)
            if space == ActionSpace.JOINT_DELTA:
                arm = arm - robot.joint_positions(state)
            return np.append(arm, gripper).astype(np.float32)
        if self._translation is None:
            self._translation = Translation(robot)
        wanted = np.append(self._mapping.displacement(controls, state), gripper)
        return self._translation.asked(wanted, state)

    def _by_policy(self, observation: Observation) -> Driven:
        assert self.agent is not None
        if self._interrupted:
            self.agent.interrupt()
            self._interrupted = False
        wanted = self._wanted(observation)
        if wanted is None:
            return self.hold(observation.state)
        self._gripper = float(wanted[-1])
        return Driven(wanted, Driver.POLICY, self._reasons, wanted)

    def _wanted(self, observation: Observation) -> Action | None:
        """What the policy wants; None where it has nothing, or has been stopped by that."""
        assert self.agent is not None
        try:
            decision = self.agent.act(observation)
        except RobotPolicyError as error:
            self._fail(str(error))
            return None
        self._reasons = decision.reasons
        if decision.stop:
            self._fail("; ".join(decision.reasons))
            return None
        return None if decision.held else decision.action

    def _fail(self, reason: str) -> None:
        self.policy_fault = reason
        self._running = False
