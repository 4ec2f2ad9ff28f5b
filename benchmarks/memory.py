"""Success of policies with memory; writes benchmarks/results/memory.json.

Equal data, equal windows seen, last checkpoint, seeds that nothing was chosen on. Every cell is a
training or an evaluation of its own under runs/memory; what is there is not done again, a training
that was stopped goes on, so the script can be ended and started at any time.
"""

import argparse
import sys

from cells import Evaluation, Training, data_job, evaluation_job, relative, training_job
from jobs import Job, run_jobs, with_needs
from measure import ROOT
from memory_report import (
    ARMS,
    COUNTS,
    DIFFUSION_ARMS,
    DIFFUSION_COUNT,
    SEEDS,
    TASKS,
    VERIFIED,
    write_report,
)
from policy_report import Row

from robot_policy.core.files import read_json

FOLDER = ROOT / "runs" / "memory"
SPEED, WHY = FOLDER / "speed.json", FOLDER / "why.json"
AGAIN = "python benchmarks/memory.py"
RECALL_EPISODES = 100
RECALL_STEPS = 6000
STEPS = {"can": 6000, "square": 6000}
NETWORK = ("--policy.width", "96", "--policy.layers", "3")
CONTEXT = ("--policy.history", "8", "--policy.history-stride", "12")
"""8 observations 0.6 s apart: 4.2 s, where the cube is in the middle for 2.5 to 3 s."""
LONG = (*NETWORK, *CONTEXT, "--policy.prediction-length", "16")
RECALL = {
    "past_token": LONG,
    "future_only": (*LONG, "--policy.past-steps", "0"),
    "short": (*NETWORK, "--policy.history", "1", "--policy.prediction-length", "9"),
}
"""Past-token prediction and its controls: options of `train past_token`. All predict 9 actions from
now on, and all draw at temperature 1, because verification needs candidates that differ."""
SEEING = ("--cameras", "agentview", "wrist", "--no-environment-state")
SHORT_SEEING = (*SEEING, "--policy.history", "2", "--policy.prediction-length", "17")
CACHED = {name: FOLDER / f"images-{name}.json" for name in ("every_step", "once")}
"""When images are encoded."""
OVER_DIFFUSION = (
    *("--policy.backbone", "diffusion"),
    *("--policy.backbone-options", "backbone=mlp", "temperature=0"),
)
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "backbone": ("mcnn", ("--policy.memory", "none")),
    "mcnn": ("mcnn", ()),
    "neighbour_as_input": ("mcnn", ("--policy.memory", "input")),
    "nearest": ("retrieval", ("--policy.neighbours", "1")),
    "vinn": ("retrieval", ()),
    "diffusion_backbone": ("mcnn", (*OVER_DIFFUSION, "--policy.memory", "none")),
    "mcnn_diffusion": ("mcnn", OVER_DIFFUSION),
}
"""Arm to policy and options. A backbone is that of the arm with memories, and differs in nothing
else."""


def trainings() -> list[Training]:
    """All of them."""
    cells = [
        Training(
            f"{arm}-recall",
            "past_token",
            "recall",
            "recall",
            RECALL_STEPS,
            options,
            folder=FOLDER,
        )
        for arm, options in RECALL.items()
    ]
    for task in TASKS:
        for count in COUNTS:
            for arm in (*ARMS, *(DIFFUSION_ARMS if count == DIFFUSION_COUNT else ())):
                policy, options = OPTIONS[arm]
                # Nothing that retrieval does depends on the seed.
                seeds = SEEDS[:1] if policy == "retrieval" else SEEDS
                cells += [
                    Training(
                        f"{arm}-{task}_{count}-{seed}",
                        policy,
                        task,
                        f"{task}_{count}",
                        STEPS[task] if policy != "retrieval" else 500,
                        ("--seed", str(seed), *options),
                        folder=FOLDER,
                    )
                    for seed in seeds
                ]
    return cells


