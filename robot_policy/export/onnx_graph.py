"""Traces `PolicyModule.decode` into one ONNX graph; a denoising loop is unrolled in it."""

import contextlib
import logging
import os
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION_PREFIX
from robot_policy.export.example_inputs import random_batch, used_inputs
from robot_policy.policies.module import PolicyModule
from robot_policy.runtime.exported_policy import CHUNKS, NOISE, GraphInterface

_BATCH, _CANDIDATES, _PREFIX = 2, 3, 4  # examples; 1 and equal sizes would be taken for constants


def write_graph(module: PolicyModule, path: Path, *, candidates: int | None) -> GraphInterface:
    """Writes the graph of `module.decode`.

    Args:
        module: In evaluation mode, on the CPU.
        path: ONNX file to write.
        candidates: N, or None for any number.

    Raises:
        ConfigError: If the policy cannot be traced or translated; says why.
    """
    names = used_inputs(module)
    example = random_batch(module.spec, batch=_BATCH, prefix=_PREFIX, seed=0)
    count = _CANDIDATES if candidates is None else candidates
    noise = torch.randn(_BATCH, count, *module.noise_shape)
    noise_sizes: dict[int, Any] = {0: Dim.DYNAMIC}
    if candidates is None:
        noise_sizes[1] = Dim.DYNAMIC
    input_sizes = tuple(_dynamic_sizes(name) for name in names)
    try:
        # Networks may compute in another way where no gradient is wanted; the graph is that way.
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                _Decode(module, names).eval(),
                (noise, *(example[name] for name in names)),
                dynamo=True,
                input_names=[NOISE, *names],
                output_names=[CHUNKS],
                dynamic_shapes=(noise_sizes, input_sizes),
                optimize=False,
                verbose=False,
            )
            assert program is not None  # only the older exporter returns nothing
            _simplify(program.model)
            program.save(path)
    except Exception as error:
        raise ConfigError(
            "this policy cannot be exported", where=type(module).__name__, got=_reason(error)
        ) from error
    return GraphInterface(
        inputs={name: str(example[name].numpy().dtype) for name in names},
        noise_shape=tuple(module.noise_shape),
        candidates=candidates,
    )


class _Decode(nn.Module):
    """`decode` with positional arguments, which become the inputs of the graph."""

    def __init__(self, module: PolicyModule, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, noise: Tensor, *inputs: Tensor) -> Tensor:
        return self.module.decode(dict(zip(self.names, inputs, strict=True)), noise)


def _simplify(model: Any) -> None:
    """Computes once what does not depend on the inputs.

    The exporter's own optimiser also looks for patterns, in a time that grows with the square of
    the number of nodes, minutes for an unrolled loop. onnxruntime finds them at load.
    """
    from onnx_ir.passes.common import CommonSubexpressionEliminationPass
    from onnxscript import optimizer

    optimizer.fold_constants(model, onnx_shape_inference=False)
    optimizer.remove_unused_nodes(model)
    CommonSubexpressionEliminationPass()(model)


def _dynamic_sizes(name: str) -> dict[int, Any]:
    sizes: dict[int, Any] = {0: Dim.DYNAMIC}
    return {**sizes, 1: Dim.DYNAMIC} if name == ACTION_PREFIX else sizes


def _reason(error: BaseException) -> str:
    """The innermost cause; the exporter wraps it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """The exporter prints and warns about its own internals, which nobody here can act on."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            exporter.setLevel(level)
