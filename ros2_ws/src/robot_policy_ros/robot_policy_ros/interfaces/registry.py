"""Where the message forms are."""

from robot_policy.core.registry import Registry

_HERE = "robot_policy_ros.interfaces"

INTERFACES = Registry(
    "command interface",
    {
        "twist": f"{_HERE}.twist:Twist",
        "pose": f"{_HERE}.pose:Pose",
        "joint_trajectory": f"{_HERE}.joint_trajectory:JointTrajectoryPoint",
        "joint_trajectory_chunk": f"{_HERE}.joint_trajectory:JointTrajectoryChunk",
        "forward_position": f"{_HERE}.forward_position:ForwardPosition",
    },
)
"""By the values of `CommandInterface`."""

GRIPPERS = Registry(
    "gripper interface",
    {
        "position": f"{_HERE}.finger_position:FingerPosition",
        "joint_trajectory": f"{_HERE}.finger_trajectory:FingerTrajectory",
    },
)
"""By the values of `GripperInterface`; one that goes with the arm has none of its own."""
