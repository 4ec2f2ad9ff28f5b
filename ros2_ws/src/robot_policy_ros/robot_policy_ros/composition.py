"""The processes that make up a running system, as command lines. Imports nothing of ROS.

Both the launch file, which the system's Python loads, and ``robot-policy up`` start these.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

PYTHON_VARIABLE = "ROBOT_POLICY_PYTHON"
"""Environment variable that names the interpreter of this project's environment."""

POLICY_NODE = "policy_node"
TWIN_NODE = "twin_node"
RECORDER_NODE = "recorder_node"

# Read by the system's Python too, which may be 3.10: no newer syntax in this file.
Value = str | bool | int | float


def project_python(start: Path = Path(__file__)) -> str:
    """Returns the interpreter that the nodes run in.

    ``$ROBOT_POLICY_PYTHON`` if set, else the ``.venv`` of the project that this file is in, else
    ``python3``. `start` is where the search begins.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return named
    for folder in start.resolve().parents:
        candidate = folder / ".venv/bin/python"
        if (folder / "pyproject.toml").is_file() and candidate.is_file():
            return str(candidate)
    return shutil.which("python3") or sys.executable


def process_environment(python: str) -> dict[str, str]:
    """Returns the environment variables for a node that runs in the interpreter `python`.

    Where that interpreter brings ROS along (as wheels), the variables that a sourced ROS
    installation has set are left out: its packages, built for another numpy, would come first.
    """
    environment = dict(os.environ)
    site_packages = Path(python).parent.parent.glob("lib/python3*/site-packages")
    if any((folder / "ros_wheels_bootstrapper.pth").is_file() for folder in site_packages):
        for name in _SOURCED:
            environment.pop(name, None)
    return environment


_SOURCED = (
    "AMENT_PREFIX_PATH",
    "COLCON_PREFIX_PATH",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE",
)


def node_command(
    python: str,
    module: str,
    *,
    parameters: Mapping[str, Value],
    namespace: str = "",
    log_level: str = "info",
) -> list[str]:
    """Returns the command line of a node.

    Args:
        python: Interpreter.
        module: Of the package robot_policy_ros: `POLICY_NODE`, `TWIN_NODE` or `RECORDER_NODE`.
        parameters: ROS parameters; their Python types decide the types of the parameters.
        namespace: Of the node and its topics, with or without the leading slash.
        log_level: ``debug``, ``info``, ``warn``, ``error`` or ``fatal``.
    """
    command = [python, "-m", f"robot_policy_ros.{module}", "--ros-args", "--log-level", log_level]
    if namespace.strip("/"):
        command += ["--remap", f"__ns:=/{namespace.strip('/')}"]
    for name, value in parameters.items():
        command += ["--param", f"{name}:={_yaml(value)}"]
    return command


def system_commands(
    python: str,
    *,
    checkpoint: str,
    robot: str,
    task: str | None,
    server: str = "",
    cameras: str = "",
    rate_hz: float = 0.0,
    schedule: str = "receding",
    namespace: str = "",
    log_level: str = "info",
    autostart: bool = True,
    image_transport: str = "raw",
    use_sim_time: bool = False,
) -> dict[str, list[str]]:
    """Returns the processes of a whole system by name.

    Args:
        python: Interpreter.
        checkpoint: What the policy node loads; empty if it asks a server.
        robot: Robot description.
        task: Of the twin; None starts no twin.
        server: URL of the policy server; empty if the node loads a checkpoint.
        cameras: That the twin renders, separated by commas.
        rate_hz: Control rate of both; 0 takes the description's.
        schedule: Which action of which chunk the policy node executes when.
        namespace: Of both.
        log_level: Of both.
        autostart: Whether a third process configures and activates the policy node.
        image_transport: Of the images that the policy node takes, ``raw`` or ``compressed``.
        use_sim_time: Whether both go by the time on ``/clock``.
    """
    shared: dict[str, Value] = {
        "robot": robot,
        "rate_hz": rate_hz,
        "use_sim_time": use_sim_time,
    }
    twin: dict[str, Value] = {**shared, "task": task or "", "cameras": cameras}
    policy: dict[str, Value] = {
        **shared,
        "checkpoint": checkpoint,
        "server": server,
        "image_transport": image_transport,
        "schedule": schedule,
    }
    nodes = {TWIN_NODE: twin} if task is not None else {}
    nodes[POLICY_NODE] = policy
    commands = {
        name: node_command(
            python, name, parameters=parameters, namespace=namespace, log_level=log_level
        )
        for name, parameters in nodes.items()
    }
    if autostart:
        commands["autostart"] = autostart_command(python, namespace=namespace)
    return commands


def autostart_command(python: str, *, namespace: str = "") -> list[str]:
    """Returns the command line of the process that configures and activates the policy node."""
    return [python, "-m", "robot_policy_ros.autostart", node_name(POLICY_NODE, namespace)]


def node_name(module: str, namespace: str = "") -> str:
    """Returns the full name of a node."""
    prefix = f"/{namespace.strip('/')}" if namespace.strip("/") else ""
    return f"{prefix}/{module}"


def localhost_environment(domain_id: int | None = None) -> dict[str, str]:
    """Returns the environment variables that keep DDS on this machine.

    Args:
        domain_id: DDS domain; None leaves it as it is.
    """
    # Humble knows only the older variable; newer releases warn about it.
    humble = os.environ.get("ROS_DISTRO") == "humble"
    name, value = (
        ("ROS_LOCALHOST_ONLY", "1") if humble else ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    )
    environment = {name: value}
    if domain_id is not None:
        environment["ROS_DOMAIN_ID"] = str(domain_id)
    return environment


def _yaml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # Quoted, or 20 and true would become a number and a boolean.
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
