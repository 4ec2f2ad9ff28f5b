"""Between arrays and torch: samples on a device, and how many threads a call may use."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from robot_policy.core.transforms import Sample


def to_tensors(sample: Sample, device: torch.device) -> dict[str, Tensor]:
    """Moves the arrays of a sample to `device`; texts stay behind."""
    return {
        key: torch.from_numpy(np.ascontiguousarray(value)).to(device, non_blocking=True)
        for key, value in sample.items()
        if isinstance(value, np.ndarray)
    }


@contextmanager
def bounded_threads(count: int) -> Generator[None]:
    """Lets torch use `count` CPU threads inside; 0 leaves it as it is."""
    before = torch.get_num_threads()
    if count in (0, before):
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
