"""The launch file, read by the real launch library where a ROS installation brings it."""

from pathlib import Path

import pytest

pytest.importorskip("launch.launch_description_sources", reason="needs ROS 2's launch")

from launch import LaunchContext  # type: ignore[import-not-found]
from launch.actions import (  # type: ignore[import-not-found]
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
)
from launch.launch_description_sources import (  # type: ignore[import-not-found]
    get_launch_description_from_python_launch_file,
)

pytestmark = pytest.mark.ros

FILE = Path(__file__).resolve().parents[2] / (
    "ros2_ws/src/robot_policy_ros/launch/policy.launch.py"
)


def commands(**arguments: str) -> list[list[str]]:
    description = get_launch_description_from_python_launch_file(str(FILE))
    context = LaunchContext()
    for action in description.entities:
        if isinstance(action, DeclareLaunchArgument) and action.default_value is not None:
            text = "".join(s.perform(context) for s in action.default_value)
            context.launch_configurations[action.name] = text
    context.launch_configurations.update(arguments)
    (start,) = (a for a in description.entities if isinstance(a, OpaqueFunction))
    entities = start.execute(context) or []
    return [
        [part[0].perform(context) for part in entity.cmd]
        for entity in entities
        if isinstance(entity, ExecuteProcess)
    ]


def test_it_starts_twin_policy_and_autostart_in_the_given_interpreter() -> None:
    started = commands(checkpoint="runs/lift", task="can", namespace="arm1", python="/env/python")
    modules = [command[2].removeprefix("robot_policy_ros.") for command in started]
    assert modules == ["twin_node", "policy_node", "autostart"]
    assert all(command[0] == "/env/python" for command in started)
    assert 'task:="can"' in started[0]
    assert 'checkpoint:="runs/lift"' in started[1]
    assert started[2][-1] == "/arm1/policy_node"


def test_on_an_arm_only_the_policy_node_is_started() -> None:
    started = commands(checkpoint="c", twin="false", autostart="false", python="/env/python")
    assert [command[2] for command in started] == ["robot_policy_ros.policy_node"]
