"""The candidate that most others resemble (Diffusion-KDE, Pearce et al. 2023)."""

import torch
from torch import Tensor


def densest(chunks: Tensor, *, group: int, bandwidth: float) -> Tensor:
    """Keeps of every group the chunk of highest density among the group.

    The density is a Gaussian kernel estimate: sum_j exp(-|x_i - x_j|^2 / (2 D h^2)) over chunks
    as vectors of D = L A normalised numbers, the distance taken per number so that `bandwidth`
    means the same whatever the length.

    Args:
        chunks: (B, N * group, L, A).
        group: Chunks per candidate.
        bandwidth: h.

    Returns:
        (B, N, L, A).
    """
    grouped = chunks.unflatten(1, (-1, group))  # (B, N, G, L, A)
    flat = grouped.flatten(3)
    squared = (flat[..., :, None, :] - flat[..., None, :, :]).square().mean(-1)
    density = torch.logsumexp(-squared / (2 * bandwidth**2), dim=-1)  # (B, N, G)
    best = density.argmax(-1)[..., None, None, None]
    # Spelled out, because take_along_dim cannot be exported for any B and N.
    return grouped.gather(2, best.expand(-1, -1, 1, *grouped.shape[3:])).squeeze(2)
