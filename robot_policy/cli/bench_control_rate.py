"""`robot-policy bench control-rate [CHECKPOINT]`: whether commands come in time on this machine."""

import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_policy.cli.untrained_policy import write_untrained_policy
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.policy_folder import PolicyFolder
from robot_policy.runtime.schedules.registry import SCHEDULES

if TYPE_CHECKING:
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.lifecycle_client import ServiceCaller

_CALL_S = 30.0
_CONFIGURE_S = 120.0
_HIGHEST_DOMAIN = 101
_ARM = "resting_arm"
_MEGABYTE = 1e6


@dataclass(frozen=True)
class ControlRateConfig:
    """Drive an arm at rest at a fixed rate while the policy plans without a pause.

    The policy node goes by the clock; the arm is a process that publishes its state at that rate.
    """

    checkpoint: tyro.conf.Positional[Path | None] = None
    """Policy; by default an untrained diffusion policy of states, which thinks as long as a trained
    one."""
    rate: float = 50.0
    """Control rate [Hz]."""
    seconds: float = 600.0
    """How long to drive."""
    schedule: str = "async"
    """Which action of which chunk is executed when."""
    robot: str = ""
    """Robot description, name or YAML file; by default the checkpoint's, or the twin's."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    torch_threads: int = 1
    """CPU threads of the policy."""
    priority: int = 10
    """Real-time priority of the control thread, where the system grants it; 0 for none."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write the figures to this file.")] = None


def run(config: ControlRateConfig) -> int:
    """Returns 0 after the time is over, 1 if a node died, did not answer or had a fault."""
    if config.schedule not in SCHEDULES:
        raise UnknownNameError.of("schedule", config.schedule, SCHEDULES, where="--schedule")
    for name in ("rate", "seconds"):
        if not 0 < getattr(config, name) < float("inf"):
            raise ConfigError("must be positive", where=f"--{name}", got=getattr(config, name))
    from robot_policy_ros.child_processes import ChildDiedError
    from robot_policy_ros.lifecycle_client import NodeCallError

    with _policy(config) as checkpoint:
        try:
            figures = _measure(config, checkpoint)
        except (ChildDiedError, NodeCallError) as error:
            print(f"robot-policy: {error}", file=sys.stderr)
            return 1
    _show(figures)
    if figures["fault"]:
        print(f"robot-policy: the node stopped: {figures['fault']}", file=sys.stderr)
        return 1
    if config.json is not None:
        write_json(config.json, figures)
    return 0


@contextmanager
def _policy(config: ControlRateConfig) -> Iterator[Path]:
    if config.checkpoint is not None:
        spec = PolicyFolder.find(config.checkpoint).spec()
        SCHEDULES[config.schedule](spec, AgentConfig(execute_steps=1))
        yield config.checkpoint
        return
    with tempfile.TemporaryDirectory(prefix="robot-policy-") as folder:
        path = Path(folder) / "policy"
        write_untrained_policy(path, "diffusion", load_robot(config.robot or "panda_twin").spec())
        yield path


def _measure(config: ControlRateConfig, checkpoint: Path) -> dict[str, Any]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from robot_policy_ros import composition
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.composition import POLICY_NODE
    from robot_policy_ros.lifecycle_client import NodeCallError, NodeRefusedError, ServiceCaller
    from robot_policy_ros.node_main import EXIT_WITH_PARENT

    robot = config.robot or PolicyFolder.find(checkpoint).spec().robot
    domain = random.SystemRandom().randint(1, _HIGHEST_DOMAIN)
    local = composition.localhost_environment(domain)
    environment = {**os.environ, **local, EXIT_WITH_PARENT: str(os.getpid())}
    with ChildProcesses() as children:
        arm = [sys.executable, "-m", f"robot_policy_ros.{_ARM}", str(checkpoint)]
        children.start(
            _ARM, [*arm, "--robot", robot, "--rate", str(config.rate)], environment=environment
        )
        node = composition.node_command(
            sys.executable, POLICY_NODE, parameters=_parameters(config, checkpoint, robot)
        )
        children.start(POLICY_NODE, node, environment=environment)
        os.environ.update(local)
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        caller = ServiceCaller(rclpy.create_node("robot_policy_control_rate"), check=children.check)
        try:
            return _drive(config, caller, children)
        except NodeRefusedError as error:
            raise ConfigError(children.refusal(POLICY_NODE)) from error
        except NodeCallError as error:
            last = children.reason(POLICY_NODE)
            raise NodeCallError(str(error), hint=f"last the node said: {last}") from error
        finally:
            caller.close()
            rclpy.shutdown()


def _parameters(
    config: ControlRateConfig, checkpoint: Path, robot: str
) -> dict[str, str | bool | int | float]:
    return {
        "checkpoint": str(checkpoint),
        "robot": robot,
        "device": config.device,
        "rate_hz": config.rate,
        # Asks again as soon as a plan has arrived.
        "execute_steps": 1,
        "schedule": config.schedule,
        "pace": "clock",
        "priority": config.priority,
        "torch_threads": config.torch_threads,
    }


