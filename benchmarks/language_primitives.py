"""Cells of the language benchmark: what primitives cost, what sentences come to, how fast it is."""

from collections.abc import Mapping
from typing import Any

from cells import relative
from jobs import Job
from language_paths import AGAIN, FOLDER
from measure import Target

from robot_policy.core.files import read_json
from sim.envs.language.goals import KINDS
from sim.statistics import wilson_interval

REPLAYED = {
    **dict.fromkeys(("lift", "can", "square", "stack"), 20),
    **{f"language:{kind}": 10 for kind in KINDS},
}
"""Task to demonstrations."""
SURVIVE, UNDERSTOOD, SENTENCES, RATE = 0.95, 0.98, 500, 20.0
PARSER, SPEED = FOLDER / "parser.json", FOLDER / "speed.json"

type Rows = Mapping[str, dict[str, Any]]


def jobs() -> list[Job]:
    """Replays by task, the sentences, and the rate of decisions, which is measured alone."""
    listed = [
        Job(
            f"replay-{task}",
            (
                *("benchmarks/replay_primitives.py", task, "--episodes", str(episodes)),
                *("--json", relative(_replay(task))),
            ),
            _replay(task),
        )
        for task, episodes in REPLAYED.items()
    ]
    sentences = ("benchmarks/parse_sentences.py", "--json", relative(PARSER))
    speed = ("benchmarks/decision_rate.py", "--json", relative(SPEED))
    return [*listed, Job("parser", sentences, PARSER), Job("speed", speed, SPEED, alone=True)]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    found = [
        _replayed(task, read_json(_replay(task))) for task in REPLAYED if _replay(task).exists()
    ]
    if PARSER.exists():
        found.append({"cell": "parser"} | read_json(PARSER))
    if SPEED.exists():
        found.append({"cell": "speed"} | read_json(SPEED))
    return found


def targets(known: Rows) -> list[Target]:
    """Replay, parser and rate."""
    return [_replay_target(known), *_parser_targets(known), _rate_target(known)]


def _replayed(task: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    counted = [r for r in measured["replays"] if r["demonstrated"]]
    survived = sum(r["replayed"] for r in counted)
    return {
        "cell": f"replay-{task}",
        "first_seed": measured["replays"][0]["seed"],
        "demonstrations": len(counted),
        "survived": survived,
        "ci95": list(wilson_interval(survived, len(counted))),
        "failed_seeds": [r["seed"] for r in counted if not r["replayed"]],
        "decisions": sum(r["decisions"] for r in counted),
        "composed": sum(r["composed"] for r in counted),
        "error_mm": round(1000 * sum(r["error_m"] for r in counted) / max(1, len(counted)), 1),
    }


def _replay_target(known: Rows) -> Target:
    found = [known[f"replay-{task}"] for task in REPLAYED if f"replay-{task}" in known]
    survived, tried = (sum(row[key] for row in found) for key in ("survived", "demonstrations"))
    share = survived / tried if len(found) == len(REPLAYED) else None
    return Target(
        "replay_of_primitives",
        f"at least {SURVIVE:.0%} of scripted demonstrations succeed as primitives, over the tasks "
        "of the language suite and lift, can, square, stack",
        None if share is None else round(100 * share, 1),
        "%",
        share is not None and share >= SURVIVE,
        f"{AGAIN} --only replay",
    )


def _parser_targets(known: Rows) -> list[Target]:
    row = known.get("parser")
    right = None if row is None else row["right"] / row["sentences"]
    enough = row is not None and row["sentences"] >= SENTENCES
    return [
        Target(
            "parser",
            f"at least {UNDERSTOOD:.0%} right of {SENTENCES} held-out sentences",
            None if right is None else round(100 * right, 1),
            "%",
            right is not None and enough and right >= UNDERSTOOD,
            f"{AGAIN} --only parser",
        ),
        Target(
            "parser_wrong_motions",
            "no motion on held-out sentences that mean none",
            None if row is None else float(row["wrong_motions"]),
            "sentences",
            row is not None and row["wrong_motions"] == 0,
            f"{AGAIN} --only parser",
        ),
    ]


def _rate_target(known: Rows) -> Target:
    row = known.get("speed")
    rate = None if row is None else row["decisions_per_s"]
    return Target(
        "decisions_per_s",
        f"the small clip_rt decides at least {RATE:g} times a second with 64 candidates, from one "
        "image of 84 x 84; by the clock, with one thread",
        None if rate is None else round(rate, 1),
        "1/s",
        rate is not None and rate >= RATE,
        f"{AGAIN} --only speed",
    )


def _replay(task: str) -> Any:
    return FOLDER / "replay" / f"{task.replace(':', '-')}.json"
