"""Control rate, latency and camera to command; its parts of benchmarks/results/ros2.json.

Every cell is a command of its own whose result lies under runs/ros2; what is there is not done
again, so the script can be ended and started at any time. The policy of the latency cells is that
of benchmarks/policies.py for `can`; it and the one that continues what is under way are trained
first if they are not there.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import policies
from cells import Training, data_job, training_job
from jobs import Job, run_jobs, with_needs
from measure import ROOT
from ros2_report import CONTINUING, LATENCIES_MS, SCHEDULES, Cell, write_report

FOLDER = ROOT / "runs" / "ros2"
TASK = "can"
EPISODES = 100
CONTROL_S = 600
CAMERA_S = 120
TRAINING = next(cell for cell in policies.trainings() if cell.name == f"diffusion-{TASK}")
PREFIX = 6
"""Control periods: the longest delay of the table, and two more."""
CONTINUED = replace(
    TRAINING,
    name=f"diffusion_prefix-{TASK}",
    # It learns seven tasks in one: a chunk after nothing, after one action that is decided, …
    steps=2 * TRAINING.steps,
    options=(*TRAINING.options, "--policy.prefix-training", str(PREFIX)),
)
"""The same policy, trained to continue what is under way."""
AGAIN = "python benchmarks/ros2.py"


def trained(arguments: argparse.Namespace) -> dict[Path, Training | None]:
    """The two policies: where they lie, and how each is trained unless it was given."""
    given = ((arguments.checkpoint, TRAINING), (arguments.continuing, CONTINUED))
    return dict(
        (training.run, training) if path is None else (path, None) for path, training in given
    )


def cells(arguments: argparse.Namespace) -> list[Cell]:
    """Every schedule under every latency; results of another checkpoint lie elsewhere."""
    plain, continuing = trained(arguments)
    policies_of = [(name, continuing if name == CONTINUING else plain) for name in SCHEDULES]
    return [
        Cell(name, latency_ms, policy, FOLDER / "latency" / f"{policy.name}-{arguments.episodes}")
        for latency_ms in LATENCIES_MS
        for name, policy in policies_of
    ]


def jobs(arguments: argparse.Namespace) -> list[Job]:
    """The measurements that want the machine to themselves last."""
    listed: list[Job] = []
    made = trained(arguments)
    if any(made.values()):
        listed.append(data_job(policies.FOLDER, TRAINING.data))
    listed += [training_job(cell, arguments.device) for cell in made.values() if cell]
    for cell in cells(arguments):
        training = made[cell.checkpoint]
        words = (
            *("eval", str(cell.checkpoint), "--task", TASK, "--episodes", str(arguments.episodes)),
            *("--schedule", cell.schedule, "--latency-ms", str(cell.latency_ms)),
            *("--workers", "0", "--videos", "0", "--json", str(cell.result)),
        )
        needs = (f"train-{training.name}",) if training else ()
        listed.append(Job(cell.name, words, cell.result, needs))
    control, camera = FOLDER / "control_rate.json", FOLDER / "camera_to_command.json"
    seconds = arguments.seconds
    rate = ("bench", "control-rate", "--seconds", str(seconds or CONTROL_S))
    listed.append(Job("control_rate", (*rate, "--json", str(control)), control, alone=True))
    script = ("benchmarks/camera_to_command.py", "--seconds", str(seconds or CAMERA_S))
    listed.append(Job("camera_to_command", (*script, "--json", str(camera)), camera, alone=True))
    return listed


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help=f"policy for {TASK}; trained if not given")
    parser.add_argument(
        "--continuing", type=Path, help="one trained with --policy.prefix-training; likewise"
    )
    parser.add_argument("--episodes", type=int, default=EPISODES, help="per latency cell")
    parser.add_argument("--seconds", type=int, help="of the measurements over ROS, for a short try")
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, for the training")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    arguments = parser.parse_args()
    failed: list[str] = []
    if not arguments.report:
        only = arguments.only or ["latency", "control_rate", "camera_to_command"]
        chosen = with_needs(jobs(arguments), only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=FOLDER / "logs")
        for name in failed:
            print(f"ros2: {name} failed or was left out; see {FOLDER / 'logs'}", file=sys.stderr)
    write_report(
        cells(arguments),
        control=FOLDER / "control_rate.json",
        camera=FOLDER / "camera_to_command.json",
        command=AGAIN,
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
