"""Multi-layer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(in_features: int, hidden: Sequence[int], out_features: int) -> nn.Sequential:
    """Linear layers with Mish between them; (…, in_features) to (…, out_features)."""
    sizes = [in_features, *hidden]
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Mish()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], out_features))
