"""Drives a lifecycle node, and sets parameters, from another process."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from robot_policy.core.errors import RobotPolicyError

_POLL_S = 0.1
_RESEND_S = 5.0
"""A server that has not found the caller's end of the connection yet drops its answer; ROS 2 does
not repeat it. On a busy machine that happens right after the start."""

TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}

_LEADS_TO = {
    "configure": "inactive",
    "activate": "active",
    "deactivate": "inactive",
    "cleanup": "unconfigured",
}
_AT_REST = frozenset(_LEADS_TO.values())


class NodeCallError(RobotPolicyError):
    """A node did not do what it was asked."""


class NodeRefusedError(NodeCallError):
    """A node answered, and refused."""


class ServiceCaller:
    """Calls services and waits for the answers, while the messages of `node` are served.

    Args:
        node: Its executor is spun here, so no other thread may spin it.
        check: Called all the time while waiting; may raise, if a child process died for example.
    """

    def __init__(self, node: Node, *, check: Callable[[], None] = lambda: None) -> None:
        self.node = node
        self._check = check
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        """Stops serving the node."""
        self._executor.shutdown()

    def wait_until(self, condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Serves messages until `condition` holds.

        Raises:
            NodeCallError: After `timeout_s`; names `what` was waited for.
        """
        if not self._serve_until(condition, timeout_s=timeout_s):
            raise NodeCallError(f"no answer within {timeout_s:g} s", where=what)

    def serve(self, duration_s: float) -> None:
        """Serves messages that are there, or the first that comes within `duration_s` [s]."""
        self._check()
        self._executor.spin_once(timeout_sec=min(duration_s, _POLL_S))

    def call(self, service_type: Any, name: str, request: Any, *, timeout_s: float) -> Any:
        """Calls a service.

        Raises:
            NodeCallError: If it is not there or does not answer within `timeout_s`.
        """
        future = self._client(service_type, name, timeout_s=timeout_s).call_async(request)
        self.wait_until(future.done, timeout_s=timeout_s, what=name)
        return future.result()

    def call_repeatedly(
        self,
        service_type: Any,
        name: str,
        request: Any,
        *,
        timeout_s: float,
        settled: Callable[[], Any] = lambda: None,
    ) -> Any:
        """Calls a service that may be called twice, again and again until it answers.

        Args:
            service_type: Of the service.
            name: Of the service.
            request: What to ask.
            timeout_s: For everything.
            settled: Called before each repetition; what it returns is the answer, unless None.

        Raises:
            NodeCallError: If it is not there or does not answer within `timeout_s`.
        """
        client = self._client(service_type, name, timeout_s=timeout_s)
        end_s = time.monotonic() + timeout_s
        futures: list[Any] = []
        while (left_s := end_s - time.monotonic()) > 0:
            futures.append(client.call_async(request))
            if self._serve_until(
                lambda: any(future.done() for future in futures),
                timeout_s=min(_RESEND_S, left_s),
            ):
                return next(future.result() for future in futures if future.done())
            if (answer := settled()) is not None:
                return answer
        raise NodeCallError(f"no answer within {timeout_s:g} s", where=name)

    def _client(self, service_type: Any, name: str, *, timeout_s: float) -> Any:
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        self.wait_until(client.service_is_ready, timeout_s=timeout_s, what=name)
        return client

    def _serve_until(self, condition: Callable[[], bool], *, timeout_s: float) -> bool:
        """Serves messages until `condition` holds; False if it did not within `timeout_s`."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            self._check()
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=_POLL_S)
        return True

    def trigger(self, name: str, *, timeout_s: float) -> str:
        """Calls a std_srvs/Trigger service.

        Returns:
            Its message.

        Raises:
            NodeRefusedError: If it refuses.
        """
        reply = self.call(Trigger, name, Trigger.Request(), timeout_s=timeout_s)
        if not reply.success:
            raise NodeRefusedError(reply.message or "refused", where=name)
        return reply.message

    def set_parameters(
        self, node: str, values: Mapping[str, str | bool | int | float], *, timeout_s: float
    ) -> None:
        """Sets parameters of `node`.

        Raises:
            NodeRefusedError: If one is refused.
        """
        request = SetParameters.Request()
        request.parameters = [
            Parameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        reply = self.call_repeatedly(
            SetParameters, f"{node}/set_parameters", request, timeout_s=timeout_s
        )
        for result in reply.results:
            if not result.successful:
                raise NodeRefusedError(result.reason, where=f"{node}/set_parameters")

    def transition(self, node: str, label: str, *, timeout_s: float) -> None:
        """Takes a lifecycle node through ``configure``, ``activate``, ``deactivate``, ``cleanup``.

        Raises:
            NodeRefusedError: If the node refuses; it has logged why.
        """
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[label]))
        end_s = time.monotonic() + timeout_s

        def settled() -> ChangeState.Response | None:
            """Waits while the node is at it; a success if it is there, though nobody said so."""
            while (left_s := end_s - time.monotonic()) > 0:
                state = self.state(node, timeout_s=left_s)
                if state == _LEADS_TO[label]:
                    return ChangeState.Response(success=True)
                if state in _AT_REST:
                    return None
            return None

        reply = self.call_repeatedly(
            ChangeState, f"{node}/change_state", request, timeout_s=timeout_s, settled=settled
        )
        if not reply.success:
            raise NodeRefusedError(f"{label} failed", where=node, hint="its log says why")

    def deactivate(self, node: str, *, timeout_s: float) -> None:
        """Takes a lifecycle node to ``inactive``, unless a fault has taken it there already.

        Raises:
            NodeRefusedError: If the node refuses; it has logged why.
        """
        try:
            self.transition(node, "deactivate", timeout_s=timeout_s)
        except NodeRefusedError:
            if self.state(node, timeout_s=timeout_s) != "inactive":
                raise

    def state(self, node: str, *, timeout_s: float) -> str:
        """Returns the name of a lifecycle node's state, ``inactive`` for example."""
        reply = self.call_repeatedly(
            GetState, f"{node}/get_state", GetState.Request(), timeout_s=timeout_s
        )
        state: State = reply.current_state
        return state.label
