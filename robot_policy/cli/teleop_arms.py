"""The arm that is driven by hand: the twin in this process, the twin's node, or an arm's topics."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_policy.cli.arm_access import (
    Via,
    environment_as_it_was,
    ros_node,
    start_twin,
    terminated_like_interrupted,
)
from robot_policy.core.robot import RobotDescription
from robot_policy.teleop.arm import TeleopArm


@dataclass(frozen=True, slots=True)
class TeleopChoice:
    """Which arm, and how it is reached.

    Attributes:
        robot: Its description.
        name: Name or path that it was loaded by.
        via: How it is reached.
        task: Of a twin.
        cameras: That observations hold.
        shown: To look through only; in the twin.
        image_size: (height, width) of pictures that a twin takes [px]; None for the description's.
        start: Number of the first start of a twin.
        domain: ROS domain; None draws one where a node is started.
        max_age_s: Oldest input that is acted upon [s].
        privileged: Whether observations of a twin hold the poses of objects.
        verbose: Show what a node logs.
    """

    robot: RobotDescription
    name: str
    via: Via
    task: str
    cameras: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    image_size: tuple[int, int] | None = None
    start: int = 0
    domain: int | None = None
    max_age_s: float = 0.3
    privileged: bool = True
    verbose: bool = False


@contextmanager
def opened(choice: TeleopChoice) -> Iterator[tuple[TeleopArm, Any]]:
    """Yields the arm, and the node that its topics are served by, None in this process.

    Raises:
        RobotPolicyError: If the arm cannot be reached.
    """
    with terminated_like_interrupted():
        if choice.via is Via.TWIN:
            with _twin(choice) as arm:
                yield arm, None
        else:
            with _over_ros(choice) as reached:
                yield reached


@contextmanager
def _twin(choice: TeleopChoice) -> Iterator[TeleopArm]:
    from sim.registry import make_environment
    from sim.teleop_arm import TwinTeleopArm

    environment = make_environment(
        choice.task,
        robot=choice.name,
        cameras=choice.cameras,
        image_size=choice.image_size,
        endless=True,
    )
    arm = TwinTeleopArm(environment, start=choice.start, shown=choice.shown)
    try:
        yield arm
    finally:
        arm.close()


@contextmanager
def _over_ros(choice: TeleopChoice) -> Iterator[tuple[TeleopArm, Any]]:
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.composition import TWIN_NODE, node_name
    from robot_policy_ros.teleop_arm import RosTeleopArm

    with (
        environment_as_it_was(),
        tempfile.TemporaryDirectory() as folder,
        ChildProcesses(verbose=choice.verbose) as children,
    ):
        twin = instruction = ""
        if choice.via is Via.NODES:
            from sim.registry import TASKS

            instruction = TASKS[choice.task].instruction
            start_twin(children, _parameters(choice), domain=choice.domain, folder=Path(folder))
            twin = node_name(TWIN_NODE)
        elif choice.domain is not None:
            os.environ["ROS_DOMAIN_ID"] = str(choice.domain)
        with ros_node("robot_policy_teleop") as node:
            arm = RosTeleopArm(
                node,
                choice.robot,
                _spec(choice),
                max_age_s=choice.max_age_s,
                instruction=instruction,
                twin=twin,
                start=choice.start,
                check=children.check,
            )
            try:
                yield arm, node
            finally:
                arm.close()


def _spec(choice: TeleopChoice) -> Any:
    robot, cameras = choice.robot, choice.cameras
    if choice.via is Via.NODES and choice.privileged:
        from sim.registry import TASKS

        state = TASKS[choice.task].environment_state_spec
        return robot.spec(environment_state=state, cameras=cameras)
    return robot.spec(cameras=cameras)


def _parameters(choice: TeleopChoice) -> dict[str, str | bool | int | float]:
    height, width = choice.image_size or (0, 0)
    return {
        "task": choice.task,
        "robot": choice.name,
        "cameras": ",".join(choice.cameras),
        "image_height": height,
        "image_width": width,
        "seed": choice.start,
        "endless": True,
    }
