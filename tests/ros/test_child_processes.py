"""Children that log late, because a pipe is slower than a service call."""

import os
import sys

import pytest

from robot_policy.core.errors import ConfigError
from robot_policy_ros.child_processes import ChildProcesses

pytestmark = pytest.mark.ros

_LINE = "[ERROR] [1.5] [policy]: model.safetensors: truncated"


def start(children: ChildProcesses, program: str) -> None:
    children.start("node", [sys.executable, "-c", program], environment=os.environ)


def watch(children: ChildProcesses) -> None:
    while True:
        children.check()


def test_a_refusal_waits_for_the_log_that_says_why() -> None:
    with ChildProcesses() as children:
        late = f"import time; time.sleep(0.3); print({_LINE!r}, flush=True); time.sleep(60)"
        start(children, late)
        assert children.reason("node") == "no message"
        assert children.refusal("node") == "model.safetensors: truncated"


def test_what_a_child_that_refused_its_parameters_said_is_raised() -> None:
    with ChildProcesses() as children:
        start(children, f"import sys; print('building'); print({_LINE!r}); sys.exit(2)")
        with pytest.raises(ConfigError, match="truncated"):
            watch(children)