def _drive(
    config: ControlRateConfig, caller: "ServiceCaller", children: "ChildProcesses"
) -> dict[str, Any]:
    from diagnostic_msgs.msg import DiagnosticArray

    from robot_policy.cli.progress import progress_bar
    from robot_policy_ros.composition import POLICY_NODE, node_name
    from robot_policy_ros.status_message import status_values

    policy, status = node_name(POLICY_NODE), dict[str, str]()
    memory_mb: list[float] = []

    def heard(message: DiagnosticArray) -> None:
        for entry in message.status:
            if entry.name == policy:
                status.clear()
                status.update(status_values(entry))

    caller.node.create_subscription(DiagnosticArray, "/diagnostics", heard, 10)
    caller.transition(policy, "configure", timeout_s=_CONFIGURE_S)
    caller.transition(policy, "activate", timeout_s=_CALL_S)
    begun_s = time.monotonic()
    with progress_bar(f"driving at {config.rate:g} Hz", round(config.seconds)) as advance:
        for second in range(1, round(config.seconds) + 1):
            caller.wait_until(
                lambda second=second: time.monotonic() - begun_s >= second,
                timeout_s=_CALL_S,
                what="the clock",
            )
            memory_mb.append(_memory_mb(children.pid(POLICY_NODE)))
            advance(f"{status.get('missed ticks', '0')} missed")
    driven_s = time.monotonic() - begun_s
    status.clear()
    caller.deactivate(policy, timeout_s=_CALL_S)
    caller.wait_until(
        lambda: status.get("active") == "false", timeout_s=_CALL_S, what="/diagnostics"
    )
    return _figures(config, status, driven_s=driven_s, memory_mb=memory_mb)


def _figures(
    config: ControlRateConfig,
    status: dict[str, str],
    *,
    driven_s: float,
    memory_mb: list[float],
) -> dict[str, Any]:
    settled = memory_mb[min(len(memory_mb) - 1, _SETTLED_S)]
    numbers = {
        "ticks": "ticks",
        "missed_ticks": "missed ticks",
        "decisions": "decisions",
        "starved_decisions": "starved decisions",
        "holds": "holds",
        "plans": "plans",
    }
    lateness = {name: float(status.get(f"lateness {name} [ms]", "nan")) for name in _QUANTILES}
    return {
        "rate_hz": config.rate,
        "schedule": config.schedule,
        "seconds": round(driven_s, 1),
        **{key: int(status.get(name, 0)) for key, name in numbers.items()},
        "lateness_ms": lateness,
        "lateness_histogram_ms": _histogram(status.get("lateness histogram [ms]", "")),
        "planning_p50_ms": float(status.get("planning p50 [ms]", "nan")),
        "priority_granted": status.get("real-time priority") == "granted",
        "memory_mb": round(memory_mb[-1], 1),
        "memory_growth_mb": round(memory_mb[-1] - settled, 1),
        "fault": status.get("fault", ""),
    }


def _histogram(text: str) -> dict[str, int]:
    """What /diagnostics say as "<=0.02: 12, <=0.05: 3, more: 0", edge to count."""
    pairs = (part.rsplit(": ", 1) for part in text.split(", ") if ": " in part)
    return {edge: int(count) for edge, count in pairs}


_SETTLED_S = 10
"""After this time everything that is allocated once has been [s]."""
_QUANTILES = ("p50", "p99", "p99.9", "max")


def _memory_mb(pid: int) -> float:
    """Proportional set size of a process and its children [MB]."""
    import psutil

    process = psutil.Process(pid)
    tree = [process, *process.children(recursive=True)]
    return sum(member.memory_full_info().pss for member in tree) / _MEGABYTE


def _show(figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    late = figures["lateness_ms"]
    table = Table("", "", show_header=False, title=f"{figures['rate_hz']:g} Hz by the clock")
    rows = [
        (
            "ticks",
            f"{figures['ticks']} in {figures['seconds']:g} s, {figures['missed_ticks']} missed",
        ),
        ("lateness [ms]", ", ".join(f"{name} {late[name]:.3f}" for name in _QUANTILES)),
        ("plans", f"{figures['plans']}, p50 {figures['planning_p50_ms']:.1f} ms"),
        ("commands", f"{figures['starved_decisions']} without a plan, {figures['holds']} holds"),
        ("memory [MB]", f"{figures['memory_mb']:g}, {figures['memory_growth_mb']:+g} since"),
        ("real-time priority", "granted" if figures["priority_granted"] else "not granted"),
    ]
    for name, value in rows:
        # Text, not str: a unit in brackets would be taken for markup.
        table.add_row(Text(name), value)
    Console().print(table)
