"""Answers who asks a lifecycle node for a transition that its state does not allow.

rclpy (7.1) lets the error of the state machine through the service's callback and with it out of
the executor: whoever asks at the wrong moment ends the node, and leaves an arm without commands.
"""

from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Makes the service ``~/change_state`` of `node` answer with a refusal instead."""
    (service,) = (s for s in node.services if s.srv_name.endswith("/change_state"))
    change: Any = service.callback

    def change_or_refuse(request: Any, response: Any) -> Any:
        try:
            return change(request, response)
        except rclpy_implementation.RCLError as error:
            node.get_logger().error(f"no such transition now: {error}")
            response.success = False
            return response

    service.callback = change_or_refuse
