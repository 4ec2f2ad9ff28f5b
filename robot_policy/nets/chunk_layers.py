"""Layers over the action axis that are fast where a robot runs them: on a CPU, without gradients.

A chunk is short, some 16 steps, and candidates come as a batch of such chunks. Library
convolutions are made for long signals; for a batch one matrix product over all steps of all
candidates does better, with the channels beside each other in memory. On a GPU, and in training,
the layers are those of torch. Shapes and parameters are torch's in either case.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_WORTH_SPLITTING = 4096
"""Numbers from which a few vectorised passes are faster than torch's one."""


class ChunkConv1d(nn.Conv1d):
    """1-D convolution of (R, C, L); kernel, stride and padding are all it knows."""

    _arranged: tuple[Tensor, int, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Returns (R, C', L')."""
        exporting = torch.compiler.is_exporting()
        if not _without_gradients(self, input) or not (exporting or input.shape[0] > 1):
            return super().forward(input)
        (kernel,), (stride,) = self.kernel_size, self.stride
        steps = functional.pad(input.transpose(1, 2), (0, 0, *self._padding))  # (R, L, C)
        seen = _windows(steps, kernel, stride)  # (R, L', kernel * C)
        rows, length = seen.shape[:2]
        bias = self.bias
        assert bias is not None
        product = torch.addmm(bias, seen.reshape(-1, seen.shape[-1]), self._matrix())
        return product.unflatten(0, (rows, length)).transpose(1, 2)

    @property
    def _padding(self) -> tuple[int, int]:
        (padding,) = self.padding
        assert isinstance(padding, int)
        return padding, padding

    def _matrix(self) -> Tensor:
        """The weight as (kernel * C, C'), arranged anew only when it has changed."""
        if torch.compiler.is_exporting():
            return _arrange(self.weight)
        weight, version = self.weight.detach(), self.weight._version
        if self._arranged is not None:
            # The kept alias holds the memory, so that no other tensor can come to lie there.
            alias, at, matrix = self._arranged
            if alias.data_ptr() == weight.data_ptr() and at == version:
                return matrix
        matrix = _arrange(weight).contiguous()
        self._arranged = weight, version, matrix
        return matrix


class ChunkGroupNorm(nn.GroupNorm):
    """Group normalisation of (R, C, L) that leaves channels where they are in memory."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns (R, C, L)."""
        if not _without_gradients(self, input) or torch.compiler.is_exporting():
            return super().forward(input)
        return super().forward(input.unsqueeze(2)).squeeze(2)


class ChunkMish(nn.Mish):
    """x tanh(ln(1 + e^x)), which is x n / (n + 2) with n = e^x (e^x + 2): one exponential."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns the shape of `input`."""
        if not _without_gradients(self, input):
            return super().forward(input)
        if torch.compiler.is_exporting():
            return mish(input)
        return mish(input) if input.numel() >= _WORTH_SPLITTING else super().forward(input)


def mish(x: Tensor) -> Tensor:
    """Mish by one exponential; above 20 it is x to the last bit."""
    e = x.clamp(max=20.0).exp()
    half = torch.addcmul(e, e, e, value=0.5)  # n / 2
    return x * half / (half + 1.0)


def _without_gradients(layer: nn.Module, x: Tensor) -> bool:
    return not layer.training and not torch.is_grad_enabled() and x.device.type == "cpu"


def _windows(steps: Tensor, kernel: int, stride: int) -> Tensor:
    """(R, L', kernel * C) from (R, L, C): what the kernel sees at each of its places."""
    if kernel == stride == 1:
        return steps
    if torch.compiler.is_exporting():  # ONNX has no such view, but can gather
        places = range(0, steps.shape[1] - kernel + 1, stride)
        seen = torch.tensor([place + i for place in places for i in range(kernel)])
        return steps.index_select(1, seen).unflatten(1, (-1, kernel)).flatten(2)
    return steps.unfold(1, kernel, stride).transpose(2, 3).flatten(2)


def _arrange(weight: Tensor) -> Tensor:
    """(C', C, kernel) to (kernel * C, C')."""
    return weight.permute(2, 1, 0).flatten(0, 1)
