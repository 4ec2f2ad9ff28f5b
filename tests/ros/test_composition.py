"""Command lines of the nodes, read back by rclpy itself."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")
import rclpy

from robot_policy_ros import composition

pytestmark = pytest.mark.ros

PACKAGE = Path(composition.__file__).resolve().parents[1]


@pytest.mark.parametrize("text", ["", "20", "true", "a b", 'a "b" \\ c: d', "#x", "[1, 2]"])
def test_parameters_keep_value_and_type_on_the_way_through_the_command_line(
    graph: Any, text: str
) -> None:
    values = {"text": text, "rate_hz": 20.0, "steps": 8, "flag": True}
    command = composition.node_command(
        "python", "policy_node", parameters=values, namespace="arm1/", log_level="warn"
    )
    assert command[:3] == ["python", "-m", "robot_policy_ros.policy_node"]
    node = graph.add(
        rclpy.create_node(
            "policy_node",
            cli_args=command[3:],
            automatically_declare_parameters_from_overrides=True,
        )
    )
    assert node.get_fully_qualified_name() == composition.node_name("policy_node", "arm1")
    read = {name: node.get_parameter(name).value for name in values}
    assert read == values
    assert [type(v) for v in read.values()] == [str, float, int, bool]


def test_a_system_without_twin_has_only_the_policy_node() -> None:
    options = {"checkpoint": "c", "robot": "panda_twin"}
    alone = composition.system_commands("python", **options, task=None, autostart=False)
    assert list(alone) == ["policy_node"]
    whole = composition.system_commands(
        "python", **options, task="lift", namespace="a", schedule="async"
    )
    assert 'schedule:="async"' in whole["policy_node"]
    assert list(whole) == ["twin_node", "policy_node", "autostart"]
    assert whole["autostart"][-1] == "/a/policy_node"


def test_the_interpreter_is_named_by_the_environment_or_found_in_the_project(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROBOT_POLICY_PYTHON", "/opt/env/bin/python")
    assert composition.project_python() == "/opt/env/bin/python"
    monkeypatch.delenv("ROBOT_POLICY_PYTHON")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "pyproject.toml").touch()
    start = tmp_path / "ros2_ws/install/robot_policy_ros/composition.py"
    assert composition.project_python(start) == str(python)


def test_a_sourced_ros_is_kept_from_an_interpreter_that_brings_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/ros/jazzy/lib/python3.12/site-packages")
    monkeypatch.setenv("ROS_DOMAIN_ID", "3")
    python = tmp_path / "bin/python"
    assert "PYTHONPATH" in composition.process_environment(str(python))
    marker = tmp_path / "lib/python3.12/site-packages/ros_wheels_bootstrapper.pth"
    marker.parent.mkdir(parents=True)
    marker.touch()
    environment = composition.process_environment(str(python))
    assert "PYTHONPATH" not in environment
    assert environment["ROS_DOMAIN_ID"] == "3"


@pytest.mark.parametrize("file", ["launch/policy.launch.py", "robot_policy_ros/composition.py"])
def test_what_the_system_s_python_reads_has_no_newer_syntax(file: str) -> None:
    """ROS 2 Humble comes with Python 3.10."""
    ast.parse((PACKAGE / file).read_text(), feature_version=(3, 10))


def test_the_composition_needs_neither_ros_nor_numpy() -> None:
    script = f"import runpy, sys; runpy.run_path({composition.__file__!r}); print(*sys.modules)"
    # -S leaves out site-packages, as the system's Python has none of this project's.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"rclpy", "numpy", "torch", "launch"} & set(done.stdout.split())


def test_large_images_get_room_unless_somebody_has_a_profile(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    from robot_policy_ros.shared_memory import SEGMENT_BYTES, large_images

    found = large_images(tmp_path, {})
    profile = Path(found["FASTDDS_DEFAULT_PROFILES_FILE"])
    sizes = [e.text for e in ElementTree.parse(profile).iter() if e.tag.endswith("segment_size")]
    assert sizes == [str(SEGMENT_BYTES)]
    assert large_images(tmp_path, {"FASTRTPS_DEFAULT_PROFILES_FILE": "mine.xml"}) == {}
