"""Several networks of one shape in one set of tensors, which cost little more than a single one."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class EnsembleLinear(nn.Module):
    """E linear maps side by side, each with the initial weights of `nn.Linear`.

    Args:
        members: E.
        in_features: Of each.
        out_features: Of each.
        bias: Whether they add one.
    """

    def __init__(
        self, members: int, in_features: int, out_features: int, *, bias: bool = True
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(in_features)
        weight = torch.empty(members, in_features, out_features).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        offset = torch.empty(members, 1, out_features).uniform_(-bound, bound)
        self.bias = nn.Parameter(offset) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns (E, R, out) for (R, in), which all members see, or (E, R, in)."""
        y = torch.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias


class ConditionalEnsemble(nn.Module):
    """E perceptrons over (condition, actions), the condition's part computed once.

    h_1 = mish(norm(W_c c + W_a a)), then layers with Mish. With N candidates per condition W_c c is
    computed once, so that a candidate costs the small rest.

    Args:
        members: E.
        condition: Length of c.
        actions: Length of a.
        hidden: Width of each hidden layer, at least one.
        out_features: Numbers that each member answers with.
    """

    def __init__(
        self,
        members: int,
        *,
        condition: int,
        actions: int,
        hidden: tuple[int, ...],
        out_features: int,
    ) -> None:
        super().__init__()
        first, *others = hidden
        self.of_condition = EnsembleLinear(members, condition, first)
        self.of_actions = EnsembleLinear(members, actions, first, bias=False)
        self.norm = nn.LayerNorm(first)
        sizes = [first, *others]
        layers = zip(sizes, [*others, out_features], strict=True)
        self.layers = nn.ModuleList(EnsembleLinear(members, a, b) for a, b in layers)

    def forward(self, condition: Tensor, actions: Tensor) -> Tensor:
        """Returns (E, B, N, out) for conditions (B, C) and actions (B, N, D)."""
        batch, count, _ = actions.shape
        once = self.of_condition(condition)[:, :, None]  # (E, B, 1, H)
        each = self.of_actions(actions.flatten(0, 1)).unflatten(1, (batch, count))
        h = functional.mish(self.norm(once + each)).flatten(1, 2)
        for index, layer in enumerate(self.layers):
            h = layer(h if index == 0 else functional.mish(h))
        return h.unflatten(1, (batch, count))
