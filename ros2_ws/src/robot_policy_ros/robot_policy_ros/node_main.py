"""Runs one node in a process: start, spin, leave the arm held, end."""

import os
import signal
import sys
import threading
from collections.abc import Callable

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown

from robot_policy.core.errors import RobotPolicyError

EXIT_WITH_PARENT = "ROBOT_POLICY_EXIT_WITH_PARENT"
"""Environment variable; if set, the node ends when the process that started it is gone."""

_SPIN_S = 0.2


def node_main(make_node: Callable[[], Node], *, ready: Callable[[Node], None] | None = None) -> int:
    """Spins a node until SIGINT or SIGTERM.

    rclpy's own signal handlers would close the connection before the arm has been told to hold.

    Args:
        make_node: Builds it.
        ready: Called with the node before it is spun.

    Returns:
        Exit status: 0 after a signal, 2 if the node refused its parameters.
    """
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    stop = threading.Event()
    previous = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            if ready is not None:
                ready(node)
            _spin(executor, stop)
        finally:
            node.destroy_node()
            executor.shutdown()
    except RobotPolicyError as error:
        get_logger("robot_policy_ros").fatal(str(error))
        return 2
    finally:
        try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


def _spin(executor: SingleThreadedExecutor, stop: threading.Event) -> None:
    parent = os.getppid()
    orphan_ends = bool(os.environ.get(EXIT_WITH_PARENT))
    while not stop.is_set():
        executor.spin_once(timeout_sec=_SPIN_S)
        if orphan_ends and os.getppid() != parent:
            return
