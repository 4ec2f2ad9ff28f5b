"""Starts the policy node, and the twin where there is no arm.

Every node is a process of its own in the interpreter of the argument ``python``, so that the
system's ROS and the learning libraries need not share one.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, ExecuteProcess, OpaqueFunction
from launch.actions import RegisterEventHandler as OnEvent
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration

ARGUMENTS = (
    ("checkpoint", "", "training run, checkpoint or policy folder"),
    ("server", "", "in place of a checkpoint: ws://host:port of robot-policy serve-policy"),
    ("robot", "panda_twin", "robot description, name or YAML file"),
    ("task", "lift", "task of the twin"),
    ("twin", "true", "start the twin in place of an arm"),
    ("cameras", "", "cameras that the twin renders, separated by commas"),
    ("rate", "0.0", "control rate [Hz]; 0: the robot description's"),
    ("schedule", "receding", "receding, async, ensemble, rtc or naive"),
    ("namespace", "", "namespace of the nodes and their topics"),
    ("autostart", "true", "configure and activate the policy node"),
    ("image_transport", "raw", "how the policy takes camera images: raw or compressed"),
    ("use_sim_time", "false", "go by the time of a simulation, on /clock"),
    ("python", "", "interpreter with robot-policy; empty: $ROBOT_POLICY_PYTHON, .venv, python3"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
)


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments; what they say is started once they are known."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list:
    value = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    composition = _composition()
    commands = composition.system_commands(
        value["python"] or composition.project_python(),
        checkpoint=value["checkpoint"],
        server=value["server"],
        robot=value["robot"],
        task=value["task"] if _is_true(value["twin"]) else None,
        cameras=value["cameras"],
        rate_hz=float(value["rate"]),
        schedule=value["schedule"],
        namespace=value["namespace"],
        log_level=value["log_level"],
        autostart=_is_true(value["autostart"]),
        image_transport=value["image_transport"],
        use_sim_time=_is_true(value["use_sim_time"]),
    )
    processes = [
        ExecuteProcess(
            cmd=command, name=name, output="screen", env=composition.process_environment(command[0])
        )
        for name, command in commands.items()
    ]
    # A twin without its policy, or the other way round, is of no use.
    done = Shutdown(reason="a node has ended")
    ends = [
        OnEvent(OnProcessExit(target_action=process, on_exit=[EmitEvent(event=done)]))
        for process, name in zip(processes, commands, strict=True)
        if name != "autostart"
    ]
    return [*processes, *ends]


def _composition() -> ModuleType:
    """Finds the module beside this file, or installed, if this file is in a share folder."""
    source = Path(__file__).resolve().parents[1] / "robot_policy_ros/composition.py"
    if not source.is_file():
        import robot_policy_ros.composition as installed

        return installed
    spec = importlib.util.spec_from_file_location("composition", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _is_true(text: str) -> bool:
    return text.lower() in ("true", "1", "yes", "on")
