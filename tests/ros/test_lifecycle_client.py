"""Calls whose answers get lost, as they do on a busy machine before everybody knows everybody."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from robot_policy_ros import lifecycle_client
from robot_policy_ros.lifecycle_client import NodeCallError, NodeRefusedError, ServiceCaller

pytestmark = pytest.mark.ros


class ForgetfulNode:
    """Goes from ``unconfigured`` to ``inactive``; loses requests or answers as the test wants."""

    def __init__(self) -> None:
        self.node = Node("forgetful")
        self.state = "unconfigured"
        self.requests = 0
        self.ignores = 0
        self.loses_answers = 0
        self._change = self.node.create_service(ChangeState, "~/change_state", self._on_change)
        self.node.create_service(GetState, "~/get_state", self._on_get)
        self._answer: Callable[..., None] = self._change.send_response
        self._change.send_response = self._send  # type: ignore[method-assign]
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def _on_change(self, _: Any, response: Any) -> Any:
        self.requests += 1
        if self.requests > self.ignores:
            response.success = self.state == "unconfigured"
            self.state = "inactive"
        return response

    def _on_get(self, _: Any, response: Any) -> Any:
        response.current_state = State(label=self.state)
        return response

    def _send(self, response: Any, header: Any) -> None:
        if self.requests > self.ignores + self.loses_answers:
            self._answer(response, header)


@pytest.fixture
def forgetful(graph) -> ForgetfulNode:
    return ForgetfulNode()


@pytest.fixture
def caller(graph, forgetful: ForgetfulNode, monkeypatch: pytest.MonkeyPatch) -> ServiceCaller:
    monkeypatch.setattr(lifecycle_client, "_RESEND_S", 0.3)
    return ServiceCaller(Node("caller"), check=lambda: forgetful.executor.spin_once(timeout_sec=0))


def test_an_answered_call_is_made_once(caller: ServiceCaller, forgetful: ForgetfulNode) -> None:
    caller.transition("/forgetful", "configure", timeout_s=10)
    assert forgetful.requests == 1
    with pytest.raises(NodeRefusedError, match="configure failed"):
        caller.transition("/forgetful", "configure", timeout_s=10)


def test_a_lost_request_is_repeated(caller: ServiceCaller, forgetful: ForgetfulNode) -> None:
    forgetful.ignores = 2
    caller.transition("/forgetful", "configure", timeout_s=10)
    assert (forgetful.requests, forgetful.state) == (3, "inactive")


def test_a_lost_answer_is_seen_from_the_state(
    caller: ServiceCaller, forgetful: ForgetfulNode
) -> None:
    forgetful.loses_answers = 10**6
    caller.transition("/forgetful", "configure", timeout_s=10)
    assert (forgetful.requests, forgetful.state) == (1, "inactive")


def test_who_never_answers_is_named(caller: ServiceCaller, forgetful: ForgetfulNode) -> None:
    forgetful.ignores = 10**6
    with pytest.raises(NodeCallError, match="/forgetful/change_state: no answer within 1 s"):
        caller.transition("/forgetful", "configure", timeout_s=1)
    assert forgetful.requests > 1
