"""Runs one node in a process: start, spin, leave the arm held, end."""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Self

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from robot_policy.core.errors import RobotPolicyError

EXIT_WITH_PARENT = "ROBOT_POLICY_EXIT_WITH_PARENT"
"""Environment variable with a process number; the node ends with that parent."""

_SPIN_S = 0.2


def node_main[N: Node](
    make_node: Callable[[], N],
    *,
    arguments: Sequence[str] | None = None,
    start: Callable[[N], bool] = lambda _: True,
) -> int:
    """Spins a node until SIGINT or SIGTERM.

    rclpy's own signal handlers would close the connection before the arm has been told to hold.

    Args:
        make_node: Builds it.
        arguments: With ``--ros-args``; those of this program if None.
        start: Called with the node before it is spun; False ends the program, and the node has
            logged why.

    Returns:
        Exit status: 0 after a signal, 2 if the node refused its parameters or did not start.
    """
    rclpy.init(args=list(arguments or sys.argv), signal_handler_options=SignalHandlerOptions.NO)
    try:
        with _Stop() as stop:
            return _run(make_node, start, stop)
    except KeyboardInterrupt:
        return 0
    except RobotPolicyError as error:
        get_logger("robot_policy_ros").fatal(str(error))
        return 2
    finally:
        try_shutdown()


class _Stop:
    """Handles SIGINT and SIGTERM: interrupts before the node spins, asks it to end afterwards."""

    def __init__(self) -> None:
        self.asked = False
        self.spinning = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, *_: object) -> None:
        self.asked = True
        # Nothing moves yet, so that building the node may be cut short.
        if not self.spinning:
            raise KeyboardInterrupt


def _run[N: Node](make_node: Callable[[], N], start: Callable[[N], bool], stop: _Stop) -> int:
    node = make_node()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    parent = os.environ.get(EXIT_WITH_PARENT)
    try:
        if not start(node):
            return 2
        stop.spinning = True
        while not stop.asked and (not parent or os.getppid() == int(parent)):
            executor.spin_once(timeout_sec=_SPIN_S)
        return 0
    finally:
        node.destroy_node()
        executor.shutdown()
