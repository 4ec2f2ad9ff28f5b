"""Dropout whose noise is drawn like all noise of training."""

from torch import Tensor

from robot_policy.nets.draws import Draws


def dropout(x: Tensor, rate: float, draws: Draws | None) -> Tensor:
    """Zeroes entries of (B, …) with probability `rate` and scales the others by 1 / (1 - rate).

    torch's own draws from a global state, which neither a resumed run nor a batch divided between
    processes would find again.

    Args:
        x: Batch axis first.
        rate: In [0, 1).
        draws: In training; None returns `x`.
    """
    if draws is None or rate == 0.0:
        return x
    keep = draws.uniform(x.shape) >= rate
    return x * (keep.to(x.dtype) / (1.0 - rate))
