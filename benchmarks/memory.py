"""Success of policies with memory; writes benchmarks/results/memory.json.

Equal data, equal windows seen, last checkpoint, seeds that nothing was chosen on. Every cell is a
training or an evaluation of its own under runs/memory; what is there is not done again, a training
that was stopped goes on, so the script can be ended and started at any time.
"""

import argparse
import sys

from cells import Evaluation, Training, data_job, evaluation_job, training_job
from jobs import Job, run_jobs, with_needs
from measure import ROOT
from memory_report import ARMS, COUNTS, SEEDS, TASKS, VERIFIED, write_report

FOLDER = ROOT / "runs" / "memory"
AGAIN = "python benchmarks/memory.py"
RECALL_EPISODES = 200
RECALL_STEPS = 12_000
STEPS = {"can": 6000, "square": 6000}
CONTEXT = ("--policy.history", "16", "--policy.history-stride", "6")
"""16 observations 0.3 s apart: 4.5 s, where the cube is in the middle for 3 to 4 s."""
TEMPERATURE = ("--policy.temperature", "0")
RECALL = {
    "past_token": (*CONTEXT, "--policy.prediction-length", "31"),
    "future_only": (*CONTEXT, "--policy.prediction-length", "31", "--policy.past-steps", "0"),
    "short": ("--policy.history", "1", "--policy.prediction-length", "16"),
}
"""Past-token prediction and its controls: options of `train past_token`."""
OPTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "bc": ("bc", ()),
    "mcnn": ("mcnn", ()),
    "neighbour_as_input": ("mcnn", ("--policy.neighbour-as-input",)),
    "nearest": ("retrieval", ("--policy.neighbours", "1")),
    "vinn": ("retrieval", ()),
}
"""Arm to policy and options; `bc` is the backbone of `mcnn` alone."""


def trainings() -> list[Training]:
    """All of them."""
    cells = [
        Training(
            f"{arm}-recall",
            "past_token",
            "recall",
            "recall",
            RECALL_STEPS,
            # Verification chooses among candidates, so they have to differ.
            options if arm == "past_token" else (*options, *TEMPERATURE),
            folder=FOLDER,
        )
        for arm, options in RECALL.items()
    ]
    for task in TASKS:
        for count in COUNTS:
            for arm in ARMS:
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
        cells.append(Evaluation(training.name, training, episodes=episodes))
        if training.name == "past_token-recall":
            for count in VERIFIED:
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
    return listed


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
    measured = [row for cell in evaluations() if (row := cell.row()) is not None]
    write_report(measured, command=AGAIN)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
