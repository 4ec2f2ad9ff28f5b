"""Success when the simulator itself picks among the candidates: how much they leave to gain.

At a few plans of a failing episode each candidate is tried: the episode is run again from its start
with that candidate in place of the policy's own sample, and goes on as the policy alone would. It
counts as solved once one of them leads to success. Ties keep the policy's own sample, so an episode
that the policy solves is left as it is. No other choice of one candidate per episode does better.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from robot_policy.checkpoint import load_policy
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, Policy, per_row
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import AgentConfig
from robot_policy.runtime.chunking import resolve_execute_steps
from sim import provenance
from sim.episode_runner import EpisodeRunner, Job
from sim.evaluate import FIRST_SEED
from sim.remote_policy import RemotePolicy, answer_batch
from sim.result import EpisodeResult, EvaluationResult, Settings


class ChosenCandidates:
    """Answers plan n with candidate ``choices[n]`` of N, with the first where nothing is chosen.

    Args:
        policy: Asked for the candidates.
        count: N.
    """

    def __init__(self, policy: Policy, *, count: int) -> None:
        self._policy = policy
        self._count = count
        self.plans = 0
        self._choices: Mapping[int, int] = {}

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._policy.spec

    def begin(self, choices: Mapping[int, int]) -> None:
        """Begins an episode with these choices."""
        self._choices = choices
        self.plans = 0

    def reset(self) -> None:
        """Resets the policy."""
        self._policy.reset()

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Returns one candidate; the same one for the same plan, however many are drawn."""
        del num_samples
        chosen = self._choices.get(self.plans, 0)
        self.plans += 1
        rows = per_row(generator, windows.batch_size)
        count = self._count if chosen else 1
        drawn = self._policy.sample(windows, num_samples=count, generator=rows)
        return Candidates(drawn.actions[:, chosen : chosen + 1])


def best_episode(
    runner: EpisodeRunner, policy: ChosenCandidates, seed: int, *, candidates: int, tries: int
) -> EpisodeResult:
    """Runs the episode of `seed`, then again with other candidates until one succeeds.

    Args:
        runner: Of the task.
        policy: That `runner` asks.
        seed: Of the start.
        candidates: N.
        tries: Plans at which all candidates are tried, evenly over the episode.
    """
    policy.begin({})
    alone = runner.run(seed).result
    if alone.success:
        return alone
    plans = np.unique(np.linspace(0, policy.plans - 1, tries, endpoint=False).astype(int))
    for plan in plans.tolist():
        for candidate in range(1, candidates):
            policy.begin({plan: candidate})
            tried = runner.run(seed).result
            if tried.success:
                return tried
    return alone


def main() -> int:
    """Writes an evaluation result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    policy = ChosenCandidates(load_policy(arguments.checkpoint), count=arguments.candidates)
    steps = resolve_execute_steps(None, horizon=policy.spec.horizon)
    job = Job(arguments.task, policy.spec, AgentConfig(execute_steps=steps))
    remote = RemotePolicy(policy.spec, lambda request: answer_batch(policy, [request])[0])
    runner = EpisodeRunner(job, remote)
    start_s = time.monotonic()
    episodes: list[EpisodeResult] = []
    for seed in range(arguments.seed, arguments.seed + arguments.episodes):
        options = {"candidates": arguments.candidates, "tries": arguments.tries}
        episodes.append(best_episode(runner, policy, seed, **options))
        solved = sum(episode.success for episode in episodes)
        print(f"\r{solved}/{len(episodes)} solved", end="", file=sys.stderr, flush=True)
    result = EvaluationResult(
        task=arguments.task,
        checkpoint=str(arguments.checkpoint),
        episodes=tuple(episodes),
        duration_s=time.monotonic() - start_s,
        settings=Settings(
            execute_steps=steps, num_samples=arguments.candidates, max_steps=runner.max_steps
        ),
        command=" ".join(sys.argv),
        versions=provenance.versions(),
        machine=provenance.machine(),
    )
    runner.close()
    result.save(arguments.json)
    print(f"\n{result.successes}/{len(result.episodes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
