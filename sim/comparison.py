"""Two evaluations of the same task, paired by seed."""

from dataclasses import dataclass
from typing import Any

from robot_policy.core.errors import DataError
from sim.result import EvaluationResult
from sim.statistics import (
    Interval,
    PairedOutcomes,
    mcnemar_exact_p,
    paired_difference_interval,
    wilson_interval,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the seeds that both have say about the difference of two success rates.

    Attributes:
        task: Of both.
        checkpoints: First and second.
        outcomes: Counts over the common seeds.
        seeds_left_out: Seeds that only one of the two has.
        differing_settings: Setting to its two values, where both were not run alike.
    """

    task: str
    checkpoints: tuple[str, str]
    outcomes: PairedOutcomes
    seeds_left_out: int
    differing_settings: dict[str, tuple[Any, Any]]

    @property
    def rates(self) -> tuple[float, float]:
        """Success rates of first and second."""
        first, second = self.outcomes.successes
        return first / self.outcomes.total, second / self.outcomes.total

    @property
    def rate_intervals(self) -> tuple[Interval, Interval]:
        """Wilson 95 % intervals of both rates."""
        first, second = self.outcomes.successes
        total = self.outcomes.total
        return wilson_interval(first, total), wilson_interval(second, total)

    @property
    def difference_interval(self) -> Interval:
        """Newcombe 95 % interval of second minus first."""
        return paired_difference_interval(self.outcomes)

    @property
    def mcnemar_p(self) -> float:
        """Exact two-sided p-value that both rates are equal."""
        return mcnemar_exact_p(self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        sides = zip(
            self.checkpoints, self.outcomes.successes, self.rates, self.rate_intervals, strict=True
        )
        first, second = (
            {"checkpoint": name, "successes": k, "success_rate": rate, "ci95": list(interval)}
            for name, k, rate, interval in sides
        )
        return {
            "task": self.task,
            "pairs": self.outcomes.total,
            "seeds_left_out": self.seeds_left_out,
            "first": first,
            "second": second,
            "both": self.outcomes.both,
            "only_first": self.outcomes.only_first,
            "only_second": self.outcomes.only_second,
            "neither": self.outcomes.neither,
            "difference": self.outcomes.difference,
            "difference_ci95": list(self.difference_interval),
            "mcnemar_p": self.mcnemar_p,
            "differing_settings": {k: list(v) for k, v in self.differing_settings.items()},
        }


def compare(first: EvaluationResult, second: EvaluationResult) -> Comparison:
    """Pairs two results by seed.

    Raises:
        DataError: If they are of different tasks or have no seed in common.
    """
    if first.task != second.task:
        raise DataError(
            "results of different tasks cannot be compared", expected=first.task, got=second.task
        )
    outcome_of = {episode.seed: episode.success for episode in second.episodes}
    pairs = [(e.success, outcome_of[e.seed]) for e in first.episodes if e.seed in outcome_of]
    if not pairs:
        raise DataError(
            "the results have no seed in common",
            expected=f"some of {_seed_range(first)}",
            got=_seed_range(second),
            hint="evaluate both with the same --seed",
        )
    return Comparison(
        task=first.task,
        checkpoints=(first.checkpoint, second.checkpoint),
        outcomes=PairedOutcomes.count([a for a, _ in pairs], [b for _, b in pairs]),
        seeds_left_out=len(first.episodes) + len(second.episodes) - 2 * len(pairs),
        differing_settings=_differing_settings(first, second),
    )


def _differing_settings(
    first: EvaluationResult, second: EvaluationResult
) -> dict[str, tuple[Any, Any]]:
    # Workers and device change the speed, not the outcome.
    a = first.settings.to_json() | {"via": first.via.value}
    b = second.settings.to_json() | {"via": second.via.value}
    names = ("execute_steps", "num_samples", "max_steps", "via")
    return {name: (a[name], b[name]) for name in names if a[name] != b[name]}


def _seed_range(result: EvaluationResult) -> str:
    seeds = [episode.seed for episode in result.episodes]
    return f"seeds {min(seeds)} .. {max(seeds)}"
