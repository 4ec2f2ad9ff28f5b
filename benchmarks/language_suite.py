"""Cells of the language benchmark: policies that read, on the suite and its controls."""

from collections.abc import Mapping, Sequence
from typing import Any

from cells import Training, relative, training_job
from jobs import Job
from language_paths import AGAIN, FOLDER
from measure import Target
from policy_report import outcomes

from sim.envs.language.goals import KINDS
from sim.result import EvaluationResult
from sim.statistics import PairedOutcomes, paired_difference_interval

DEMONSTRATIONS, SINGLE, SAID = 900, 100, 10
EPISODES = 50
"""Per task."""
STEPS = 30_000
SEEING = ("--cameras", "agentview", "--no-environment-state")
SINGLE_KINDS = ("lift", "stack")
"""Of which policies are also trained on one task alone."""
TAUGHT = "lift"
"""Kind that ten episodes of a speaker teach."""
STEERED = ("lift", "push_left", "place_in", "stack")
CHANCE = 0.1
"""What somebody who is told something else may reach by accident."""

type Rows = Mapping[str, dict[str, Any]]


def _training(name: str, policy: str, data: str, *options: str) -> Training:
    return Training(
        name, policy, "language", data, STEPS, (*SEEING, *options), batch_size=128, folder=FOLDER
    )


TRAININGS = {
    "plus": _training("plus", "clip_rt_plus", "language"),
    "clip_rt": _training("clip_rt", "clip_rt", "language"),
    "augmented": _training("augmented", "clip_rt", "language-augmented.json"),
    "classes": _training("classes", "clip_rt", "language", "--policy.candidates", "classes"),
    **{
        f"single-{kind}": _training(f"single-{kind}", "clip_rt", f"language-{kind}")
        for kind in SINGLE_KINDS
    },
    "taught": _training("taught", "clip_rt", "said-augmented"),
    "taught-plain": _training("taught-plain", "clip_rt", "said"),
}
ARMS = ("plus", "clip_rt", "augmented", "classes")
"""That the whole suite is measured with: without augmentation, with it, and without language."""
VERIFIER = FOLDER / "train" / "verifier"
WORDINGS = {"": "", "paraphrases": "+paraphrases", "shuffled": "+shuffled"}


def jobs() -> list[Job]:
    """Data, trainings and evaluations as commands."""
    listed = [_data("language", "language", DEMONSTRATIONS)]
    listed += [_data(f"language-{kind}", f"language:{kind}", SINGLE) for kind in SINGLE_KINDS]
    listed += _augmented_data()
    listed += _taught_data()
    listed += [training_job(training, "auto") for training in TRAININGS.values()]
    listed.append(_verifier())
    listed += [_evaluation(*cell) for cell in _cells()]
    return listed


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    found = [(name, _result(name)) for name, *_ in _cells()]
    return [outcomes(name, EvaluationResult.load(path)) for name, path in found if path.exists()]


def targets(known: Rows) -> list[Target]:
    """Every figure that was asked for."""
    plus, clip = _mean(known, "plus"), _mean(known, "clip_rt")
    said = _mean(known, "plus", "paraphrases")
    shuffled = _mean(known, "plus", "shuffled")
    apart = None if plus is None or said is None else plus - said
    taught = known.get(f"taught@{TAUGHT}")
    reached = None if taught is None else taught["successes"] / taught["episodes"]
    better = _steered_better(known)
    return [
        _target("plus_success", "clip_rt_plus at least 85 % on the suite", plus, 0.85),
        _target("clip_rt_success", "clip_rt at least 60 % on the suite", clip, 0.60),
        _target("paraphrases", "held-out paraphrases within 5 points", apart, 0.05, most=True),
        _target("shuffled", "shuffled instructions at chance", shuffled, CHANCE, most=True),
        _target("taught", "10 said episodes, augmented, at least 70 %", reached, 0.70),
        Target(
            "steering",
            "steered clip_rt better in pairs on at least two tasks, the interval above zero",
            None if better is None else float(better),
            "tasks",
            better is not None and better >= 2,
            f"{AGAIN} --only steered clip_rt",
        ),
    ]


def _target(
    name: str, text: str, share: float | None, bound: float, *, most: bool = False
) -> Target:
    holds = share is not None and (share <= bound if most else share >= bound)
    figure = None if share is None else round(100 * share, 1)
    return Target(name, text, figure, "%", holds, f"{AGAIN} --only train eval")


def _mean(known: Rows, arm: str, wording: str = "") -> float | None:
    found = [known.get(_name(arm, kind, wording)) for kind in KINDS]
    complete = [row for row in found if row is not None]
    if len(complete) < len(KINDS):
        return None
    return sum(row["successes"] / row["episodes"] for row in complete) / len(complete)


