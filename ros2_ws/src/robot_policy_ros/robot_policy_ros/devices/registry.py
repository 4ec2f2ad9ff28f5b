"""Where they are."""

from robot_policy.core.registry import Registry

_HERE = "robot_policy_ros.devices"

ROS_DEVICES = Registry(
    "device",
    {
        "twist": f"{_HERE}.twist:TwistDevice",
        "joy": f"{_HERE}.joy:JoyDevice",
        "leader": f"{_HERE}.leader:LeaderArm",
    },
)
"""Name to a class with ``open(settings, node) -> Device``; the settings' path is the topic."""
