"""Replays scripted demonstrations as primitives in the twin: how many still succeed."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from robot_policy.core.files import write_json
from sim.primitive_replay import replay
from sim.registry import make_environment, make_expert

SEED = 200_000
"""Demonstrations to learn from begin at 0, evaluations at 100000."""
NOISE = 0.1


def main() -> int:
    """Writes one entry per demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    environment = make_environment(arguments.task)
    expert = make_expert(arguments.task)
    seeds = range(SEED, SEED + arguments.episodes)
    found = [asdict(replay(environment, expert, seed=seed, noise=NOISE)) for seed in seeds]
    environment.close()
    write_json(arguments.json, {"task": arguments.task, "noise": NOISE, "replays": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
