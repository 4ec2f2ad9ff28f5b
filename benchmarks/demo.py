"""The main job, once through: collect, train, evaluate, drive the twin over ROS 2.

Writes everything to runs/demo, and the figures to runs/demo/summary.json. An earlier demo is moved
aside, never deleted.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import (
    ROOT,
    CommandFailedError,
    Measured,
    Target,
    print_targets,
    robot_policy,
    write_results,
)

from robot_policy.core.files import read_json

OUTPUT = ROOT / "runs" / "demo"


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        demonstrations: Episodes collected.
        steps: Gradient steps.
        episodes: Unseen seeds evaluated in process.
        ros_episodes: Of these, how many are run over ROS 2.
    """

    demonstrations: int
    steps: int
    episodes: int
    ros_episodes: int


FULL = Size(demonstrations=200, steps=4000, episodes=50, ros_episodes=50)
SHORT = Size(demonstrations=40, steps=600, episodes=10, ros_episodes=3)


def main() -> int:
    """Returns 0 if every step ran, whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few minutes, to see that it runs")
    short = parser.parse_args().short
    size = SHORT if short else FULL
    _move_aside(OUTPUT)
    start_s = time.perf_counter()
    try:
        steps = _run(size)
    except CommandFailedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    minutes = (time.perf_counter() - start_s) / 60
    in_process = read_json(OUTPUT / "eval.json")
    over_ros = read_json(OUTPUT / "ros2.json")
    targets = _targets(minutes, steps, in_process, over_ros)
    command = "make demo" + (' DEMO="--short"' if short else "")
    rows = [_row(step) for step in steps] + [_success(in_process), _success(over_ros)]
    write_results(OUTPUT / "summary.json", command=command, rows=rows, targets=targets)
    print()
    if not short:
        print_targets(targets)
    print(f"{minutes:.1f} minutes; summary: {_relative(OUTPUT / 'summary.json')}")
    print(f"report: {_relative(OUTPUT / 'eval' / 'report.html')}")
    return 0


def _run(size: Size) -> list[Measured]:
    dataset, run = _relative(OUTPUT / "dataset"), _relative(OUTPUT / "train")
    return [
        robot_policy(
            "collect", "lift", "--output", dataset, "--episodes", str(size.demonstrations)
        ),
        robot_policy(
            "train", "diffusion", "--dataset", dataset, "--output", run, "--steps", str(size.steps)
        ),
        robot_policy(
            "eval",
            run,
            "--task",
            "lift",
            "--episodes",
            str(size.episodes),
            "--output",
            _relative(OUTPUT / "eval"),
            "--json",
            _relative(OUTPUT / "eval.json"),
        ),
        robot_policy(
            "up",
            run,
            "--task",
            "lift",
            "--episodes",
            str(size.ros_episodes),
            "--json",
            _relative(OUTPUT / "ros2.json"),
        ),
    ]


def _targets(
    minutes: float, steps: list[Measured], in_process: dict[str, Any], over_ros: dict[str, Any]
) -> list[Target]:
    rate, ros_rate = in_process["success_rate"], over_ros["success_rate"]
    low, high = in_process["ci95"]
    peak = max(step.peak_gb for step in steps)
    episodes = len(in_process["episodes"])
    inside = f"within the interval of eval, {100 * low:.1f} to {100 * high:.1f}"

    def target(name: str, wanted: str, measured: float, unit: str, *, holds: bool) -> Target:
        return Target(name, wanted, round(measured, 2), unit, holds, "make demo")

    return [
        target("demo_minutes", "at most 12", minutes, "min", holds=minutes <= 12),
        target(
            "lift_success",
            f"at least 90, {episodes} unseen seeds",
            100 * rate,
            "%",
            holds=rate >= 0.9,
        ),
        target("lift_success_ros2", inside, 100 * ros_rate, "%", holds=low <= ros_rate <= high),
        target("peak_memory", "under 4 in any step", peak, "GB", holds=peak < 4),
    ]


def _row(step: Measured) -> dict[str, Any]:
    return {"command": step.command, "seconds": step.seconds, "peak_gb": step.peak_gb}


def _success(result: dict[str, Any]) -> dict[str, Any]:
    seeds = [episode["seed"] for episode in result["episodes"]]
    return {
        "via": result.get("via"),
        "task": result["task"],
        "success_rate": result["success_rate"],
        "successes": sum(episode["success"] for episode in result["episodes"]),
        "episodes": len(seeds),
        "seeds": [min(seeds), max(seeds)],
        "ci95": result["ci95"],
        "policy_ms": result["policy_ms"],
        "env_steps_per_s": result["env_steps_per_s"],
    }


def _move_aside(folder: Path) -> None:
    if not folder.exists():
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
