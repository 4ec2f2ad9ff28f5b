"""The filter between policy and arm: a list of limits, stop wins."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.registry import Registry
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import ChunkCheck, Decision, Limit, Stage
from robot_policy.runtime.safety.feasible_states import FeasibleStates
from robot_policy.runtime.safety.sent import AT_REST, Sent
from robot_policy.runtime.safety.well_formed import WellFormed

_HERE = "robot_policy.runtime.safety"

LIMITS = Registry(
    "limit",
    {
        "well_formed": f"{_HERE}.well_formed:WellFormed",
        "command_range": f"{_HERE}.command_range:CommandRange",
        "gripper_range": f"{_HERE}.gripper_range:GripperRange",
        "workspace_box": f"{_HERE}.workspace_box:WorkspaceBox",
        "keep_out": f"{_HERE}.keep_out:KeepOut",
        "step_length": f"{_HERE}.step_length:StepLength",
        "turn_angle": f"{_HERE}.turn_angle:TurnAngle",
        "joint_position": f"{_HERE}.joint_position:JointPosition",
        "joint_velocity": f"{_HERE}.joint_velocity:JointVelocity",
        "joint_acceleration": f"{_HERE}.joint_acceleration:JointAcceleration",
        "joint_jerk": f"{_HERE}.joint_jerk:JointJerk",
    },
)
"""Every limit is built by ``from_robot(robot)``, which returns None where it does not apply."""

CHUNK_CHECKS = Registry(
    "chunk check",
    {
        "well_formed": f"{_HERE}.well_formed:WellFormed",
        "continuity": f"{_HERE}.continuity:Continuity",
    },
)
"""Likewise, for whole chunks."""


class SafetyFilter:
    """Applies limits one after the other and collects their reasons.

    Args:
        limits: In any order: they are applied by stage, then by name, so that the result does not
            depend on it. Those that bound lengths have their turn once more after the clips. One
            that stops ends the evaluation.
        chunk_checks: Applied in order until one finds something.
    """

    def __init__(self, limits: Sequence[Limit], *, chunk_checks: Sequence[ChunkCheck] = ()) -> None:
        self.limits = tuple(sorted(limits, key=_turn))
        self.chunk_checks = tuple(chunk_checks)
        lengths = [limit for limit in self.limits if limit.stage == Stage.LENGTH]
        clipped = [limit for limit in self.limits if limit.stage <= Stage.CLIP]
        self._turns = (*clipped, *lengths, *self.limits[len(clipped) :])

    @classmethod
    def from_robot(cls, robot: RobotDescription, *, feasible: Path | None = None) -> "SafetyFilter":
        """Builds every registered limit that applies to `robot`.

        Args:
            robot: States the limits.
            feasible: File of `FeasibleStates`, far from which it stops; None for no such limit.

        Raises:
            DataError: If the file is none.
            ConfigError: If it is of another robot.
        """
        build: list[Callable[[RobotDescription], Limit | None]] = [
            LIMITS[name].from_robot for name in LIMITS
        ]
        limits = [limit for from_robot in build if (limit := from_robot(robot)) is not None]
        if feasible is not None:
            limits.append(FeasibleStates.load(feasible).limit(robot, where=feasible))
        return cls(
            limits,
            chunk_checks=[CHUNK_CHECKS[name].from_robot(robot) for name in CHUNK_CHECKS],
        )

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Restricts one action.

        Args:
            action: (A,) to be executed.
            state: (S,) the robot now.
            dt_s: Control period [s].
            sent: What was commanded before; nothing where the robot is at rest.

        Returns:
            The restricted action with every reason, or stop at the first limit that stops.
        """
        reasons: tuple[str, ...] = ()
        for limit in self._turns:
            decision = limit.restrict(action, state, dt_s, sent=sent)
            reasons += tuple(r for r in decision.reasons if r not in reasons)
            if decision.stop:
                return Decision(decision.action, reasons, stop=True)
            action = decision.action
        return Decision(action, reasons)

    def check_chunk(
        self,
        chunk: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> tuple[str, ...]:
        """Says why a chunk must not be executed, before its first action runs.

        Args:
            chunk: (H, A), the first action for now.
            state: (S,) the robot now.
            dt_s: Control period [s].
            sent: What was commanded before; nothing where the robot is at rest.

        Returns:
            Reasons; none where the chunk may be executed, action by action through `restrict`.
        """
        for check in self.chunk_checks:
            reasons = check.check(chunk, state, dt_s, sent=sent)
            if reasons:
                return reasons
        return ()


def _turn(limit: Limit) -> tuple[int, bool, str]:
    # Sizes come first: the others take arrays to be of the robot's.
    return limit.stage, not isinstance(limit, WellFormed), type(limit).__name__
