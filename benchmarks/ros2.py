"""Control rate, latency and camera to command; its parts of benchmarks/results/ros2.json.

Every cell is a command of its own whose result lies under runs/ros2; what is there is not done
again, so the script can be ended and started at any time. The policy of the latency cells is that
of benchmarks/policies.py for `can`, which is trained first if it is not there.
"""

import argparse
import sys
from pathlib import Path

import policies
from jobs import Job, run_jobs, with_needs
from measure import ROOT
from ros2_report import LATENCIES_MS, SCHEDULES, Cell, write_report

FOLDER = ROOT / "runs" / "ros2"
TASK = "can"
EPISODES = 100
CONTROL_S = 600
CAMERA_S = 120
TRAINING = f"diffusion-{TASK}"
AGAIN = "python benchmarks/ros2.py"
_MAKES_IT = ("data-", "train-")
"""What the policy takes of benchmarks/policies.py."""


def cells(checkpoint: Path, *, episodes: int) -> list[Cell]:
    """Every schedule under every latency; results of another checkpoint lie elsewhere."""
    folder = FOLDER / "latency" / f"{checkpoint.name}-{episodes}"
    return [
        Cell(schedule, latency_ms, folder / f"{schedule}-{latency_ms}.json")
        for latency_ms in LATENCIES_MS
        for schedule in SCHEDULES
    ]


def jobs(arguments: argparse.Namespace, checkpoint: Path) -> list[Job]:
    """The measurements that want the machine to themselves last."""
    trained = arguments.checkpoint is None
    others = policies.jobs(arguments.device) if trained else []
    listed = [job for job in others if job.name.startswith(_MAKES_IT)]
    needs = (f"train-{TRAINING}",) if trained else ()
    for cell in cells(checkpoint, episodes=arguments.episodes):
        words = (
            *("eval", str(checkpoint), "--task", TASK, "--episodes", str(arguments.episodes)),
            *("--schedule", cell.schedule, "--latency-ms", str(cell.latency_ms)),
            *("--workers", "1", "--videos", "0", "--json", str(cell.result)),
        )
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
    parser.add_argument("--episodes", type=int, default=EPISODES, help="per latency cell")
    parser.add_argument("--seconds", type=int, help="of the measurements over ROS, for a short try")
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto, for the training")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    arguments = parser.parse_args()
    checkpoint = arguments.checkpoint or policies.FOLDER / "train" / TRAINING
    failed: list[str] = []
    if not arguments.report:
        only = arguments.only or ["latency", "control_rate", "camera_to_command"]
        chosen = with_needs(jobs(arguments, checkpoint), only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=FOLDER / "logs")
        for name in failed:
            print(f"ros2: {name} failed or was left out; see {FOLDER / 'logs'}", file=sys.stderr)
    write_report(
        cells(checkpoint, episodes=arguments.episodes),
        control=FOLDER / "control_rate.json",
        camera=FOLDER / "camera_to_command.json",
        command=AGAIN,
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
