"""Rows and targets of the memory benchmark, and the file they go into."""

from collections.abc import Sequence
from itertools import product

from measure import RESULTS, ROOT, Target, print_targets, write_results
from memory_tables import write_tables
from policy_report import Row, Rows, percent, solved

from robot_policy.core.files import read_json
from sim.statistics import PairedOutcomes, paired_difference_interval

TASKS = ("can", "square")
COUNTS = (10, 25, 50)
SEEDS = (0, 1, 2)
ARMS = ("backbone", "mcnn", "neighbour_as_input", "nearest", "vinn")
DIFFUSION_ARMS = ("diffusion_backbone", "mcnn_diffusion")
DIFFUSION_COUNT = 25
VERIFIED = (10, 1, 5, 20)
_SETTINGS_ABOVE = 2


def write_report(measured: Sequence[Row], *, command: str) -> None:
    """Writes rows and targets; rows measured before stay where there are no newer ones."""
    path = RESULTS / "memory.json"
    before = read_json(path)["rows"] if path.exists() else []
    rows = {row["cell"]: row for row in [*before, *measured]}
    targets = [
        *_recall(rows, command),
        *_memories(rows, command),
        *_over_diffusion(rows, command),
        *_speed(rows, f"{command} --only speed"),
        _cached(rows, f"{command} --only cached"),
    ]
    write_results(path, command=command, rows=list(rows.values()), targets=targets)
    write_tables(path, ROOT / "docs" / "memory.md")
    print_targets(targets)


def _recall(rows: Rows, command: str) -> list[Target]:
    again = f"{command} --only recall"
    verified = percent(rows, "past_token-recall@verified10")
    short = percent(rows, "short-recall")
    low, high = _difference(rows, ["past_token-recall@verified1"], ["future_only-recall"])
    middle = None if low is None or high is None else (low + high) / 2
    return [
        Target(
            "recall_verified",
            "past tokens with verification, B = 10: at least 90",
            verified,
            "%",
            verified is not None and verified >= 90,
            again,
        ),
        Target(
            "recall_short",
            "short context: between 40 and 60",
            short,
            "%",
            short is not None and 40 <= short <= 60,
            again,
        ),
        Target(
            "recall_future_only",
            "long context without past tokens below it, interval without zero",
            middle,
            "points",
            high is not None and high < 0,
            again,
        ),
    ]


def _memories(rows: Rows, command: str) -> list[Target]:
    """Counts the settings in which memories help or harm beyond the interval."""
    intervals = [
        _difference(rows, _cells("backbone", task, count), _cells("mcnn", task, count))
        for task, count in product(TASKS, COUNTS)
    ]
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    above, below = (
        float(sum(low > 0 for low, _ in known)),
        float(sum(high < 0 for _, high in known)),
    )
    complete = len(known) == len(intervals)
    again = f"{command} --only can square"
    return [
        Target(
            "mcnn_above",
            f"above its backbone beyond the interval in at least {_SETTINGS_ABOVE} of 6 settings",
            above if complete else None,
            "settings",
            complete and above >= _SETTINGS_ABOVE,
            again,
        ),
        Target(
            "mcnn_below",
            "below its backbone beyond the interval in none of 6 settings",
            below if complete else None,
            "settings",
            complete and below == 0,
            again,
        ),
    ]


def _over_diffusion(rows: Rows, command: str) -> list[Target]:
    targets: list[Target] = []
    for task in TASKS:
        backbone, memories = (_cells(arm, task, DIFFUSION_COUNT) for arm in DIFFUSION_ARMS)
        low, high = _difference(rows, backbone, memories)
        targets.append(
            Target(
                f"mcnn_diffusion_{task}",
                f"MCNN over diffusion at {DIFFUSION_COUNT} demonstrations of {task}: not below its "
                "backbone beyond the interval",
                None if low is None or high is None else (low + high) / 2,
                "points",
                high is not None and high >= 0,
                f"{command} --only diffusion",
            )
        )
    return targets


def _speed(rows: Rows, command: str) -> list[Target]:
    targets = [
        _at_most(
            f"mcnn_overhead_{backbone}",
            f"MCNN at most 10 % slower than its backbone on a CPU: {backbone}",
            rows.get(f"overhead {backbone}", {}).get("overhead_percent"),
            10.0,
            "%",
            command,
        )
        for backbone in ("mlp", "transformer", "diffusion")
    ]
    found = rows.get("search index", {}).get("p50_ms")
    words = "search among 100,000 memories under 1 ms"
    return [*targets, _at_most("search_latency", words, found, 1.0, "ms", command)]


def _cached(rows: Rows, command: str) -> Target:
    words = "training on cached embeddings at least 5 times faster, context 16, two cameras"
    times = rows.get("training context 16, two cameras", {}).get("times")
    holds = times is not None and times >= 5
    return Target("cached_embeddings", words, times, "times", holds, command)


def _at_most(
    name: str, words: str, measured: float | None, most: float, unit: str, command: str
) -> Target:
    return Target(name, words, measured, unit, measured is not None and measured <= most, command)


def _cells(arm: str, task: str, count: int) -> list[str]:
    return [f"{arm}-{task}_{count}-{seed}" for seed in SEEDS]


def _difference(
    rows: Rows, first: Sequence[str], second: Sequence[str]
) -> tuple[float | None, float | None]:
    """Interval of second minus first, over the same starts and training seeds [points]."""
    if any(cell not in rows for cell in [*first, *second]):
        return None, None
    a, b = ([done for cell in cells for done in solved(rows[cell])] for cells in (first, second))
    low, high = paired_difference_interval(PairedOutcomes.count(a, b))
    return 100 * low, 100 * high
