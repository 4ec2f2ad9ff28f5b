"""How commands reach an arm: the twin in this process, the twin's node, or an arm's topics."""

import os
import random
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

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


def silence(via: Via) -> tuple[type[Exception], ...]:
    """Returns the errors of nodes that died or fell silent; none where there are no nodes."""
    if via is Via.TWIN:
        return ()
    from robot_policy_ros.child_processes import ChildDiedError
    from robot_policy_ros.lifecycle_client import NodeCallError

    return ChildDiedError, NodeCallError


def start_twin(
    children: "ChildProcesses",
    parameters: Mapping[str, str | bool | int | float],
    *,
    domain: int | None,
    folder: Path,
) -> None:
    """Starts a twin node in a domain of its own, which this process joins.

    Args:
        children: Where it runs.
        parameters: Of the node.
        domain: ROS domain; None draws one.
        folder: For files that the middleware reads.
    """
    from robot_policy_ros import composition
    from robot_policy_ros.node_main import EXIT_WITH_PARENT
    from robot_policy_ros.shared_memory import large_images

    if domain is None:
        domain = random.SystemRandom().randint(1, _HIGHEST_DOMAIN)
    local = composition.localhost_environment(domain) | large_images(folder)
    children.start(
        composition.TWIN_NODE,
        composition.node_command(sys.executable, composition.TWIN_NODE, parameters=parameters),
        environment={**os.environ, **local, EXIT_WITH_PARENT: str(os.getpid())},
    )
    os.environ.update(local)


@contextmanager
def ros_node(name: str) -> Iterator[Any]:
    """Yields a node that nobody spins; Ctrl-C still arrives as KeyboardInterrupt."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown()


@contextmanager
def environment_as_it_was() -> Iterator[None]:
    """Undoes at the end what was set for a domain of its own, whose files are gone then."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Lets SIGTERM end a command as Ctrl-C does: the arm is held first."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
