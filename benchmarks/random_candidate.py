"""Success when a random one of N candidates is executed, not the first: what candidates are worth.

The first candidate is the same however many denoising steps the others share with it; this is what
shows whether the others still solve the task.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from robot_policy.checkpoint import load_policy
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, Policy, per_row
from robot_policy.core.specs import PolicySpec
from sim.evaluate import FIRST_SEED, EvaluationConfig, evaluate


class RandomCandidate:
    """Draws N candidates and keeps one that is not the first.

    Args:
        policy: Asked for the candidates.
        count: N, at least 2.
    """

    def __init__(self, policy: Policy, *, count: int) -> None:
        self._policy = policy
        self._count = count

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._policy.spec

    def reset(self) -> None:
        """Resets the policy."""
        self._policy.reset()

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Returns one candidate per row."""
        del num_samples
        rows = per_row(generator, windows.batch_size)
        drawn = self._policy.sample(windows, num_samples=self._count, generator=rows)
        chosen = np.array([row.integers(1, self._count) for row in rows])
        past = None if drawn.past is None else drawn.past[np.arange(len(rows)), chosen][:, None]
        return Candidates(drawn.actions[np.arange(len(rows)), chosen][:, None], past)


def main() -> int:
    """Writes an evaluation result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--shared-steps", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.5)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    options = {"shared_steps": arguments.shared_steps, "temperature": arguments.temperature}
    policy = load_policy(arguments.checkpoint, options=options)
    result = evaluate(
        RandomCandidate(policy, count=arguments.candidates),
        task=arguments.task,
        seeds=range(FIRST_SEED, FIRST_SEED + arguments.episodes),
        config=EvaluationConfig(
            workers=1, checkpoint=str(arguments.checkpoint), command=" ".join(sys.argv)
        ),
    )
    result.save(arguments.json)
    print(f"{result.successes}/{len(result.episodes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
