"""Where curves go: TensorBoard, and Weights & Biases if it is installed and asked for."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class CurveLogger:
    """Writes scalars by step.

    Args:
        root: Of the run.
        tensorboard: Write to ``root/tensorboard``.
        wandb: Log to Weights & Biases.
        config: Settings shown beside the curves.
    """

    def __init__(
        self, root: Path, *, tensorboard: bool, wandb: bool, config: Mapping[str, Any]
    ) -> None:
        self._writer = None
        self._run = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # seconds to import

            self._writer = SummaryWriter(str(root / "tensorboard"))
        if wandb:
            self._run = importlib.import_module("wandb").init(  # optional extra
                project="robot-policy", dir=str(root), config=dict(config), resume="allow"
            )
            # Its own step may only grow, but an evaluation ends steps after its checkpoint.
            self._run.define_metric("*", step_metric="gradient_step")

    def log(self, scalars: Mapping[str, float], *, step: int) -> None:
        """Writes `scalars` for gradient step `step`."""
        if self._writer is not None:
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, step)
        if self._run is not None:
            self._run.log({**scalars, "gradient_step": step})

    def close(self) -> None:
        """Flushes and closes."""
        if self._writer is not None:
            self._writer.close()
        if self._run is not None:
            self._run.finish()
