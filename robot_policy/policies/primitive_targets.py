"""Chunks of displacements as primitives and back, in batches: what `clip_rt` learns and answers."""

import torch
from torch import Tensor, nn

from robot_policy.policies.primitives import AXES, TRANSLATIONS, Kind, PrimitiveSet

_BALANCE = 7.854
"""Metres are multiplied by this where axes are compared: 0.1 m weighs as much as 45 degrees."""


class PrimitiveTable(nn.Module):
    """Which primitives a chunk means, and which chunk a choice of primitives is.

    An arm covers the part r of a commanded displacement, so that actions a_1 .. a_H amount to the
    motion D = r (a_1 + .. + a_H); and a motion D becomes the actions D / (r H).

    Args:
        primitives: Of the robot.
        horizon: H, actions of a chunk.
        response: r, of translation and of rotation.
        low: Least command, (7,).
        high: Largest command.
    """

    index: Tensor
    axes: Tensor
    amounts: Tensor
    response: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        primitives: PrimitiveSet,
        *,
        horizon: int,
        response: tuple[float, ...],
        low: tuple[float, ...],
        high: tuple[float, ...],
    ) -> None:
        super().__init__()
        self.size = len(primitives)
        self.close, self.open, self.done = (
            primitives.index_of(primitives.named(kind.value))
            for kind in (Kind.CLOSE, Kind.OPEN, Kind.DONE)
        )
        self._horizon = horizon
        self._levels = [torch.tensor(primitives.amounts(axis)) for axis in range(len(AXES))]
        longest = max(map(len, self._levels))
        index = torch.zeros(len(AXES), 2, longest, dtype=torch.long)
        for place, primitive in enumerate(primitives):
            if primitive.kind is Kind.MOVE:
                level = primitives.amounts(primitive.axis).index(abs(primitive.amount))
                index[primitive.axis, int(primitive.amount > 0), level] = place
        constants = {
            "index": index,
            "axes": torch.tensor([p.axis for p in primitives]),
            "amounts": torch.tensor([p.amount for p in primitives]),
            "response": torch.tensor(response).repeat_interleave(TRANSLATIONS),
            "low": torch.tensor(low),
            "high": torch.tensor(high),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def targets(self, actions: Tensor, is_pad: Tensor, *, composed: bool) -> Tensor:
        """Which primitives chunks mean, (B, P) of 0 and 1.

        Args:
            actions: (B, H, 7) in the robot's units.
            is_pad: (B, H) bool, beyond the end of the episode.
            composed: Several axes at once; else the one that moves most.
        """
        valid = (~is_pad)[..., None].to(actions.dtype)
        motion = self.response * (actions[..., :-1] * valid).sum(1)
        if not composed:
            weight = motion.new_tensor([_BALANCE] * TRANSLATIONS + [1.0] * TRANSLATIONS)
            most = (weight * motion.abs()).argmax(-1, keepdim=True)
            motion = torch.zeros_like(motion).scatter(-1, most, motion.gather(-1, most))
        targets = motion.new_zeros(len(actions), self.size)
        rows = torch.arange(len(actions), device=actions.device)
        for axis, levels in enumerate(self._levels):
            amounts, size = levels.to(motion), motion[:, axis].abs()
            level = (amounts.log() - size.clamp(min=1e-9).log()[:, None]).abs().argmin(-1)
            worth = (size >= amounts[0] / 2).to(motion.dtype)
            targets[rows, self.index[axis, (motion[:, axis] > 0).long(), level]] += worth
        closed = (actions[..., -1:] > 0.5).to(valid.dtype)
        closed = (closed * valid).sum((1, 2)) > 0.5 * valid.sum((1, 2))
        targets[:, self.close] = closed.to(motion.dtype)
        targets[:, self.open] = (~closed).to(motion.dtype)
        targets[:, self.done] = is_pad[:, 1:].all(1).to(motion.dtype)
        return targets

    def best(self, logits: Tensor, count: int) -> Tensor:
        """The most likely choice of primitives and its likeliest changes, (B, N, 7) of indices.

        Of every axis at most one primitive is chosen, -1 for none, against which odds of 1 stand;
        of the gripper, last, one is. The choices that follow the first differ from it in one
        place, the most likely first; where there are no more they begin again.

        Args:
            logits: (B, P) of the primitives.
            count: N.
        """
        places = [(self.axes == axis).nonzero()[:, 0] for axis in range(len(AXES))]
        gripper = torch.tensor([self.close, self.open], device=logits.device)
        first: list[Tensor] = []
        losses: list[Tensor] = []
        options: list[tuple[int, Tensor]] = []
        for place, known in enumerate([*places, gripper]):
            scores = logits[:, known]
            if place < len(AXES):
                scores = torch.cat([scores, torch.zeros_like(scores[:, :1])], dim=1)
                known = torch.cat([known, known.new_tensor([-1])])
            best = scores.argmax(1)
            first.append(known[best])
            loss = scores - scores.gather(1, best[:, None])
            losses.append(loss.scatter(1, best[:, None], -torch.inf))
            options += [(place, value) for value in known]
        chosen = torch.stack(first, dim=1)
        order = torch.cat(losses, dim=1).argsort(dim=1, descending=True, stable=True)
        # The chosen option of every place is no change.
        changes = order.shape[1] - len(first)
        where = torch.tensor([place for place, _ in options], device=logits.device)
        what = torch.stack([value for _, value in options])
        result = chosen[:, None].repeat(1, count, 1)
        for candidate in range(count):
            number = candidate % (changes + 1) - 1
            if number >= 0:
                change = order[:, number]
                result[:, candidate].scatter_(1, where[change][:, None], what[change][:, None])
        return result

    def chunks(self, choices: Tensor) -> Tensor:
        """Actions (B, N, H, 7) of choices (B, N, 7) of primitives, within the command limits."""
        moves = choices[..., :-1]
        motion = torch.where(moves >= 0, self.amounts[moves.clamp(min=0)], 0.0)
        arm = motion / (self.response * self._horizon)
        bounds = torch.where(arm > 0, self.high[:-1], -self.low[:-1]).clamp(min=1e-9)
        # One factor for all axes, so that a diagonal stays one.
        arm = arm / (arm.abs() / bounds).amax(-1, keepdim=True).clamp(min=1.0)
        closed = (choices[..., -1:] == self.close).to(arm.dtype)
        action = torch.cat([arm, closed], dim=-1)
        return action[:, :, None].expand(-1, -1, self._horizon, -1)
