"""The arm that a capture moves: the twin in this process, the twin's node, or an arm's topics."""

import os
import random
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from calibration.board import Board
from calibration.hand_eye.data import Mounting
from robot_policy.capture.arm import CaptureArm
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import RobotDescription

if TYPE_CHECKING:
    from robot_policy_ros.child_processes import ChildProcesses

_HIGHEST_DOMAIN = 101


class Via(StrEnum):
    """How an arm is reached.

    TWIN: Simulated in this process.
    NODES: Simulated by the twin's node, which is started; everything goes over topics.
    ROS: By its topics; nothing is started.
    """

    TWIN = "twin"
    NODES = "nodes"
    ROS = "ros"


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


def choose_via(robot: RobotDescription, asked: str) -> Via:
    """Returns how an arm is reached: as asked, else in this process if simulated, else by topics.

    Raises:
        UnknownNameError: If there is no such way.
        ConfigError: If a real arm is to be simulated.
    """
    if asked and asked not in list(Via):
        raise UnknownNameError.of("way to reach the arm", asked, Via, where="--via")
    via = Via(asked) if asked else (Via.TWIN if robot.simulated else Via.ROS)
    if via is not Via.ROS and not robot.simulated:
        raise ConfigError(
            "this arm is not simulated", where="--via", got=via.value, expected=Via.ROS.value
        )
    return via


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


def silence(via: Via) -> tuple[type[Exception], ...]:
    """Returns the errors of nodes that died or fell silent; none where there are no nodes."""
    if via is Via.TWIN:
        return ()
    from robot_policy_ros.child_processes import ChildDiedError
    from robot_policy_ros.lifecycle_client import NodeCallError

    return ChildDiedError, NodeCallError


@contextmanager
def opened(choice: ArmChoice) -> Iterator[CaptureArm]:
    """Yields the arm; whatever was started for it ends with the block.

    Raises:
        RobotPolicyError: If the arm cannot be reached.
    """
    with _terminated_like_interrupted():
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
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from robot_policy_ros.capture_arm import RosCaptureArm
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.lifecycle_client import ServiceCaller

    with (
        _environment_as_it_was(),
        tempfile.TemporaryDirectory() as folder,
        ChildProcesses(verbose=choice.verbose) as children,
    ):
        if choice.via is Via.NODES:
            _start_twin(choice, children, Path(folder))
        elif choice.domain is not None:
            os.environ["ROS_DOMAIN_ID"] = str(choice.domain)
        # Python's own handler stays, so that Ctrl-C arrives here as KeyboardInterrupt.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        caller = ServiceCaller(rclpy.create_node("robot_policy_capture"), check=children.check)
        try:
            yield RosCaptureArm(caller, choice.robot, choice.cameras)
        finally:
            caller.close()
            caller.node.destroy_node()
            rclpy.shutdown()


def _start_twin(choice: ArmChoice, children: "ChildProcesses", folder: Path) -> None:
    from robot_policy_ros import composition
    from robot_policy_ros.node_main import EXIT_WITH_PARENT
    from robot_policy_ros.shared_memory import large_images
    from sim.envs.scene_board import Holder

    domain = choice.domain
    if domain is None:
        domain = random.SystemRandom().randint(1, _HIGHEST_DOMAIN)
    local = composition.localhost_environment(domain) | large_images(folder)
    height, width = choice.image_size
    parameters: dict[str, str | bool | int | float] = {
        "task": "lift",
        "robot": choice.name,
        "cameras": ",".join(choice.cameras),
        "image_height": height,
        "image_width": width,
        "seed": choice.seed,
        "board": str(choice.board_file.resolve()),
        "board_holder": Holder.for_mounting(choice.mounting).value,
    }
    children.start(
        composition.TWIN_NODE,
        composition.node_command(sys.executable, composition.TWIN_NODE, parameters=parameters),
        environment={**os.environ, **local, EXIT_WITH_PARENT: str(os.getpid())},
    )
    os.environ.update(local)


@contextmanager
def _environment_as_it_was() -> Iterator[None]:
    """Undoes at the end what was set for a domain of its own, whose files are gone then."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM end a capture as Ctrl-C does: the arm is held first."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
