"""Rows and targets of the benchmark of value guidance, and the file and page they go into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import RESULTS, ROOT, Target, print_targets, write_results
from value_guidance_tables import write_tables

from robot_policy.core.files import read_json
from sim.comparison import compare
from sim.result import EvaluationResult

SWEEP_K = (4, 8, 16, 32, 64, 128)
LARGEST_OVERHEAD = 10.0
"""Percent of the time that drawing takes, at K = 64."""
_LEAST_PAIRS, _LEAST_GAIN, _KEPT = 3, 10.0, 0.9

type Row = dict[str, Any]
type Rows = Mapping[tuple[str, str], Row]
"""Pair and variant to row."""


@dataclass(frozen=True)
class Cell:
    """One evaluation.

    Attributes:
        pair: Of task and policy.
        variant: How it is steered.
        result: What was measured.
        base: The same for the policy alone.
    """

    pair: str
    variant: str
    result: Path
    base: Path

    def row(self) -> Row | None:
        """Returns what was measured, None if nothing was."""
        if not self.result.exists():
            return None
        result = EvaluationResult.load(self.result)
        row: Row = {
            "pair": self.pair,
            "variant": self.variant,
            "successes": result.successes,
            "episodes": len(result.episodes),
            "success_rate": result.success_rate,
            "ci95": list(result.ci95),
            "seeds": [result.episodes[0].seed, result.episodes[-1].seed],
            "policy_ms": result.policy_ms,
            "machine": result.machine,
            "command": result.command,
            **_steering(result),
        }
        if self.base.exists() and self.variant != "base":
            paired = compare(EvaluationResult.load(self.base), result)
            row |= {
                "difference": paired.outcomes.difference,
                "difference_ci95": list(paired.difference_interval),
                "mcnemar_p": paired.mcnemar_p,
            }
        return row


def write_report(cells: Sequence[Cell], pairs: Sequence[str], *, swept: str, again: str) -> None:
    """Writes rows and targets; rows measured before stay where there are no newer ones.

    Args:
        cells: Everything that is evaluated.
        pairs: Names of the pairs that targets are about.
        swept: The pair with the sweep over K.
        again: Command that gives everything again.
    """
    path = RESULTS / "value_guidance.json"
    before = read_json(path)["rows"] if path.exists() else []
    measured = [row for cell in cells if (row := cell.row()) is not None]
    known: Rows = {(row["pair"], row["variant"]): row for row in [*before, *measured]}
    rows = [known[key] for c in cells if (key := (c.pair, c.variant)) in known]
    targets = [*_pair_targets(known, pairs), *_sweep_targets(known, swept)]
    targets += [_second_seed(known, pairs), _on_gpu()]
    targets = [Target(**{**vars(t), "command": f"{again}{t.command}"}) for t in targets]
    write_results(path, command=again, rows=rows, targets=targets)
    if rows:
        write_tables(path, ROOT / "docs" / "value_guidance.md")
    print_targets(targets)


def _steering(result: EvaluationResult) -> Row:
    records = [record for episode in result.episodes for record in episode.steering]
    if not records:
        return {}
    scoring = float(np.median([record.scoring_ms for record in records]))
    drawing = (result.policy_ms["p50"] or 0.0) - scoring
    return {
        "candidates": result.settings.steering.get("candidates"),
        "scoring_ms": round(scoring, 3),
        "overhead_percent": round(100 * scoring / drawing, 1) if drawing > 0 else None,
        "first_kept": sum(record.chosen == 0 for record in records) / len(records),
        "abstained": sum(bool(record.abstained) for record in records) / len(records),
        "faults": sum(bool(record.fault) for record in records),
    }


def _pair_targets(known: Rows, pairs: Sequence[str]) -> list[Target]:
    """What is asked of every pair, and of all together."""
    targets: list[Target] = []
    for pair in pairs:
        base, default = known.get((pair, "base")), known.get((pair, "default"))
        rate = None if base is None else round(100 * base["success_rate"], 1)
        fits = rate is not None and 30 <= rate <= 80
        only = f" --only {pair}"
        wanted = "the policy alone solves 30 to 80 %"
        targets.append(Target(f"{pair} base", wanted, rate, "%", fits, only))
        upper = None if default is None else default["difference_ci95"][1]
        wanted = "the default strategy is not below the policy alone beyond the interval"
        holds = upper is not None and upper >= 0
        points = _points(default)
        targets.append(Target(f"{pair} never worse", wanted, points, "points", holds, only))
    return [*targets, *_over_all(known, pairs)]


def _over_all(known: Rows, pairs: Sequence[str]) -> list[Target]:
    default = [known.get((pair, "default")) for pair in pairs]
    random = [known.get((pair, "random")) for pair in pairs]
    gains = [100 * row["difference"] for row in default if row is not None]
    better = sum(row["difference_ci95"][0] > 0 for row in default if row is not None)
    low = [row["difference_ci95"][0] for row in random if row is not None]
    high = [row["difference_ci95"][1] for row in random if row is not None]
    equal = sum(a <= 0 <= b for a, b in zip(low, high, strict=True))
    mean = round(float(np.mean(gains)), 1) if len(gains) == len(pairs) else None
    complete, controlled = len(gains) == len(pairs), len(low) == len(pairs)
    return [
        Target(
            "better",
            f"the default strategy better in pairs, the interval above zero, on at least "
            f"{_LEAST_PAIRS} of {len(pairs)} pairs",
            float(better) if complete else None,
            "pairs",
            complete and better >= _LEAST_PAIRS,
            "",
        ),
        Target(
            "mean gain",
            f"the default strategy gains at least {_LEAST_GAIN:g} points on average",
            mean,
            "points",
            mean is not None and mean >= _LEAST_GAIN,
            "",
        ),
        Target(
            "random pick",
            "a random pick equals the policy alone within the interval, on every pair",
            float(equal) if controlled else None,
            "pairs",
            controlled and equal == len(pairs),
            " --only base random",
        ),
    ]


def _sweep_targets(known: Rows, swept: str) -> list[Target]:
    sweep = [known.get((swept, f"default_k{count}")) for count in SWEEP_K]
    gains = [row["difference"] for row in sweep if row is not None]
    best = max(gains, default=0.0)
    kept = round(gains[-1] / best, 3) if len(gains) == len(SWEEP_K) and best > 0 else None
    at_64 = sweep[SWEEP_K.index(64)]
    overhead = None if at_64 is None else at_64["overhead_percent"]
    return [
        Target(
            "gain kept to K = 128",
            f"the gain at K = 128 at least {_KEPT:.0%} of the best over K",
            kept,
            "times",
            kept is not None and kept >= _KEPT,
            " --only default_k",
        ),
        Target(
            "scoring cost",
            f"judging 64 candidates takes at most {LARGEST_OVERHEAD:g} % of drawing them",
            overhead,
            "%",
            overhead is not None and overhead <= LARGEST_OVERHEAD,
            " --only default_k64",
        ),
    ]


def _second_seed(known: Rows, pairs: Sequence[str]) -> Target:
    """Whether a pair that was trained again gains what the interval of the first time says."""
    trained = sorted({p for p, _ in known if p not in pairs and p.rpartition("-seed")[0] in pairs})
    again = known.get((trained[0], "default")) if trained else None
    first = known.get((trained[0].rpartition("-seed")[0], "default")) if trained else None
    points = _points(again)
    holds = False
    if again is not None and first is not None:
        low, high = first["difference_ci95"]
        holds = low <= again["difference"] <= high
    wanted = "trained again with another seed, the gain lies in the interval of the first time"
    return Target("second seed", wanted, points, "points", holds, " --only seed1")


def _on_gpu() -> Target:
    wanted = "on a GPU, policy and critic at K = 64 under 1.6 times the policy alone"
    return Target("gpu", wanted, None, "times", False, " --only default_k64 --device cuda")


def _points(row: Row | None) -> float | None:
    return None if row is None else round(100 * row["difference"], 1)
