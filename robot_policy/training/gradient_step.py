"""One gradient step, over all processes and accumulated parts, as if by one process at once."""

import math
from contextlib import nullcontext

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch, TrainableModule
from robot_policy.training.config import TrainConfig
from robot_policy.training.parameter_groups import make_optimizer
from robot_policy.training.processes import Division


class NonFiniteLossError(Exception):
    """Loss or gradient is NaN or infinite; the weights have not been changed.

    Args:
        what: ``loss`` or ``gradient``.
        value: What it was.
    """

    def __init__(self, what: str, value: float) -> None:
        self.what = what
        self.value = value
        super().__init__(what, value)


class GradientStep:
    """Computes the loss, its gradient and the next weights.

    The result does not depend on `division` beyond rounding: every process and every part draws
    the noise that its rows have in the whole batch. Only dropout, and policies that draw from
    torch's global generator, see other numbers; those too depend on nothing but seed and step.

    Args:
        module: Trained in place.
        config: Optimiser and seed.
        accelerator: The processes.
        division: Who computes which rows.
    """

    def __init__(
        self,
        module: TrainableModule,
        config: TrainConfig,
        *,
        accelerator: Accelerator,
        division: Division,
    ) -> None:
        self.division = division
        self._accelerator = accelerator
        self._seed = config.seed
        self._clip_norm = config.optimizer.clip_norm
        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._device = self._parameters[0].device
        if config.compile:
            for child in module.children():
                child.compile()
        self.optimizer = make_optimizer(module, config.optimizer)
        self._loss, self._stepper = accelerator.prepare(_Loss(module), self.optimizer)

    @property
    def scaler(self) -> GradScaler | None:
        """Scales the loss in float16; None otherwise."""
        return self._accelerator.scaler

    def set_learning_rate(self, value: float) -> None:
        """Sets the learning rate of every parameter group, times its factor."""
        for group in self.optimizer.param_groups:
            group["lr"] = value * group["lr_scale"]

    def __call__(self, batch: Batch, step: int) -> float:
        """Takes gradient step `step` on the rows of this process.

        Returns:
            The loss of the whole batch before the step.

        Raises:
            NonFiniteLossError: In every process, if loss or gradient is not finite in one.
        """
        self._stepper.zero_grad(set_to_none=True)
        loss = self._backward(batch, step)
        norm = self._accelerator.clip_grad_norm_(self._parameters, self._clip_norm)
        assert norm is not None  # it is with engines that clip by themselves, which we do not use
        # The one place where a GPU is waited for: nothing may be changed before this is known.
        value, norm = torch.stack([self._mean(loss), norm.to(loss)]).tolist()
        if not math.isfinite(value):
            raise NonFiniteLossError("loss", value)
        # In float16 too large a gradient is no accident: the scaler skips the step.
        if self.scaler is None and not math.isfinite(norm):
            raise NonFiniteLossError("gradient", norm)
        self._stepper.step()
        return value

    def _backward(self, batch: Batch, step: int) -> Tensor:
        parts = self.division.parts
        losses: list[Tensor] = []
        for index in range(parts):
            last = index == parts - 1
            self._seed_globally(step, index)
            part = rows_of(batch, self.division.local_part(index)) if parts > 1 else batch
            # Gradients are exchanged once per step, with the last part.
            with nullcontext() if last else self._accelerator.no_sync(self._loss):
                loss = self._loss(part, self._draws(step, index))
                self._accelerator.backward(loss / parts if parts > 1 else loss)
            losses.append(loss.detach().float())
        return losses[0] if parts == 1 else torch.stack(losses).mean()

    def _draws(self, step: int, part: int) -> Draws:
        division = self.division
        rows = {} if division.processes * division.parts == 1 else {
            "rows": division.part(part), "total": division.total
        }  # fmt: skip
        return Draws.of_step(self._seed, step, device=self._device, **rows)

    def _seed_globally(self, step: int, part: int) -> None:
        """Makes dropout, and whoever else draws from torch's own generator, repeatable."""
        entropy = [self._seed, step, self.division.process, part]
        state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(state) >> 1)

    def _mean(self, loss: Tensor) -> Tensor:
        if self._accelerator.num_processes == 1:
            return loss
        mean = self._accelerator.reduce(loss, reduction="mean")
        assert isinstance(mean, Tensor)
        return mean


class _Loss(nn.Module):
    """Makes the loss a forward pass, where the hooks that exchange gradients are."""

    def __init__(self, module: TrainableModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Batch, draws: Draws) -> Tensor:
        return self.module.loss(batch, draws=draws)


def rows_of(batch: Batch, rows: slice) -> dict[str, Tensor]:
    """Cuts every tensor of a batch to some of its rows."""
    return {key: value[rows] for key, value in batch.items()}
