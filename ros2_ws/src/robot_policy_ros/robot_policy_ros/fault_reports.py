"""Writes fault reports in threads of their own: whoever found the fault has an arm to hold."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.black_box import Record
from robot_policy_ros.fault_bag import write_fault_bag

_log = logging.getLogger(__name__)


class FaultReports:
    """One bag per fault, see `write_fault_bag`. A report that fails costs a line, not the node.

    Args:
        folder: Of all reports.
        robot: Gives names and frames.
    """

    def __init__(self, folder: Path, robot: RobotDescription) -> None:
        self._folder = folder
        self._robot = robot
        self._threads: list[threading.Thread] = []
        self._last = ""

    def write(self, records: Sequence[Record], *, reason: str) -> None:
        """Begins to write a report."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._write, args=(records, reason), name="fault report")
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Waits until all reports are written."""
        for thread in self._threads:
            thread.join()

    def values(self) -> dict[str, str]:
        """Names and values, as diagnostics show them."""
        return {"fault report": self._last} if self._last else {}

    def _write(self, records: Sequence[Record], reason: str) -> None:
        try:
            folder = write_fault_bag(self._folder, records, reason=reason, robot=self._robot)
            self._last = str(folder)
        except (OSError, RobotPolicyError) as error:
            _log.error("no fault report: %s", error)
            self._last = f"none: {error}"