def evaluations() -> list[Evaluation]:
    """Every training once, and past-token prediction verified by more and more candidates."""
    cells: list[Evaluation] = []
    for training in trainings():
        episodes = 200 if training.task == "recall" else 100
        if training.name != "past_token-recall":
            cells.append(Evaluation(training.name, training, episodes=episodes))
            continue
        for count in VERIFIED:  # 1 is no verification
            arguments = ("--verify-past", "--candidates", str(count))
            name = f"{training.name}@verified{count}"
            cells.append(Evaluation(name, training, (), arguments, episodes))
    return cells


def jobs(device: str) -> list[Job]:
    """Data, trainings and evaluations as commands."""
    listed = [data_job(FOLDER, "recall", episodes=RECALL_EPISODES)]
    for task in TASKS:
        listed += [data_job(FOLDER, f"{task}_{count}", episodes=count) for count in COUNTS]
    for training in trainings():
        listed.append(training_job(training, device))
        listed += [evaluation_job(c, device) for c in evaluations() if c.training == training]
    speed = ("benchmarks/memory_speed.py", "--json", relative(SPEED))
    return [*listed, Job("speed", speed, SPEED, alone=True), *_cached_jobs(), *_why_jobs()]


def _why_jobs() -> list[Job]:
    """Rollouts of the arms of `recall`, and the pictures of why they come out as they do."""
    recorded: list[Job] = []
    for arm in RECALL:
        result = FOLDER / "rollouts" / f"{arm}.json"
        words = ("eval", relative(FOLDER / "train" / f"{arm}-recall"), "--task", "recall")
        words += ("--episodes", "20", "--workers", "1", "--device", "cpu")
        words += ("--record", relative(result.with_suffix("")), "--json", relative(result))
        recorded.append(Job(f"rollouts-{arm}", words, result, needs=(f"train-{arm}-recall",)))
    words = ("benchmarks/memory_why.py", "--json", relative(WHY))
    needs = tuple(job.name for job in recorded)
    return [*recorded, Job("why", words, WHY, needs=needs)]


def _cached_jobs() -> list[Job]:
    """How fast a long context trains: images encoded in every step, or once."""
    first = Training(
        "encoders", "past_token", "lift", "lift_images", 20, SHORT_SEEING, folder=FOLDER
    )
    frozen = ("--policy.frozen-encoder", relative(first.run))
    measured = [
        Job(
            f"cached-{name}",
            (
                *("train", "past_token", "--dataset", relative(FOLDER / "data" / "lift_images")),
                *("--output", relative(FOLDER / "never"), "--dry-run", "--device", "cpu"),
                *("--batch-size", "8", "--json", relative(result), *SEEING, *options),
            ),
            result,
            needs=(f"train-{first.name}",),
            threads_option="--threads",
            alone=True,
        )
        for (name, result), options in zip(CACHED.items(), ((), frozen), strict=True)
    ]
    return [data_job(FOLDER, first.data, episodes=4), training_job(first, "cpu"), *measured]


def _cached_row() -> list[Row]:
    if not all(result.exists() for result in CACHED.values()):
        return []
    rates = {name: read_json(result) for name, result in CACHED.items()}
    samples = {name: r["steps_per_s"] * r["batch_size"] for name, r in rates.items()}
    return [
        {
            "cell": "training context 16, two cameras",
            **{f"samples_per_s_{name}": round(rate, 2) for name, rate in samples.items()},
            "times": round(samples["once"] / samples["every_step"], 1),
        }
    ]


def rows() -> list[Row]:
    """Returns what was measured."""
    apart = [row for path in (SPEED, WHY) if path.exists() for row in read_json(path)["rows"]]
    evaluated = (row for cell in evaluations() if (row := cell.row()) is not None)
    return [*evaluated, *apart, *_cached_row()]


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    arguments = parser.parse_args()
    failed: list[str] = []
    if not arguments.report:
        chosen = with_needs(jobs(arguments.device), arguments.only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=FOLDER / "logs")
        for name in failed:
            print(f"memory: {name} failed or was left out; see {FOLDER / 'logs'}", file=sys.stderr)
    write_report(rows(), command=AGAIN)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
