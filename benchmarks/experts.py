"""Success rates of the scripted experts on seeds that nothing else uses.

python benchmarks/experts.py --task can --episodes 100
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from measure import Target, write_results

from robot_policy.core.episode import Success
from sim.registry import QUALITIES, TASKS, make_environment, make_expert
from sim.scripted.rollout import collect_episode
from sim.statistics import wilson_interval

LEAST = {"lift": 0.98, "can": 0.95, "square": 0.95, "stack": 0.95}
SLOPPY_RANGE = (0.4, 0.75)


def measure(task: str, *, quality: str, noise: float, seeds: range) -> dict[str, Any]:
    """Runs one expert over `seeds` and counts."""
    environment, expert = make_environment(task), make_expert(task, quality=quality)
    steps, failed = [], []
    begin_s = time.perf_counter()
    for seed in seeds:
        episode = collect_episode(environment, expert, seed=seed, noise=noise)
        if episode.success == Success.YES:
            steps.append(len(episode))
        else:
            failed.append(seed)
    environment.close()
    total = sum(steps) + len(failed) * environment.max_steps
    return {
        "task": task,
        "quality": quality,
        "noise": noise,
        "first_seed": seeds.start,
        "episodes": len(seeds),
        "successes": len(steps),
        "ci95": list(wilson_interval(len(steps), len(seeds))),
        "failed_seeds": failed,
        "steps_p50": float(np.median(steps)) if steps else None,
        "steps_max": max(steps, default=None),
        "env_steps_per_s": total / (time.perf_counter() - begin_s),
    }


def target(row: dict[str, Any]) -> Target:
    """What was asked of that expert, and whether it does it."""
    rate, quality = row["successes"] / row["episodes"], row["quality"]
    low, high = SLOPPY_RANGE if quality == "sloppy" else (LEAST[row["task"]], 1.0)
    return Target(
        id=f"{quality}_{row['task']}",
        target=f"solves {low:.0%} to {high:.0%} of unseen seeds",
        measured=round(rate, 4),
        unit="fraction",
        holds=low <= rate <= high,
        command=f"python benchmarks/experts.py --task {row['task']} --quality {quality}"
        f" --episodes {row['episodes']} --seed {row['first_seed']} --noise {row['noise']}",
    )


def main() -> None:
    """Prints a table, and writes it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--quality", nargs="+", default=["expert"], choices=QUALITIES)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20_000, help="the first one")
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.episodes)
    rows = []
    print(f"{'task':8}{'quality':9}{'solved':>9}{'steps p50':>11}{'max':>5}{'steps/s':>9}  failed")
    for task in options.task:
        for quality in options.quality:
            row = measure(task, quality=quality, noise=options.noise, seeds=seeds)
            rows.append(row)
            print(
                f"{task:8}{quality:9}{row['successes']:5}/{row['episodes']}"
                f"{row['steps_p50'] or float('nan'):11.0f}{row['steps_max'] or 0:5}"
                f"{row['env_steps_per_s']:9.0f}  {row['failed_seeds']}",
                flush=True,
            )
    if options.json:
        command = " ".join(["python", "benchmarks/experts.py", *sys.argv[1:]])
        write_results(options.json, command=command, rows=rows, targets=[*map(target, rows)])


if __name__ == "__main__":
    main()
