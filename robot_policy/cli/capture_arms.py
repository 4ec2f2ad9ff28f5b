"""The arm that a capture moves: the twin in this process, the twin's node, or an arm's topics."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from calibration.board import Board
from calibration.hand_eye.data import Mounting
from robot_policy.capture.arm import CaptureArm
from robot_policy.cli.arm_access import (
    Via,
    choose_via,
    environment_as_it_was,
    ros_node,
    silence,
    start_twin,
    terminated_like_interrupted,
)
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import RobotDescription

__all__ = ["ArmChoice", "Via", "choose_cameras", "choose_via", "opened", "silence"]


@dataclass(frozen=True, slots=True)
class ArmChoice:
    """Which arm, and how it is reached.

    Attributes:
        robot: Its description.
        name: Name or path that it was loaded by.
        via: How it is reached.
        cameras: Names of its cameras; the first is the one that must see the board.
        board: In the scene of a twin.
        board_file: Its file.
        mounting: Where the cameras are.
        image_size: (height, width) of pictures that a twin takes [px].
        seed: Of the twin's start.
        domain: ROS domain; None draws one where a node is started.
        verbose: Show what a node logs.
    """

    robot: RobotDescription
    name: str
    via: Via
    cameras: tuple[str, ...]
    board: Board
    board_file: Path
    mounting: Mounting
    image_size: tuple[int, int]
    seed: int
    domain: int | None = None
    verbose: bool = False


def choose_cameras(
    robot: RobotDescription, asked: tuple[str, ...], mounting: Mounting
) -> tuple[str, ...]:
    """Returns the cameras: as asked, else the only one, or the twin's that is mounted like that.

    Raises:
        UnknownNameError: If the robot has no such camera.
        ConfigError: If there are several and none is named, or none at all.
    """
    for camera in asked:
        if camera not in robot.cameras:
            raise UnknownNameError.of("camera", camera, robot.cameras, where=f"robot {robot.name}")
    if asked:
        return asked
    if robot.simulated:
        usual = "wrist" if mounting is Mounting.EYE_IN_HAND else "agentview"
        if usual in robot.cameras:
            return (usual,)
    if len(robot.cameras) == 1:
        return tuple(robot.cameras)
    what = "several cameras: name one" if robot.cameras else "a robot without cameras"
    raise ConfigError(what, where=f"--cameras, robot {robot.name}", valid=robot.cameras)


@contextmanager
def opened(choice: ArmChoice) -> Iterator[CaptureArm]:
    """Yields the arm; whatever was started for it ends with the block.

    Raises:
        RobotPolicyError: If the arm cannot be reached.
    """
    with terminated_like_interrupted():
        if choice.via is Via.TWIN:
            with _twin(choice) as arm:
                yield arm
        else:
            with _over_ros(choice) as arm:
                yield arm


@contextmanager
def _twin(choice: ArmChoice) -> Iterator[CaptureArm]:
    from sim.capture_arm import TwinCaptureArm
    from sim.envs.scene_board import Holder, SceneBoard
    from sim.registry import make_environment

    environment = make_environment(
        "lift",
        robot=choice.name,
        image_size=choice.image_size,
        board=SceneBoard.usual(choice.board, Holder.for_mounting(choice.mounting)),
    )
    arm = TwinCaptureArm(environment, seed=choice.seed)
    try:
        yield arm
    finally:
        arm.close()


@contextmanager
def _over_ros(choice: ArmChoice) -> Iterator[CaptureArm]:
    from robot_policy_ros.capture_arm import RosCaptureArm
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.lifecycle_client import ServiceCaller

    with (
        environment_as_it_was(),
        tempfile.TemporaryDirectory() as folder,
        ChildProcesses(verbose=choice.verbose) as children,
    ):
        if choice.via is Via.NODES:
            start_twin(children, _parameters(choice), domain=choice.domain, folder=Path(folder))
        elif choice.domain is not None:
            os.environ["ROS_DOMAIN_ID"] = str(choice.domain)
        with ros_node("robot_policy_capture") as node:
            caller = ServiceCaller(node, check=children.check)
            try:
                yield RosCaptureArm(caller, choice.robot, choice.cameras)
            finally:
                caller.close()


def _parameters(choice: ArmChoice) -> dict[str, str | bool | int | float]:
    from sim.envs.scene_board import Holder

    height, width = choice.image_size
    return {
        "task": "lift",
        "robot": choice.name,
        "cameras": ",".join(choice.cameras),
        "image_height": height,
        "image_width": width,
        "seed": choice.seed,
        "board": str(choice.board_file.resolve()),
        "board_holder": Holder.for_mounting(choice.mounting).value,
    }
