"""What a person sees while training runs: loss, rate and time left."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


class TrainingProgress:
    """A bar on a terminal, nothing elsewhere.

    Args:
        progress: rich's bar.
        steps: Gradient steps of the run.
        done: Steps done before, in a resumed run.
    """

    def __init__(self, progress: Progress, *, steps: int, done: int) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=steps, completed=done, loss="-", rate="-")

    def update(self, step: int, *, loss: float | None, rate: float) -> None:
        """Shows the state after `step` steps; `rate` in steps per second."""
        self._progress.update(
            self._task,
            completed=step,
            loss="-" if loss is None else f"{loss:.4f}",
            rate=f"{rate:.1f} it/s",
        )


@contextmanager
def decoding_progress(*, shown: bool = True) -> Generator[Callable[[int, int], None]]:
    """Yields a function that is told how many episodes are decoded, of how many."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    disable = not (shown and console.is_terminal)
    with Progress(*columns, console=console, disable=disable, transient=True) as progress:
        task = progress.add_task("decoding images, once", total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


@contextmanager
def training_progress(*, steps: int, done: int, shown: bool = True) -> Generator[TrainingProgress]:
    """Shows a bar while the block runs, if it is to be `shown` and standard error is a terminal."""
    console = Console(stderr=True)
    shown = shown and console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not shown) as progress:
        yield TrainingProgress(progress, steps=steps, done=done)
