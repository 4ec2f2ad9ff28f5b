"""The devices that an arm can be driven with; those behind ROS topics are in the ROS package."""

from robot_policy.core.registry import Registry

_HERE = "robot_policy.teleop.devices"

DEVICES = Registry(
    "device",
    {
        "keyboard": f"{_HERE}.keyboard:Keyboard",
        "gamepad": f"{_HERE}.gamepad:Gamepad",
        "spacemouse": f"{_HERE}.spacemouse:SpaceMouse",
        "browser": f"{_HERE}.browser:Browser",
    },
)
"""Name to a class with ``open(settings) -> Device``."""
