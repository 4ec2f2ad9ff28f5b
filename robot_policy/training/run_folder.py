"""The folder of a run: ``checkpoints/<step>/{policy,training_state}``, ``last`` and ``best``."""

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from robot_policy.core.errors import CheckpointError


class RunFolder:
    """Names of the parts of a run.

    Args:
        root: Of the run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.last = self.checkpoints / "last"
        self.best = self.checkpoints / "best"
        self.config = root / "train_config.json"
        self.evaluations = root / "evaluations.jsonl"

    def checkpoint(self, step: int) -> Path:
        """Where the checkpoint of `step` is, if there is one."""
        return self.checkpoints / f"{step:06d}"

    def steps(self) -> list[int]:
        """Steps of all checkpoints, ascending."""
        if not self.checkpoints.is_dir():
            return []
        found = (path for path in self.checkpoints.iterdir() if not path.is_symlink())
        return sorted(int(path.name) for path in found if path.name.isdecimal())

    def commit(self, step: int, write: Callable[[Path], None]) -> Path:
        """Writes checkpoint `step`, moves it into place whole and points ``last`` to it.

        Args:
            step: Gradient steps done.
            write: Fills the folder it is given.
        """
        final = self.checkpoint(step)
        unfinished = self.checkpoints / f".{final.name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        if final.exists():
            shutil.rmtree(final)
        unfinished.rename(final)
        _point(self.last, final)
        return final

    def mark_best(self, step: int) -> None:
        """Points ``best`` to checkpoint `step`."""
        _point(self.best, self.checkpoint(step))

    def prune(self, keep: int, *, needed: Collection[int]) -> None:
        """Removes all but the newest `keep` checkpoints, what a link points to, and `needed`."""
        steps = self.steps()
        linked = {link.resolve().name for link in (self.last, self.best) if link.is_symlink()}
        for step in steps[: max(0, len(steps) - keep)]:
            path = self.checkpoint(step)
            if step not in needed and path.name not in linked:
                shutil.rmtree(path)

    def last_checkpoint(self) -> Path:
        """Returns the newest checkpoint.

        Raises:
            CheckpointError: If the run has none.
        """
        if not self.last.is_dir():
            raise CheckpointError("nothing to resume", where=self.root, expected=self.last)
        return self.last.resolve()


def _point(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name)
    temporary.replace(link)
