"""The policy node with its policy on a server: it drives, and holds when the server goes."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("websockets")
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from robot_policy.serving.server import PolicyServer, ServerSettings
from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.status_message import status_values

pytestmark = pytest.mark.ros

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
TOKEN = "a-token-of-these-tests"


class Served:
    """A policy server in a thread."""

    def __init__(self, policy: Any, *, port: int = 0) -> None:
        ready = threading.Event()
        self.url = ""
        self._server = PolicyServer(policy, token=TOKEN, settings=ServerSettings(port=port))

        def started(url: str) -> None:
            self.url = url
            ready.set()

        run = self._server.run
        self._thread = threading.Thread(target=lambda: asyncio.run(run(started=started)))
        self._thread.start()
        assert ready.wait(10)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def close(self) -> None:
        self._server.stop()
        self._thread.join(10)


@pytest.fixture
def serve(policy: Any) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def start(**options: Any) -> Served:
        made.append(Served(policy, **options))
        return made[-1]

    yield start
    for served in made:
        served.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    return file


def node_for(url: str, token_file: Path) -> PolicyNode:
    values = {
        "server": url,
        "server_token_file": str(token_file),
        "server_deadline_s": 5.0,
        "execute_steps": 1,
        "max_age_s": 5.0,
    }
    return PolicyNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])


def test_the_arm_is_held_when_the_server_goes_and_driven_again_when_it_is_back(
    graph: Any, resting_arm: Any, serve: Any, token_file: Path
) -> None:
    server, arm = serve(), resting_arm
    node = graph.add(node_for(server.url, token_file))
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: sum(arm.moves) >= 3)
    server.close()
    graph.wait(lambda: any(s.level == DiagnosticStatus.ERROR for s in arm.statuses))
    fault = status_values(arm.statuses[-1])["fault"]
    assert fault.startswith(f"{server.url}: no connection")
    graph.wait(lambda: arm.moves[-3:] == [False] * 3)
    serve(port=server.port)
    done = arm.reset()
    graph.wait(done.done)
    assert done.result().success
    graph.wait(lambda: arm.moves[-1])
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"checkpoint": "x"}, "parameters checkpoint, server: give one of both"),
        ({"server": "ws://127.0.0.1:1"}, "ws://127.0.0.1:1: no connection"),
        ({"server": "127.0.0.1"}, "127.0.0.1: not a server; expected ws://host:port"),
        ({"server_token_file": "/nowhere/token"}, "/nowhere/token: no token"),
    ],
)
def test_what_keeps_it_from_a_server_is_one_line(
    graph: Any,
    serve: Any,
    token_file: Path,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, str],
    line: str,
) -> None:
    values = {"server": serve().url, "server_token_file": str(token_file), **change}
    overrides = [Parameter(k, value=v) for k, v in values.items()]
    node = graph.add(PolicyNode(parameter_overrides=overrides))
    assert node.trigger_configure() == FAILURE
    errors = [text for text in capfd.readouterr().err.splitlines() if "cannot configure" in text]
    assert len(errors) == 1
    assert line in errors[0]