def _steered_better(known: Rows) -> int | None:
    pairs = [(known.get(f"steered@{k}"), known.get(f"clip_rt@{k}")) for k in STEERED]
    if any(a is None or b is None for a, b in pairs):
        return None
    return sum(_lowest(steered, base) > 0.0 for steered, base in pairs)


def _lowest(steered: Any, base: Any) -> float:
    """Lower end of the paired difference of two rows with the same seeds."""
    failed = [set(row["failed_seeds"]) for row in (steered, base)]
    seeds = range(steered["first_seed"], steered["first_seed"] + steered["episodes"])
    first, second = ([s not in lost for s in seeds] for lost in reversed(failed))
    return paired_difference_interval(PairedOutcomes.count(first, second))[0]


def _name(arm: str, kind: str, wording: str = "") -> str:
    return f"{arm}@{kind}{WORDINGS[wording]}"


def _cells() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Name, training, task and more options of every evaluation."""
    cells: list[tuple[str, str, str, tuple[str, ...]]] = []
    for kind in KINDS:
        task = f"language:{kind}"
        cells += [(_name(arm, kind), arm, task, ()) for arm in ARMS]
        for wording in ("paraphrases", "shuffled"):
            name = _name("plus", kind, wording)
            cells.append((name, "plus", f"{task}+{wording}", ()))
    cells += [(f"single@{k}", f"single-{k}", f"language:{k}", ()) for k in SINGLE_KINDS]
    cells += [
        (f"{arm}@{TAUGHT}", arm, f"language:{TAUGHT}", ()) for arm in ("taught", "taught-plain")
    ]
    steer = ("--steer", relative(VERIFIER), "--candidates", "16")
    cells += [(f"steered@{k}", "clip_rt", f"language:{k}", steer) for k in STEERED]
    return cells


def _data(name: str, task: str, episodes: int) -> Job:
    folder = FOLDER / "data" / name
    return Job(
        f"data-{name}",
        (
            *("collect", task, "--output", relative(folder), "--episodes", str(episodes)),
            *("--cameras", "agentview", "--json", relative(folder.with_suffix(".json"))),
        ),
        folder.with_suffix(".json"),
        resume=("--resume",),
        started=folder / "meta" / "info.json",
    )


def _augmented_data() -> list[Job]:
    """Other ways of all demonstrations, and a view of both."""
    data, other = FOLDER / "data" / "language", FOLDER / "data" / "language-other-ways"
    both, counts = FOLDER / "data" / "language-augmented.json", other.with_suffix(".json")
    words = ("benchmarks/augment.py", relative(data), "--task", "language")
    merge = ("data", "merge", relative(data), relative(other), "--output", relative(both))
    return [
        Job(
            "data-language-other-ways",
            (*words, "--output", relative(other), "--json", relative(counts)),
            counts,
            ("data-language",),
        ),
        Job(f"data-{both.name}", merge, both, ("data-language-other-ways",)),
    ]


def _taught_data() -> list[Job]:
    """Episodes of a scripted speaker, and the same with resampled paths and recoveries."""
    listed: list[Job] = []
    for name, options in (("said", ()), ("said-augmented", ("--augment", "3"))):
        folder = FOLDER / "data" / name
        listed.append(
            Job(
                f"data-{name}",
                (
                    *("benchmarks/speak.py", f"language:{TAUGHT}", "--episodes", str(SAID)),
                    *(
                        "--output",
                        relative(folder),
                        "--json",
                        relative(folder.with_suffix(".json")),
                    ),
                    *options,
                ),
                folder.with_suffix(".json"),
            )
        )
    return listed


def _verifier() -> Job:
    data = relative(FOLDER / "data" / "language")
    return Job(
        "train-verifier",
        (
            *("train-critic", "contrastive", "--dataset", data, "--output", relative(VERIFIER)),
            *("--critic.horizon", "4", "--critic.history", "1", *SEEING, "--steps", str(STEPS)),
            *("--json", relative(VERIFIER.with_suffix(".json")), "--device", "auto"),
        ),
        VERIFIER.with_suffix(".json"),
        needs=("data-language",),
        resume=("--resume",),
        started=VERIFIER / "checkpoints" / "last",
        threads_option="--threads",
    )


def _evaluation(name: str, arm: str, task: str, options: Sequence[str]) -> Job:
    execute = "8" if arm == "plus" else "4"
    result = _result(name)
    needs = (f"train-{arm}", *(("train-verifier",) if options else ()))
    return Job(
        f"eval-{name}",
        (
            *("eval", relative(TRAININGS[arm].run), "--task", task),
            *("--episodes", str(EPISODES), "--execute-steps", execute, "--workers", "1"),
            *("--videos", "0", "--device", "auto", "--json", relative(result), *options),
        ),
        result,
        needs=needs,
    )


def _result(name: str) -> Any:
    return FOLDER / "eval" / f"{name.replace(':', '-')}.json"
