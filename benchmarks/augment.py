"""Makes other ways of the demonstrations of a language task, executed in the twin as primitives."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robot_policy.core.episode import Episode, Success
from robot_policy.core.files import write_json
from robot_policy.data.formats.registry import FORMATS
from robot_policy.policies.primitives import PrimitiveSet
from sim.augmentation import augmented, execute
from sim.primitive_replay import decisions_of
from sim.registry import make_environment


def main() -> int:
    """Writes the new episodes alone, and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--task", required=True, help="that it was collected of")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    tried = 0

    def made() -> Iterator[Episode]:
        nonlocal tried
        environment = make_environment(arguments.task, cameras=("agentview",))
        primitives = PrimitiveSet.for_robot(environment.robot)
        for episode in FORMATS["lerobot_v3"].read(arguments.dataset, cameras=()):
            if episode.success is not Success.YES:
                continue
            tried += 1
            seed = int(episode.metadata["seed"])
            moves = [d.move for d in decisions_of(episode, environment.robot, primitives)]
            legs = augmented(moves, primitives, np.random.default_rng([seed, 1]))
            found = execute(environment, legs, seed=seed)
            if found is not None:
                yield found
        environment.close()

    spec = FORMATS["lerobot_v3"].read_spec(arguments.dataset)
    written = FORMATS["lerobot_v3"].write(arguments.output, made(), spec)
    write_json(arguments.json, {"task": arguments.task, "tried": tried, "augmented": written})
    return 0


if __name__ == "__main__":
    sys.exit(main())
