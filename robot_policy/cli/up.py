"""`robot-policy up CHECKPOINT --task TASK`: the nodes, over real topics, measured like `eval`."""

import os
import random
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_policy.cli.policy_source import read_spec
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.chunking import resolve_execute_steps
from robot_policy.runtime.schedules.registry import SCHEDULES

if TYPE_CHECKING:
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.episode_driver import EpisodeOutcome
    from sim.result import EpisodeResult

_HIGHEST_DOMAIN = 101
"""Domains above use ports that the system hands out to others."""

_CONFIGURE_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class UpConfig:
    """Run twin and policy node together and report success over ROS 2."""

    task: str
    """Task of the twin: lift, can, square, stack, recall or recall-count."""
    checkpoint: Positional[Path | None] = None
    """A training run, one of its checkpoints, or a policy folder."""
    server: str | None = None
    """In place of a checkpoint, the URL of a server that serve-policy runs: ws://host:port."""
    token_file: Path | None = None
    """File with the server's token; by default $ROBOT_POLICY_TOKEN, or
    ~/.config/robot-policy/token."""
    tls_ca: Path | None = None
    """Certificate (PEM) that signed the server's, for wss://."""
    episodes: int = 20
    """Number of starts, one per seed."""
    seed: int = 100_000
    """First seed; the default is that of `eval`."""
    execute_steps: int | None = None
    """Actions of a chunk executed before planning again; by default 8, or as many as the policy
    predicts where that is fewer."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    schedule: str = "receding"
    """Which action of which chunk is executed when: receding, async, ensemble, rtc or naive."""
    pace: str = ""
    """What sets the policy's rate: clock, or observations, which is the twin's default because it
    may be slower than real time."""
    max_steps: int | None = None
    """Steps after which an episode counts as failed; by default the task's limit."""
    cameras: tuple[str, ...] = ()
    """Cameras that the twin renders besides those that the policy needs."""
    rate: float = 0.0
    """Steps per second; 0 takes the robot description's, which is real time."""
    max_age_s: float = 0.3
    """Oldest input that the policy acts upon [s]."""
    feasible: Path | None = None
    """File that `safety fit` wrote: the arm stops far from the states in it."""
    json: Path | None = None
    """Also write the result to this file."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    domain: int | None = None
    """ROS domain; by default one drawn at random, which nobody else shares."""
    verbose: bool = False
    """Show what the nodes log."""


def run(config: UpConfig) -> int:
    """Returns 0 after all episodes, 1 if a node died or did not answer."""
    spec = _check(config)
    from robot_policy_ros.child_processes import ChildDiedError
    from robot_policy_ros.lifecycle_client import NodeCallError

    try:
        outcomes, duration_s = _run_episodes(config, spec)
    except (ChildDiedError, NodeCallError) as error:
        print(f"robot-policy: {error}", file=sys.stderr)
        return 1
    _report(config, outcomes, horizon=spec.horizon, duration_s=duration_s)
    return 0


def _check(config: UpConfig) -> PolicySpec:
    """Refuses what no node needs to be started for."""
    from robot_policy_ros.pacing import Pace
    from sim.registry import TASKS

    task = TASKS[config.task]
    for name, least in (("episodes", 1), ("seed", 0), ("max_steps", 1)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ConfigError(
                "too small",
                where=f"--{name.replace('_', '-')}",
                expected=f">= {least}",
                got=value,
            )
    spec = read_spec(
        config.checkpoint, config.server, token_file=config.token_file, tls_ca=config.tls_ca
    )
    SCHEDULES[config.schedule](spec, AgentConfig(execute_steps=config.execute_steps))
    if config.pace not in ("", *Pace):
        raise UnknownNameError.of("pace", config.pace, Pace, where="--pace")
    robot = load_robot(spec.robot)
    offered = robot.spec(
        environment_state=task.environment_state_spec, cameras=tuple(robot.cameras)
    )
    check_runs_on(spec, offered, where=f"task {config.task}")
    robot.spec(cameras=config.cameras)
    return spec


def _run_episodes(config: UpConfig, spec: PolicySpec) -> "tuple[list[EpisodeOutcome], float]":
    """Returns the outcomes, and the time from the first reset to the last step [s]."""
    from robot_policy_ros import composition
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.node_main import EXIT_WITH_PARENT

    domain = config.domain
    if domain is None:
        domain = random.SystemRandom().randint(1, _HIGHEST_DOMAIN)
    local = composition.localhost_environment(domain)
    with ChildProcesses(verbose=config.verbose) as children:
        for module, parameters in _parameters(config, spec).items():
            children.start(
                module,
                composition.node_command(sys.executable, module, parameters=parameters),
                environment={**os.environ, **local, EXIT_WITH_PARENT: str(os.getpid())},
            )
        os.environ.update(local)
        return _drive(config, children)


def _parameters(
    config: UpConfig, spec: PolicySpec
) -> dict[str, Mapping[str, str | bool | int | float]]:
    from robot_policy_ros.composition import POLICY_NODE, TWIN_NODE

    cameras = dict.fromkeys((*spec.cameras, *config.cameras))
    height, width = next((s.shape[:2] for s in spec.cameras.values()), (0, 0))
    return {
        TWIN_NODE: {
            "task": config.task,
            "robot": spec.robot,
            "cameras": ",".join(cameras),
            "image_height": height,
            "image_width": width,
            "seed": config.seed,
            "rate_hz": config.rate,
            "max_episode_steps": config.max_steps or 0,
        },
        POLICY_NODE: {
            "checkpoint": str(config.checkpoint or ""),
            "server": config.server or "",
            "server_token_file": str(config.token_file or ""),
            "server_ca": str(config.tls_ca or ""),
            "robot": spec.robot,
            "device": config.device,
            "rate_hz": config.rate,
            "execute_steps": config.execute_steps or 0,
            "num_samples": config.num_samples,
            "schedule": config.schedule,
            "pace": config.pace,
            "max_age_s": config.max_age_s,
            "feasible": str(config.feasible or ""),
        },
    }


def _drive(config: UpConfig, children: "ChildProcesses") -> "tuple[list[EpisodeOutcome], float]":
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from robot_policy.cli.progress import progress_bar
    from robot_policy_ros.composition import POLICY_NODE, TWIN_NODE, node_name
    from robot_policy_ros.episode_driver import EpisodeDriver
    from robot_policy_ros.lifecycle_client import NodeRefusedError, ServiceCaller

    policy = node_name(POLICY_NODE)
    # Python's own handler stays, so that Ctrl-C arrives here as KeyboardInterrupt.
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    caller = ServiceCaller(rclpy.create_node("robot_policy_up"), check=children.check)
    try:
        driver = EpisodeDriver(caller, twin=node_name(TWIN_NODE), policy=policy)
        try:
            caller.transition(policy, "configure", timeout_s=_CONFIGURE_TIMEOUT_S)
        except NodeRefusedError as error:
            raise ConfigError(children.refusal(POLICY_NODE)) from error
        outcomes: list[EpisodeOutcome] = []
        start_s = time.perf_counter()
        with progress_bar(f"driving {config.task} over ROS 2", config.episodes) as advance:
            for seed in range(config.seed, config.seed + config.episodes):
                outcomes.append(driver.run(seed))
                solved = sum(outcome.success for outcome in outcomes)
                advance(f"{solved}/{len(outcomes)} solved")
        return outcomes, time.perf_counter() - start_s
    finally:
        caller.close()
        rclpy.shutdown()


def _report(
    config: UpConfig, outcomes: "list[EpisodeOutcome]", *, horizon: int, duration_s: float
) -> None:
    from robot_policy.cli.evaluation_summary import show_result
    from sim.provenance import machine, versions
    from sim.registry import TASKS
    from sim.result import EvaluationResult, Settings, Via

    result = EvaluationResult(
        task=config.task,
        checkpoint=str(config.checkpoint or config.server),
        episodes=tuple(map(_episode_result, outcomes)),
        duration_s=duration_s,
        settings=Settings(
            execute_steps=resolve_execute_steps(config.execute_steps, horizon=horizon),
            num_samples=config.num_samples,
            max_steps=config.max_steps or TASKS[config.task].max_steps,
            device=config.device,
            schedule=config.schedule,
            feasible=str(config.feasible or ""),
        ),
        via=Via.ROS2,
        command=_command(config),
        versions=versions(),
        machine=machine(),
    )
    if config.json is not None:
        result.save(config.json)
    show_result(result)
    held = sum(outcome.held for outcome in outcomes)
    steps = sum(outcome.steps for outcome in outcomes)
    if held:
        print(f"the arm held in {held} of {steps} steps, because the command was late")


def _episode_result(outcome: "EpisodeOutcome") -> "EpisodeResult":
    from sim.result import EpisodeResult

    return EpisodeResult(
        seed=outcome.seed,
        success=outcome.success,
        steps=outcome.steps,
        return_=outcome.return_,
        stop=(outcome.fault,) if outcome.fault else (),
        limited_steps=outcome.limited,
        held_steps=outcome.held,
        policy_ms=outcome.planning_ms,
    )


def _command(config: UpConfig) -> str:
    source = ["--server", config.server] if config.server else [str(config.checkpoint)]
    words = ["robot-policy", "up", *source, "--task", config.task]
    for name in ("episodes", "seed", "num_samples", "schedule"):
        words += [f"--{name}".replace("_", "-"), str(getattr(config, name))]
    for name in ("execute_steps", "max_steps", "feasible"):
        if getattr(config, name) is not None:
            words += [f"--{name}".replace("_", "-"), str(getattr(config, name))]
    if config.pace:
        words += ["--pace", config.pace]
    if config.rate:
        words += ["--rate", str(config.rate)]
    return shlex.join([*words, "--device", config.device])
