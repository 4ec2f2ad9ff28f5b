"""Time from a picture being published to the command that answers it, without the thinking.

An arm at rest in this process publishes a picture and, after it, its joint state. The policy node
in another process hands the picture to a third process, whose policy answers at once, and commands.
It goes by the observations, each of which is answered when it comes; by the clock a command would
also wait for its deadline, up to a control period.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

import rclpy
from instant_policy_node import camera_spec
from rclpy.signals import SignalHandlerOptions

from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot
from robot_policy.runtime.quantiles import Quantiles
from robot_policy_ros import composition
from robot_policy_ros.child_processes import ChildProcesses
from robot_policy_ros.composition import POLICY_NODE, node_name
from robot_policy_ros.lifecycle_client import ServiceCaller
from robot_policy_ros.node_main import EXIT_WITH_PARENT
from robot_policy_ros.resting_arm import RestingArm

ROBOT = "panda_twin"
NODE = Path(__file__).with_name("instant_policy_node.py")
_HIGHEST_DOMAIN = 101
_SETTLE_S = 2.0
_CALL_S = 60.0


def measure(*, side: int, rate_hz: float, seconds: float) -> dict[str, float | int | str]:
    """Returns quantiles [ms] over `seconds`, after what is slow at first."""
    local = composition.localhost_environment(random.SystemRandom().randint(1, _HIGHEST_DOMAIN))
    environment = {**os.environ, **local, EXIT_WITH_PARENT: str(os.getpid())}
    parameters = {
        "checkpoint": "instant",
        "rate_hz": rate_hz,
        "execute_steps": 1,
        "pace": "observations",
    }
    arguments = composition.node_command("python", POLICY_NODE, parameters=parameters)
    arguments = arguments[arguments.index("--ros-args") :]
    with ChildProcesses() as children:
        command = [sys.executable, str(NODE), ROBOT, str(side), *arguments]
        children.start(POLICY_NODE, command, environment=environment)
        os.environ.update(local)
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        spec = camera_spec(ROBOT, side=side)
        arm = RestingArm(load_robot(ROBOT), spec, rate_hz=rate_hz)
        caller = ServiceCaller(arm, check=children.check)
        policy = node_name(POLICY_NODE)
        try:
            caller.transition(policy, "configure", timeout_s=_CALL_S)
            caller.transition(policy, "activate", timeout_s=_CALL_S)
            _serve(caller, _SETTLE_S)
            arm.response_ms, arm.ticks = Quantiles(), 0
            _serve(caller, seconds)
            times, ticks = arm.response_ms, arm.ticks
            caller.deactivate(policy, timeout_s=_CALL_S)
        finally:
            caller.close()
            arm.destroy_node()
            rclpy.shutdown()
    return {
        "side_px": side,
        "rate_hz": rate_hz,
        "pictures": ticks,
        "commands": times.count,
        "p50_ms": round(times.quantile(0.5) or 0.0, 3),
        "p99_ms": round(times.quantile(0.99) or 0.0, 3),
        "max_ms": round(times.largest, 3),
        "histogram": {
            "up_to_ms": list(_EDGES_MS),
            "counts_and_more": times.histogram(_EDGES_MS),
        },
    }


_EDGES_MS = tuple(0.5 * step for step in range(1, 25))


def _serve(caller: ServiceCaller, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    caller.wait_until(
        lambda: time.monotonic() >= end_s, timeout_s=seconds + _CALL_S, what="the clock"
    )


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=224, help="of the picture [px]")
    parser.add_argument("--rate", type=float, default=20.0, help="pictures per second")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measure(side=options.side, rate_hz=options.rate, seconds=options.seconds)
    print(", ".join(f"{name} {value}" for name, value in figures.items()))
    if options.json is not None:
        write_json(options.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
