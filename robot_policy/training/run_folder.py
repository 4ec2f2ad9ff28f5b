"""The folder of a run: ``checkpoints/<step>/{policy,training_state}`` and a ``last`` link."""

import shutil
from collections.abc import Callable
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
        self.config = root / "train_config.json"

    def commit(self, step: int, write: Callable[[Path], None]) -> Path:
        """Writes checkpoint `step`, moves it into place whole and points ``last`` to it.

        Args:
            step: Gradient steps done.
            write: Fills the folder it is given.
        """
        name = f"{step:06d}"
        unfinished = self.checkpoints / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write(unfinished)
        final = self.checkpoints / name
        if final.exists():
            shutil.rmtree(final)
        unfinished.rename(final)
        link = self.checkpoints / ".last"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.replace(self.last)
        return final

    def last_checkpoint(self) -> Path:
        """Returns the newest checkpoint.

        Raises:
            CheckpointError: If the run has none.
        """
        if not self.last.is_dir():
            raise CheckpointError("nothing to resume", where=self.root, expected=self.last)
        return self.last.resolve()
