"""Takes a lifecycle node to ``active`` and ends; what a launch file starts beside the node."""

import argparse
import sys

import rclpy
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args, try_shutdown

from robot_policy.core.errors import RobotPolicyError
from robot_policy_ros.lifecycle_client import ServiceCaller

_TIMEOUT_S = 120.0
"""Loading a checkpoint from a cold disk takes its time."""


def main() -> int:
    """Entry point; returns 0 once the node is active, 1 if it refuses or does not answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("node", help="name of the lifecycle node, with its namespace")
    arguments = parser.parse_args(remove_ros_args(sys.argv)[1:])
    # Python's own handler stays, so that Ctrl-C arrives here as KeyboardInterrupt.
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    caller = ServiceCaller(rclpy.create_node("autostart"))
    try:
        for label in ("configure", "activate"):
            caller.transition(arguments.node, label, timeout_s=_TIMEOUT_S)
    except RobotPolicyError as error:
        get_logger("autostart").error(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        caller.close()
        caller.node.destroy_node()
        try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
