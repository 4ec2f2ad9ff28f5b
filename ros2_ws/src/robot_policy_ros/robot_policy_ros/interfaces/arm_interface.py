"""What every message form offers, in both directions: to the node that commands, to who listens."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """What a message says.

    Attributes:
        values: (n, M) in the space of the interface, one control period apart, the first for now.
        stamp_ns: When it was sent [ns]; None where the message does not tell.
    """

    values: NDArray[np.floating[Any]]
    stamp_ns: int | None = None


class ArmInterface(Protocol):
    """One message form. Built by ``Class(robot)``.

    Its values have the gripper's position last where the description says that the gripper goes
    with the arm.
    """

    @property
    def message_type(self) -> type[Any]:
        """Class of the messages."""
        ...

    def message(self, values: NDArray[np.floating[Any]], *, stamp_ns: int) -> Any:
        """Builds a message.

        Args:
            values: (n, M), n at least 1, the first for now; what an interface that takes one
                command at a time does not send is left out.
            stamp_ns: Time of the command [ns].
        """
        ...

    def read(self, message: Any, *, start: NDArray[np.floating[Any]] | None) -> Received:
        """Inverse of `message`.

        Args:
            message: Of `message_type`.
            start: (M,) where the robot is, for what lies between here and the first place.

        Raises:
            SpecError: If the message is not for this robot, or holds what cannot be executed.
        """
        ...


def commanded_joints(robot: RobotDescription) -> tuple[str, ...]:
    """Names of the joints in a message: the arm's, and the gripper's if it goes with them."""
    if robot.command.gripper_interface == "with_arm":
        return (*robot.joint_names, robot.gripper.joint)
    return robot.joint_names
