"""`robot-policy up CHECKPOINT --task TASK`: the nodes, over real topics, measured like `eval`."""

import json
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

from robot_policy.core.errors import CheckpointError, ConfigError, RobotPolicyError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on

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

    checkpoint: Positional[Path]
    """A training run, one of its checkpoints, or a policy folder."""
    task: str
    """Task of the twin: lift, can, square or stack."""
    episodes: int = 20
    """Number of starts, one per seed."""
    seed: int = 100_000
    """First seed; the default is that of `eval`."""
    execute_steps: int = 8
    """Actions of a chunk executed before planning again."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    max_steps: int | None = None
    """Steps after which an episode counts as failed; by default the task's limit."""
    cameras: tuple[str, ...] = ()
    """Cameras that the twin renders besides those that the policy needs."""
    rate: float = 0.0
    """Steps per second; 0 takes the robot description's, which is real time."""
    max_age_s: float = 0.3
    """Oldest input that the policy acts upon [s]."""
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
    _report(config, outcomes, duration_s=duration_s)
    return 0


def _check(config: UpConfig) -> PolicySpec:
    """Refuses what no node needs to be started for."""
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
    spec = _read_spec(config.checkpoint)
    robot = load_robot(spec.robot)
    offered = robot.spec(
        environment_state=task.environment_state_spec, cameras=tuple(robot.cameras)
    )
    check_runs_on(spec, offered, where=f"task {config.task}")
    robot.spec(cameras=config.cameras)
    return spec


def _read_spec(checkpoint: Path) -> PolicySpec:
    from robot_policy.checkpoint import find_policy

    path = find_policy(checkpoint) / "spec.json"
    try:
        return PolicySpec.from_json(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, RobotPolicyError) as error:
        raise CheckpointError("damaged", where=path, got=repr(error)) from error


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
            "checkpoint": str(config.checkpoint),
            "robot": spec.robot,
            "device": config.device,
            "rate_hz": config.rate,
            "execute_steps": config.execute_steps,
            "num_samples": config.num_samples,
            "max_age_s": config.max_age_s,
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
            raise ConfigError(children.reason(POLICY_NODE)) from error
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


def _report(config: UpConfig, outcomes: "list[EpisodeOutcome]", *, duration_s: float) -> None:
    from robot_policy.cli.evaluation_summary import show_result
    from sim.provenance import machine, versions
    from sim.registry import TASKS
    from sim.result import EvaluationResult, Settings, Via

    result = EvaluationResult(
        task=config.task,
        checkpoint=str(config.checkpoint),
        episodes=tuple(map(_episode_result, outcomes)),
        duration_s=duration_s,
        settings=Settings(
            execute_steps=config.execute_steps,
            num_samples=config.num_samples,
            max_steps=config.max_steps or TASKS[config.task].max_steps,
            device=config.device,
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
        policy_ms=outcome.planning_ms,
    )


def _command(config: UpConfig) -> str:
    words = ["robot-policy", "up", str(config.checkpoint), "--task", config.task]
    for name in ("episodes", "seed", "execute_steps", "num_samples"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    if config.max_steps is not None:
        words += ["--max-steps", str(config.max_steps)]
    if config.rate:
        words += ["--rate", str(config.rate)]
    return shlex.join([*words, "--device", config.device])
