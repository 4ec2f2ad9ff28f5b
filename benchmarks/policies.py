"""Success, latency and throughput of every policy; writes benchmarks/results/policies.json.

Equal data, equal windows seen, last checkpoint, 100 seeds that nothing was chosen on. Every cell is
a training or an evaluation of its own under runs/policies; what is there is not done again, a
training that was stopped goes on, so the script can be ended and started at any time.
"""

import argparse
import sys
from dataclasses import replace

from cells import EPISODES, Evaluation, Training, data_job, evaluation_job, relative, training_job
from jobs import Job, run_jobs, with_needs
from measure import ROOT
from policy_report import SAMPLER_TASK, outcomes, write_report

from sim.result import EvaluationResult

FOLDER = ROOT / "runs" / "policies"
STEPS = {"lift": 6000, "can": 12_000, "square": 18_000}
"""Gradient steps, the same for every policy of a task."""
IMAGE_STEPS, IMAGE_BATCH = 4000, 32
SEEING = (
    *("--cameras", "agentview", "wrist", "--no-environment-state"),
    *("--policy.vision-width", "32", "--precision", "bfloat16"),
)
"""Half as wide as the published encoder and in bfloat16: eight times as fast on a processor, where
it trains in half an hour instead of four."""
OURS = ("bc", "bc_gmm", "bc_lstm_gmm")
UNTRAINED = {
    "unet": ("diffusion", ()),
    "lerobot": ("lerobot_diffusion", ()),
    "shared": ("diffusion", ("--policy.shared-steps", "8")),
    "mlp": ("diffusion", ("--policy.backbone", "mlp")),
    "ddpm100": ("diffusion", ("--policy.sampler", "ddpm", "--policy.sample-steps", "100")),
    "flow": ("flow", ()),
    "consistency": ("consistency", ()),
}
"""Networks whose speed is measured: policy and options of `train`."""
TEMPERATURE = ("--policy.temperature", "0")
"""Ours repeat none of the noise of the demonstrations; chosen on seeds 60000 to 60049. That v is
predicted was chosen on `square`, seeds 60000 to 60099: 85 solved against 65 by predicted noise."""
EPSILON = ("--policy.prediction", "epsilon")
AGAIN = "python benchmarks/policies.py"


