"""Any action as a displacement of the joints, for the limits that hold for joints."""

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Stage
from robot_policy.runtime.safety.ee_motion import EE_SPACES, displacement

type Joints = NDArray[np.floating]


def has_joint_motion(robot: RobotDescription) -> bool:
    """Whether the joint motion of an action is known."""
    return robot.command.action_space not in EE_SPACES or robot.kinematics is not None


def joint_stage(robot: RobotDescription) -> Stage:
    """When limits on joints have their turn: joints are clipped, the end effector is shortened."""
    return Stage.WHOLE if robot.command.action_space in EE_SPACES else Stage.CLIP


@dataclass(frozen=True, slots=True, eq=False)
class JointMap:
    """Turns actions into joint displacements, at one state.

    Joint actions are joint displacements, up to where they count from. Motions of the end effector
    become the least joint motion that makes them: see `KinematicChain.joint_motion`.

    Attributes:
        robot: With kinematics, where actions move the end effector.
        state: (S,) the robot now.
    """

    robot: RobotDescription
    state: NDArray[np.float32]
    _from_ee: NDArray[np.floating] | None

    @classmethod
    def at(cls, robot: RobotDescription, state: NDArray[np.float32]) -> Self:
        """Builds it for the robot at `state`."""
        if robot.command.action_space not in EE_SPACES:
            return cls(robot, state, None)
        assert robot.kinematics is not None
        return cls(robot, state, robot.kinematics.joint_motion(robot.joint_positions(state)))

    def wanted(self, action: NDArray[np.float32]) -> Joints:
        """Returns (J,) from where the joints are to where `action` sends them [rad]."""
        if self._from_ee is not None:
            return self._from_ee @ displacement(self.robot, action, self.state)
        joints = action[: len(self.robot.joint_names)].astype(np.float64)
        if self.robot.command.action_space.is_delta:
            return joints
        return joints - self.robot.joint_positions(self.state)

    def covered(self, action: NDArray[np.float32]) -> Joints:
        """Returns (J,) what the arm covers of `wanted` in one control period [rad].

        Less than all for a compliant arm that is commanded displacements, see `Response`.
        """
        response = self.robot.command.response
        if not self.robot.command.action_space.is_delta:
            return self.wanted(action)
        if self._from_ee is None:
            return response.joints * self.wanted(action)
        parts = _parts(response.translation, response.rotation)
        return self._from_ee @ (parts * displacement(self.robot, action, self.state))


@cache
def _parts(translation: float, rotation: float) -> NDArray[np.float64]:
    """(6,) of a twist; made once, for it is asked for a dozen times in a control period."""
    parts = np.repeat([translation, rotation], 3)
    parts.setflags(write=False)
    return parts
