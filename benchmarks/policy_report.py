"""Rows and targets of the policy benchmark, and the file and page they go into."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import RESULTS, ROOT, Target, print_targets, write_results
from policy_tables import write_tables

from robot_policy.core.files import read_json
from sim.result import EvaluationResult
from sim.statistics import PairedOutcomes, paired_difference_interval, wilson_interval

BENCHES = ("latency", "train")
TASKS = ("lift", "can", "square")
SAMPLER_TASK = "square"
PEERS = ("lerobot_diffusion", "robomimic_bc_rnn")

type Row = dict[str, Any]
type Rows = dict[str, Row]
"""Cell to row."""


def write_report(measured: Sequence[Row], *, bench: Path, command: str) -> None:
    """Writes rows and targets; rows measured before stay where there are no newer ones.

    Args:
        measured: Outcomes of this machine.
        bench: Folder of the speed measurements.
        command: Gives everything again.
    """
    path = RESULTS / "policies.json"
    before = read_json(path)["rows"] if path.exists() else []
    speeds = [row for name in BENCHES for row in _bench_rows(bench / f"{name}.json")]
    rows = {row["cell"]: row for row in [*before, *measured, *speeds]}
    found = [*_success(rows), *_peers(rows), *_samplers(rows), *_speed(rows)]
    targets = [
        Target(t.id, t.target, t.measured, t.unit, t.holds, f"{command} --only {t.command}")
        for t in found
    ]
    write_results(path, command=command, rows=list(rows.values()), targets=targets)
    write_tables(path, ROOT / "docs" / "policies.md")
    print_targets(targets)


def outcomes(cell: str, result: EvaluationResult) -> Row:
    """Returns the row of an evaluation."""
    return {
        "cell": cell,
        "first_seed": result.episodes[0].seed,
        "episodes": len(result.episodes),
        "successes": result.successes,
        "ci95": list(wilson_interval(result.successes, len(result.episodes))),
        "failed_seeds": [e.seed for e in result.episodes if not e.success],
        "policy_ms_p50": result.policy_ms["p50"],
        "execute_steps": result.settings.execute_steps,
        "device": result.settings.device,
        "machine": result.machine,
    }


def _bench_rows(path: Path) -> list[Row]:
    if not path.exists():
        return []
    name, rows = path.stem, read_json(path)["rows"]
    return [{"cell": f"bench {name} {_label(row)}", "bench": name, **row} for row in rows]


def _label(row: Row) -> str:
    return " ".join(
        str(row[key]) for key in ("checkpoint", "policy", "threads", "candidates") if key in row
    )


def percent(rows: Rows, cell: str) -> float | None:
    """Returns the share of solved starts of a cell [%], None where it was not measured."""
    row = rows.get(cell)
    return None if row is None else 100 * row["successes"] / row["episodes"]


def _difference(rows: Rows, first: str, second: str) -> tuple[float | None, float | None]:
    """Second minus first on the same seeds, and the upper end of its interval [points]."""
    if first not in rows or second not in rows:
        return None, None
    outcomes = PairedOutcomes.count(solved(rows[first]), solved(rows[second]))
    a, b = outcomes.successes
    return 100 * (b - a) / outcomes.total, 100 * paired_difference_interval(outcomes)[1]


def solved(row: Row) -> list[bool]:
    """Returns of every start whether it was solved."""
    seeds = range(row["first_seed"], row["first_seed"] + row["episodes"])
    return [seed not in row["failed_seeds"] for seed in seeds]


def _success(rows: Rows) -> list[Target]:
    wanted = {"square": 85, "can": 95, "lift": 98, "lift_images": 90}
    targets = []
    for data, least in wanted.items():
        cell = f"diffusion-{data}"
        rate = percent(rows, cell)
        holds = rate is not None and rate >= least
        targets.append(_target(f"success_{data}", f"at least {least}", rate, "%", cell, holds))
    return targets


def _peers(rows: Rows) -> list[Target]:
    """Ours minus the peer, on the same seeds; missed where the interval lies below zero."""
    targets = []
    for task in TASKS:
        for peer in PEERS:
            points, upper = _difference(rows, f"{peer}-{task}", f"diffusion-{task}")
            wanted = f"diffusion not below {peer} on {task} beyond the interval"
            holds = upper is not None and upper >= 0
            name = f"{task}_against_{peer}"
            targets.append(_target(name, wanted, points, "points", task, holds))
    return targets


def _samplers(rows: Rows) -> list[Target]:
    # At temperature 1: a lower one takes from DDPM the noise that makes it what it is.
    reference = f"diffusion-{SAMPLER_TASK}@ddpm100_temperature1"
    wanted = {
        "ddim10": (f"diffusion-{SAMPLER_TASK}@temperature1", 2),
        "flow4": (f"flow-{SAMPLER_TASK}@temperature1", 5),
        "one_step": (f"consistency-{SAMPLER_TASK}@temperature1", 5),
    }
    targets = []
    for name, (cell, most) in wanted.items():
        points, _ = _difference(rows, reference, cell)
        words = f"at most {most} points below DDPM at 100 steps, {SAMPLER_TASK}, temperature 1"
        holds = points is not None and points >= -most
        targets.append(_target(f"{name}_against_ddpm100", words, points, "points", cell, holds))
    points, upper = _difference(rows, "random_of_16_shared_0", "random_of_16_shared_8")
    words = "sharing 8 of 10 steps: a random one of 16 candidates not worse beyond the interval"
    holds = upper is not None and upper >= 0
    targets.append(_target("shared_steps_success", words, points, "points", "random_of_16", holds))
    return targets


def _speed(rows: Rows) -> list[Target]:
    """Ours over lerobot's at the same architecture, one run; and what more candidates cost."""
    ours, theirs, shared = (_plan_ms(rows, name) for name in ("unet", "lerobot", "shared"))
    latency = _ratio(ours.get(1), theirs.get(1))
    rate = _ratio(_samples_per_s(rows, "diffusion"), _samples_per_s(rows, "lerobot_diffusion"))
    candidates = _ratio(shared.get(16), shared.get(1))
    found = [
        ("cpu_latency", "at most lerobot's, U-Net of the same size, N = 1", latency, 1.0, "bench"),
        ("cpu_candidates", "16 candidates at most 2 times one", candidates, 2.0, "bench"),
    ]
    targets = [
        _target(name, wanted, ratio, "times", only, ratio is not None and ratio <= most)
        for name, wanted, ratio, most, only in found
    ]
    wanted = "at least lerobot's, U-Net of the same size, samples/s"
    holds = rate is not None and rate >= 1.0
    targets.append(_target("cpu_training", wanted, rate, "times", "bench", holds))
    for name, wanted in (
        ("gpu_latency", "at least 3 times faster than lerobot's at batch 1"),
        ("gpu_candidates", "64 candidates at most 1.5 times one"),
        ("gpu_training", "at least lerobot's samples/s"),
    ):
        targets.append(_target(name, f"on a GPU: {wanted}", None, "times", "bench", False))
    return targets


def _plan_ms(rows: Rows, name: str) -> dict[int, float]:
    """Median time of a plan on one thread by number of candidates."""
    found = [r for r in rows.values() if r.get("bench") == "latency"]
    return {
        r["candidates"]: r["p50_ms"]
        for r in found
        if Path(r["checkpoint"]).name == name and r["threads"] == 1
    }


def _samples_per_s(rows: Rows, policy: str) -> float | None:
    found = [r for r in rows.values() if r.get("bench") == "train" and r["policy"] == policy]
    return found[0]["samples_per_s"] if found else None


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


def _target(
    name: str, wanted: str, measured: float | None, unit: str, only: str, holds: bool
) -> Target:
    rounded = None if measured is None else round(measured, 3)
    return Target(name, wanted, rounded, unit, holds, only)
