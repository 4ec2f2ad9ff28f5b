"""Nodes that go by the time of a simulation."""

from typing import Any

import pytest

pytest.importorskip("rclpy")
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock

from robot_policy_ros import conversions as convert
from robot_policy_ros.policy_node import PolicyNode

pytestmark = pytest.mark.ros

MS = 1_000_000
SIM_TIME = Parameter("use_sim_time", value=True)


class SlowTime(Node):
    """Half as fast as the clock on the wall, and long ago."""

    def __init__(self) -> None:
        super().__init__("time")
        self.now_ns = 1000 * MS
        self.stopped = False
        self._publisher = self.create_publisher(Clock, "/clock", 1)
        self.create_timer(0.01, self._advance)

    def _advance(self) -> None:
        if not self.stopped:
            self.now_ns += 5 * MS
        self._publisher.publish(Clock(clock=convert.stamp_from_ns(self.now_ns)))


def test_the_policy_goes_by_the_time_of_the_simulation(
    graph: Any, robot: Any, policy: Any, make_resting_arm: Any
) -> None:
    time = graph.add(SlowTime())
    arm = make_resting_arm(parameter_overrides=[SIM_TIME])
    overrides = [SIM_TIME, Parameter("checkpoint", value="handwritten")]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    graph.wait(lambda: node.get_clock().now().nanoseconds > 1000 * MS)
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: sum(arm.moves) >= 5)
    stamps_ns = [convert.ns_from_stamp(m.header.stamp) for m in arm.twists]
    assert max(stamps_ns) <= time.now_ns
    assert min(stamps_ns) >= 1000 * MS
    assert not any(s.message.startswith("joint_states") for s in arm.statuses[1:])


def test_a_time_that_goes_back_is_a_fault(
    graph: Any, policy: Any, make_resting_arm: Any, tmp_path: Any
) -> None:
    time = graph.add(SlowTime())
    time.now_ns = 100_000 * MS
    arm = make_resting_arm(parameter_overrides=[SIM_TIME])
    overrides = [SIM_TIME, Parameter("checkpoint", value="handwritten")]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    graph.wait(lambda: node.get_clock().now().nanoseconds > 100_000 * MS)
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: sum(arm.moves) >= 3)
    time.now_ns -= 50_000 * MS
    graph.wait(lambda: any("the clock has jumped back" in s.message for s in arm.statuses))
    graph.wait(lambda: not arm.moves[-1])
