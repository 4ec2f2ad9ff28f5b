"""Runs one node in a process: start, spin, leave the arm held, end."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

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
    stop, spinning = threading.Event(), threading.Event()

    def on_signal(*_: object) -> None:
        stop.set()
        # Nothing moves yet, so that building the node may be cut short.
        if not spinning.is_set():
            raise KeyboardInterrupt

    previous = {s: signal.signal(s, on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            if not start(node):
                return 2
            spinning.set()
            _spin(executor, stop)
        finally:
            node.destroy_node()
            executor.shutdown()
    except KeyboardInterrupt:
        return 0
    except RobotPolicyError as error:
        get_logger("robot_policy_ros").fatal(str(error))
        return 2
    finally:
        try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 0


def _spin(executor: SingleThreadedExecutor, stop: threading.Event) -> None:
    parent = os.environ.get(EXIT_WITH_PARENT)
    while not stop.is_set():
        executor.spin_once(timeout_sec=_SPIN_S)
        if parent and os.getppid() != int(parent):
            return
