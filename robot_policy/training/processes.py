"""The processes that train one policy together: devices, precision, and who computes what."""

from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState, GradientState

from robot_policy.training.config import Precision

_MIXED_PRECISION = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
# Others wait while the main process writes, or evaluates a last time.
_PATIENCE = timedelta(hours=24)


def make_accelerator(device: torch.device, precision: Precision) -> Accelerator:
    """Joins the processes that `torchrun` or `accelerate launch` started; alone it is just one.

    Args:
        device: Its kind is obeyed; of several GPUs each process takes the one of its rank.
        precision: Of the network's arithmetic.
    """
    # accelerate keeps one state per program and refuses to change it, but every run has its own
    # device and precision. The process group is not part of what is forgotten here.
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    return Accelerator(
        cpu=device.type == "cpu",
        device_placement=False,
        mixed_precision=_MIXED_PRECISION[precision],
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def leave_processes() -> None:
    """Leaves the group of processes, if there is one, so that all may end."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class Division:
    """How the rows of a batch are shared; even shares, so that the mean of means is the mean.

    Attributes:
        total: Rows of the whole batch.
        processes: Number of processes.
        process: This one.
        parts: In which each process computes its rows, one after the other.
    """

    total: int
    processes: int = 1
    process: int = 0
    parts: int = 1

    @property
    def rows(self) -> slice:
        """Rows of this process in the whole batch."""
        size = self.total // self.processes
        return slice(self.process * size, (self.process + 1) * size)

    def part(self, index: int) -> slice:
        """Rows of part `index` in the whole batch."""
        size = self.total // (self.processes * self.parts)
        start = self.rows.start + index * size
        return slice(start, start + size)

    def local_part(self, index: int) -> slice:
        """Rows of part `index` among the rows of this process."""
        part, first = self.part(index), self.rows.start
        return slice(part.start - first, part.stop - first)
