"""A policy node whose policy sees a picture and answers at once, in a process of its own."""

import functools
import sys
from dataclasses import replace

import numpy as np

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, image_spec
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.process_worker import ProcessWorker

CAMERA = "wrist"


def camera_spec(robot: str, *, side: int) -> PolicySpec:
    """Spec of a policy that sees one square picture with `side` pixels a side."""
    return replace(load_robot(robot).spec(), cameras={CAMERA: image_spec(side, side)}, horizon=1)


class InstantPolicy:
    """Moves by how bright the middle of the picture is: it must have arrived, and costs nothing."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec

    def reset(self) -> None:
        """Nothing is kept."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Returns (1, N, 1, A)."""
        picture = windows.images[CAMERA][0, -1]
        bright = picture[picture.shape[0] // 2, picture.shape[1] // 2].mean() / 255.0
        actions = np.zeros((1, num_samples, 1, self.spec.action.size), np.float32)
        actions[..., 0] = 0.01 * bright
        return Candidates(actions)


def make_planner(robot: str, side: int) -> Planner:
    """Runs in the worker's process."""
    return Planner(InstantPolicy(camera_spec(robot, side=side)))


def main() -> int:
    """Entry point: robot, pixels a side, then ROS arguments."""
    from robot_policy_ros.node_main import node_main
    from robot_policy_ros.policy_node import PolicyNode

    robot, side = sys.argv[1], int(sys.argv[2])
    load = functools.partial(make_planner, robot, side)
    return node_main(lambda: PolicyNode(load=lambda _: ProcessWorker(load)))


if __name__ == "__main__":
    sys.exit(main())
