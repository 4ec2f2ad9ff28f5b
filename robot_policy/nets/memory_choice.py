"""Which situations are worth remembering: few that stand for all."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

type Choose = Callable[[Tensor, int, torch.Generator], Tensor]
"""Keys (N, D) and K to K different indices."""

_GAS_STEPS = 400
_GAS_BATCH = 256
_GAS_RATES = (0.5, 0.05)
_GAS_RANGES = (10.0, 0.5)


def farthest_points(keys: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Takes the situation farthest from all taken before, again and again (Gonzalez 1985).

    No situation is then farther from a memory than twice what is possible with `count` of them.
    """
    chosen = torch.empty(count, dtype=torch.int64)
    chosen[0] = torch.randint(len(keys), (1,), generator=generator)
    distance = torch.full((len(keys),), torch.inf)
    for i in range(1, count):
        distance = torch.minimum(distance, ((keys - keys[chosen[i - 1]]) ** 2).sum(1))
        chosen[i] = distance.argmax()
    return chosen


def neural_gas(keys: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Neural gas (Martinetz and Schulten 1991), and for every node the nearest situation.

    w_i += eps exp(-rank_i / range) (x - w_i), in batches, both rates falling. More memories where
    there is more data. Nodes that share a situation are made up for by farthest points.
    """
    nodes = keys[torch.randperm(len(keys), generator=generator)[:count]].clone()
    for step in range(_GAS_STEPS):
        part = step / _GAS_STEPS
        rate, reach = (first * (last / first) ** part for first, last in (_GAS_RATES, _GAS_RANGES))
        rows = keys[torch.randint(len(keys), (_GAS_BATCH,), generator=generator)]
        order = torch.cdist(rows, nodes).argsort(dim=1)
        ranks = torch.empty_like(order)
        ranks.scatter_(1, order, torch.arange(count).expand_as(order))
        pull = torch.exp(-ranks / reach)  # (batch, K)
        weight = pull.sum(0)[:, None].clamp(min=1e-9)
        nodes += rate * torch.minimum(weight, torch.ones(())) * (pull.T @ rows / weight - nodes)
    nearest = torch.cat([torch.cdist(part, keys).argmin(1) for part in nodes.split(256)])
    chosen = nearest.unique()
    return torch.cat([chosen, _farthest_from(keys, chosen, count - len(chosen))])


def random_points(keys: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Takes any."""
    return torch.randperm(len(keys), generator=generator)[:count]


def _farthest_from(keys: Tensor, chosen: Tensor, count: int) -> Tensor:
    distance = torch.full((len(keys),), torch.inf)
    for part in keys[chosen].split(256):
        distance = torch.minimum(distance, torch.cdist(keys, part).min(1).values)
    more = torch.empty(count, dtype=torch.int64)
    for i in range(count):
        more[i] = distance.argmax()
        distance = torch.minimum(distance, (keys - keys[more[i]]).norm(dim=1))
    return more


CHOICES: Mapping[str, Choose] = {
    "neural_gas": neural_gas,
    "farthest": farthest_points,
    "random": random_points,
}
"""Ways to choose, by name."""
