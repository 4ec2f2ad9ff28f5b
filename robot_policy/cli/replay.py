"""`robot-policy replay DATASET --episode N`: a recorded episode on an arm or in its twin."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.arm_access import Via, choose_via, silence
from robot_policy.cli.progress import progress_bar
from robot_policy.cli.teleop_arms import TeleopChoice, opened
from robot_policy.core.episode import Episode
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import check_runs_on
from robot_policy.data.formats.registry import detect_format
from robot_policy.runtime.clock import FakeClock, MonotonicClock
from robot_policy.teleop.replay import replay


@dataclass(frozen=True)
class ReplayConfig:
    """Drive an arm as a recorded episode did. Every command passes the safety filter."""

    dataset: Positional[Path]
    """Dataset of any known format."""
    episode: int = 0
    """Which episode."""
    task: str = "lift"
    """Task of the twin. An arm behind topics ignores it."""
    robot: str = ""
    """Robot description, name or YAML file; by default that of the dataset."""
    via: str = ""
    """How the arm is reached: twin (in this process), nodes (the twin's node, over topics) or ros
    (its topics); by default twin for a simulated arm, else ros."""
    start: int | None = None
    """Number of the twin's start; by default the episode's own seed."""
    domain: int | None = None
    """ROS domain; by default one drawn at random where the twin's node is started."""
    json: Path | None = None
    """Also write the result to this file."""
    verbose: bool = False
    """Show what the nodes log."""


def run(config: ReplayConfig) -> int:
    """Returns 0 when the episode has been replayed, 1 if a node died."""
    source = detect_format(config.dataset)
    spec = source.read_spec(config.dataset)
    (episode,) = source.read(config.dataset, cameras=(), episodes=[config.episode])
    name = config.robot or spec.robot
    robot = load_robot(name)
    check_runs_on(robot.spec(), spec, where=f"dataset {config.dataset}")
    via = choose_via(robot, config.via)
    start = _start(config, episode, via)
    choice = TeleopChoice(
        robot, name, via, config.task, start=start, domain=config.domain, verbose=config.verbose
    )
    # In this process a simulation needs no clock.
    clock = FakeClock() if via is Via.TWIN else MonotonicClock()
    try:
        with (
            opened(choice) as (arm, _),
            progress_bar(f"episode {config.episode}", len(episode)) as advance,
        ):
            result = replay(arm, episode, clock=clock, advance=lambda: advance(""))
    except silence(via) as error:
        print(f"robot-policy: {error}", file=sys.stderr)
        return 1
    if config.json is not None:
        write_json(config.json, {"episode": config.episode, **asdict(result)})
    told = {None: "", True: ", task reached", False: ", task not reached"}[result.solved]
    print(
        f"{config.dataset}, episode {config.episode}: {result.steps} steps, "
        f"{result.limited} limited{told}; the end effector was at most "
        f"{1e3 * result.largest_error_m:.1f} mm from where it was recorded"
    )
    if result.reasons:
        print("limited: " + ", ".join(result.reasons))
    return 0


def _start(config: ReplayConfig, episode: Episode, via: Via) -> int:
    """The start of the twin; a real arm has none."""
    if via is Via.ROS:
        return 0
    from sim.registry import TASKS

    if config.task not in TASKS:
        raise UnknownNameError.of("task", config.task, TASKS, where="--task")
    start = episode.metadata.get("seed") if config.start is None else config.start
    if not isinstance(start, int) or start < 0:
        raise ConfigError(
            "nobody says how the scene was",
            where=f"episode {config.episode}",
            hint="--start gives the number of the twin's start",
        )
    return start