def trainings() -> list[Training]:
    """All of them, those that the targets hang on first."""
    hardest_first = ("square", "can", "lift")
    teacher = f"diffusion-{SAMPLER_TASK}"
    cells = [_states("diffusion", task, TEMPERATURE) for task in hardest_first]
    cells += [_states("robomimic_bc_rnn", task) for task in hardest_first]
    cells.append(_states("flow", SAMPLER_TASK, TEMPERATURE))
    distil = ("--policy.teacher", relative(FOLDER / "train" / teacher), *TEMPERATURE)
    student = _states("consistency", SAMPLER_TASK, distil)
    cells.append(replace(student, steps=student.steps // 3, needs=(teacher,)))
    cells.append(
        Training(
            "diffusion-lift_images",
            "diffusion",
            "lift",
            "lift_images",
            IMAGE_STEPS,
            (*SEEING, *TEMPERATURE),
            batch_size=IMAGE_BATCH,
        )
    )
    cells += [_states("lerobot_diffusion", task) for task in hardest_first]
    cells += [_epsilon(task) for task in hardest_first]
    cells += [_states(policy, task) for policy in OURS for task in hardest_first]
    return cells


def _states(policy: str, task: str, options: tuple[str, ...] = ()) -> Training:
    return Training(f"{policy}-{task}", policy, task, task, STEPS[task], options)


def _epsilon(task: str) -> Training:
    """The diffusion policy as published, which predicts the noise."""
    cell = _states("diffusion", task, (*EPSILON, *TEMPERATURE))
    return replace(cell, name=f"diffusion_epsilon-{task}")


def evaluations() -> list[Evaluation]:
    """Every training as it is, and the diffusion policy drawn from in other ways."""
    cells: list[Evaluation] = []
    for training in trainings():
        cells.append(Evaluation(training.name, training))
        if training.policy in ("flow", "consistency"):
            cells.append(Evaluation(f"{training.name}@temperature1", training, ("temperature=1",)))
        if training.name == f"diffusion-{SAMPLER_TASK}":
            ddpm = ("sampler=ddpm", "sample_steps=100")
            variants = {
                "ddpm100_temperature1": (*ddpm, "temperature=1"),
                "ddpm100_temperature0": (*ddpm, "temperature=0"),
                "dpm_solver10": ("sampler=dpm_solver", "sample_steps=10"),
                "ddim5": ("sampler=ddim", "sample_steps=5"),
                "temperature1": ("temperature=1",),
            }
            cells += [
                Evaluation(f"{training.name}@{name}", training, options)
                for name, options in variants.items()
            ]
    return cells


def jobs(device: str) -> list[Job]:
    """Data, trainings and evaluations as commands."""
    listed = [data_job(FOLDER, name) for name in ("lift", "can", "square", "lift_images")]
    for training in trainings():
        listed.append(training_job(training, device))
        listed += [
            evaluation_job(cell, device) for cell in evaluations() if cell.training == training
        ]
    listed += [_candidates(shared) for shared in ("0", "8")]
    return listed + _speed_jobs(device)


def _speed_jobs(device: str) -> list[Job]:
    """Networks of one gradient step, which think as long as trained ones, then both benches."""
    folder, data = FOLDER / "bench", relative(FOLDER / "data" / "lift")
    listed: list[Job] = []
    for name, (policy, options) in UNTRAINED.items():
        output, summary = folder / name, folder / f"{name}-train.json"
        arguments = ("train", policy, "--dataset", data, "--output", relative(output), *options)
        ends = ("--steps", "1", "--device", device, "--json", relative(summary))
        listed.append(Job(f"bench-{name}", (*arguments, *ends), summary, ("data-lift",)))
    exported = folder / "exported"
    listed.append(
        Job(
            "bench-exported",
            ("export", relative(folder / "unet"), "--output", relative(exported)),
            exported / "config.json",
            ("bench-unet",),
        )
    )
    policies = [*UNTRAINED, "exported"]
    latency, train = folder / "latency.json", folder / "train.json"
    listed.append(
        Job(
            "bench-latency",
            (
                *("bench", "latency", *(relative(folder / name) for name in policies)),
                *("--threads", "1", "--device", device, "--json", relative(latency)),
            ),
            latency,
            tuple(f"bench-{name}" for name in policies),
            alone=True,
        )
    )
    listed.append(
        Job(
            "bench-train",
            (
                *("bench", "train", "diffusion", "lerobot_diffusion", "--dataset", data),
                *("--batch-size", "64", "--device", device, "--json", relative(train)),
            ),
            train,
            ("data-lift",),
            alone=True,
        )
    )
    return listed


def _candidates(shared: str) -> Job:
    """Success when a random one of the candidates is executed, early steps shared or not."""
    path = FOLDER / "eval" / f"random_of_16_shared_{shared}.json"
    run = FOLDER / "train" / f"diffusion-{SAMPLER_TASK}"
    return Job(
        f"eval-random_of_16_shared_{shared}",
        (
            *("benchmarks/random_candidate.py", relative(run), "--task", SAMPLER_TASK),
            *("--episodes", str(EPISODES), "--shared-steps", shared, "--json", relative(path)),
        ),
        path,
        needs=(f"train-diffusion-{SAMPLER_TASK}",),
    )


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
            print(
                f"policies: {name} failed or was left out; see {FOLDER / 'logs'}", file=sys.stderr
            )
    _report()
    return int(bool(failed))


def _report() -> None:
    measured = [row for cell in evaluations() if (row := cell.row()) is not None]
    for shared in ("0", "8"):
        path = _candidates(shared).result
        if path.exists():
            measured.append(outcomes(path.stem, EvaluationResult.load(path)))
    write_report(measured, bench=FOLDER / "bench", command=AGAIN)


if __name__ == "__main__":
    sys.exit(main())
