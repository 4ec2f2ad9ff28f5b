"""What leads to a fault, what is left of it, and the only way out of it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticStatus
from fake_arm import FakeArm
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.status_message import status_values

pytestmark = pytest.mark.ros

SUCCESS = TransitionCallbackReturn.SUCCESS


@pytest.fixture
def node(graph: Any, policy: Any) -> PolicyNode:
    settings = {
        "checkpoint": "handwritten",
        "execute_steps": 2,
        "max_age_s": 0.2,
        "fault_after_s": 0.3,
        "pace": "clock",
        "schedule": "async",
    }
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    return graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))


def run(graph: Any, arm: FakeArm, node: PolicyNode) -> None:
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: any(arm.moves()))


def fault(arm: FakeArm) -> str:
    return status_values(arm.statuses[-1]).get("fault", "") if arm.statuses else ""


def is_inactive(arm: FakeArm) -> bool:
    return bool(arm.statuses) and status_values(arm.statuses[-1]).get("active") == "false"


def call(graph: Any, arm: FakeArm, name: str) -> Any:
    future = arm.service(f"policy_node/{name}")()
    graph.wait(future.done)
    return future.result()


def test_silence_is_a_hold_then_a_fault_then_the_end_until_a_reset(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    run(graph, arm, node)
    arm.silent = True
    graph.wait(lambda: fault(arm))
    assert "joint_states" in fault(arm)
    assert not arm.moves()[-1]
    graph.wait(lambda: is_inactive(arm))
    assert fault(arm), "it is still shown"
    arm.silent = False
    sent = len(arm.twists)
    graph.wait(lambda: len(arm.statuses) >= 3)
    assert not any(arm.moves()[sent:]), "good input alone does not bring it back"
    assert call(graph, arm, "reset").success
    graph.wait(lambda: arm.moves()[-1])
    assert fault(arm) == ""


def test_an_emergency_stop_holds_at_once(graph: Any, arm: FakeArm, node: PolicyNode) -> None:
    assert not call(graph, arm, "emergency_stop").success, "there is nothing to stop"
    run(graph, arm, node)
    assert call(graph, arm, "emergency_stop").success
    graph.wait(lambda: not arm.moves()[-1])
    sent = len(arm.twists)
    graph.wait(lambda: is_inactive(arm))
    assert not any(arm.moves()[sent:])
    assert fault(arm) == "emergency stop"
    assert call(graph, arm, "reset").success
    graph.wait(lambda: arm.moves()[-1])


def test_a_fault_leaves_a_bag_of_what_led_to_it(graph: Any, arm: FakeArm, node: PolicyNode) -> None:
    from robot_policy.data.rosbag.bag import Bag

    run(graph, arm, node)
    graph.wait(lambda: len(arm.twists) >= 20)
    call(graph, arm, "emergency_stop")
    graph.wait(lambda: status_values(arm.statuses[-1]).get("fault report"))
    folder = Path(status_values(arm.statuses[-1])["fault report"])
    assert folder.parent == Path(os.environ["ROS_HOME"]) / "robot_policy"
    assert folder.name.endswith("_emergency_stop")
    bag = Bag(folder)
    messages = [(m.topic, bag.decode(m)) for m in bag.messages(bag.types)]
    assert bag.types.keys() >= {
        "input/joint_states",
        "input/ee_pose",
        "decision",
        "plan",
        "hold",
        "fault",
    }
    assert [m.data for topic, m in messages if topic == "fault"] == ["emergency stop"]
    decisions = [m for topic, m in messages if topic == "decision"]
    assert len(decisions) >= 15
    assert decisions[0].layout.dim[0].label.startswith("ee_dx,")
    plans = [m for topic, m in messages if topic == "plan"]
    assert [(d.label, d.size) for d in plans[0].layout.dim] == [("step", 4), ("action", 7)]
    joints = [m for topic, m in messages if topic == "input/joint_states"]
    assert joints[0].name[0] == "panda_joint1"
    np.testing.assert_array_equal(joints[0].position, np.zeros(8))


def test_an_overdue_plan_ends_in_a_fault(graph: Any, arm: FakeArm, policy: Any) -> None:
    import threading

    settings = {
        "checkpoint": "handwritten",
        "plan_deadline_s": 0.2,
        "fault_after_s": 0.1,
        "pace": "clock",
        "execute_steps": 2,
    }
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    run(graph, arm, node)
    go_on = threading.Event()
    sample = policy.sample

    def hanging(*arguments: Any, **options: Any) -> Any:
        go_on.wait(20.0)
        return sample(*arguments, **options)

    policy.sample = hanging
    graph.wait(lambda: fault(arm))
    go_on.set()
    assert fault(arm) == "the plan takes longer than 0.2 s"
    assert not arm.moves()[-1]


def test_diagnostics_warn_as_soon_as_an_input_is_missing(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    run(graph, arm, node)
    arm.silent = True
    graph.wait(lambda: any(s.level == DiagnosticStatus.WARN for s in arm.statuses))
    graph.wait(lambda: fault(arm))


def test_an_angle_that_the_arm_cannot_have_is_refused(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    run(graph, arm, node)
    arm.positions[2] = 40.0
    graph.wait(lambda: fault(arm))
    assert "panda_joint3: out of its range" in fault(arm)
    assert not arm.moves()[-1], "it is held where it was seen last"
