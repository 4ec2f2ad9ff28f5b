"""Cells of a benchmark of policies: data sets, trainings and evaluations, as commands."""

from dataclasses import dataclass
from pathlib import Path

from jobs import Job
from measure import ROOT
from policy_report import Row, outcomes

from robot_policy.core.files import read_json
from sim.result import EvaluationResult

EPISODES = 100
BATCH = 64


@dataclass(frozen=True)
class Training:
    """One policy trained on one data set.

    Attributes:
        name: Of the cell.
        policy: Of the registry.
        task: What it learns.
        data: Name of the data set.
        steps: Gradient steps.
        options: Of `robot-policy train`.
        needs: Trainings that come before.
        batch_size: Windows per gradient step.
        folder: Of the benchmark, under which everything lies.
    """

    name: str
    policy: str
    task: str
    data: str
    steps: int
    options: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size: int = BATCH
    folder: Path = ROOT / "runs" / "policies"

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.folder / "train" / self.name

    @property
    def summary(self) -> Path:
        """What `train --json` writes."""
        return self.run.with_suffix(".json")


@dataclass(frozen=True)
class Evaluation:
    """One way of drawing from one trained policy.

    Attributes:
        name: Of the cell.
        training: What is evaluated.
        options: Of drawing, ``key=value``.
        arguments: More options of `robot-policy eval`.
        episodes: Starts, from seed 100000 on.
    """

    name: str
    training: Training
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    episodes: int = EPISODES

    @property
    def result(self) -> Path:
        """What `eval --json` writes."""
        return self.training.folder / "eval" / f"{self.name}.json"

    def row(self) -> Row | None:
        """Returns what was measured, None if nothing was."""
        if not self.result.exists():
            return None
        trained = read_json(self.training.summary)
        return outcomes(self.name, EvaluationResult.load(self.result)) | {
            "task": self.training.task,
            "policy": self.training.policy,
            "trained_with": " ".join(self.training.options),
            "drawing": " ".join(self.options) or "as trained",
            "gradient_steps": trained["steps"],
            "batch_size": self.training.batch_size,
            "steps_per_s": round(trained["steps_per_s"], 2),
            "parameters": trained["parameters"],
        }


def data_job(base: Path, name: str, *, episodes: int = 200) -> Job:
    """Demonstrations of a task, with images where the name ends so."""
    folder = base / "data" / name
    task = name.split("_")[0]
    images = ("--cameras", "agentview", "wrist", "--image-size", "84", "84")
    return Job(
        f"data-{name}",
        (
            *("collect", task, "--output", relative(folder), "--episodes", str(episodes)),
            *(images if name.endswith("_images") else ()),
            *("--json", relative(folder.with_suffix(".json"))),
        ),
        folder.with_suffix(".json"),
        resume=("--resume",),
        started=folder / "meta" / "info.json",
    )


def training_job(cell: Training, device: str) -> Job:
    """Trains, and goes on where it was stopped."""
    return Job(
        f"train-{cell.name}",
        (
            *("train", cell.policy, "--dataset", relative(cell.folder / "data" / cell.data)),
            *("--output", relative(cell.run), "--steps", str(cell.steps)),
            *("--batch-size", str(cell.batch_size), "--device", device),
            *("--checkpoint-every", "1000", "--json", relative(cell.summary), *cell.options),
        ),
        cell.summary,
        needs=(f"data-{cell.data}", *(f"train-{name}" for name in cell.needs)),
        resume=("--resume",),
        started=cell.run / "checkpoints" / "last",
        threads_option="--threads",
    )


def evaluation_job(cell: Evaluation, device: str) -> Job:
    """Evaluates the last checkpoint."""
    return Job(
        f"eval-{cell.name}",
        (
            *("eval", relative(cell.training.run), "--task", cell.training.task),
            *("--episodes", str(cell.episodes), "--workers", "0", "--videos", "0"),
            *("--device", device, "--json", relative(cell.result), *cell.arguments),
            *(("--options", *cell.options) if cell.options else ()),
        ),
        cell.result,
        needs=(f"train-{cell.training.name}",),
    )


def relative(path: Path) -> str:
    """Returns a path from the root of the project on."""
    return str(path.relative_to(ROOT))
