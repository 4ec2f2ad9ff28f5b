"""Draws a flow towards actions that are already under way."""

import torch
from torch import Tensor

from robot_policy.policies.denoising.flow_process import TIME_SCALE
from robot_policy.policies.denoising.sampler import Known, Predict


def guided(predict: Predict, known: Known, *, largest_gain: float) -> Predict:
    """Returns a velocity whose end point stays close to `known`, as far as its weights say.

    The guidance of real-time chunking (Black, Galliker and Levine 2025, equations 2 to 4, after
    Pokle et al. 2024). With A = x + (1 - s) v the chunk that x leads to, Y what is known, W its
    weights and r^2 = (1 - s)^2 / (s^2 + (1 - s)^2)

        v' = v + min(beta, (1 - s) / (s r^2)) (dA/dx)^T W (Y - A)

    Unlike there, what is decided needs no guidance here: it is put in its place.

    Args:
        predict: The velocity.
        known: Y and W.
        largest_gain: beta.
    """
    weights = known.weights
    assert weights is not None

    def velocity(x: Tensor, time: float) -> Tensor:
        s = time / TIME_SCALE
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = predict(x, time)
            clean = x + (1.0 - s) * v
            error = weights * (known.actions[:, None] - clean)
            (pull,) = torch.autograd.grad(clean, x, error.detach())
        return v.detach() + _gain(s, largest=largest_gain) * pull

    return velocity


def _gain(s: float, *, largest: float) -> float:
    r2 = (1.0 - s) ** 2 / (s**2 + (1.0 - s) ** 2)
    return min(largest, (1.0 - s) / (s * r2)) if s > 0 else largest
