"""Gives a library that draws from torch's global generator the randomness it is told to use."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from robot_policy.nets.draws import Draws

type _Shape = tuple[int, ...]

_SEEDS = 2**24


@contextlib.contextmanager
def drawn_from(draws: Draws, *, rows: int, device: torch.device) -> Generator[None]:
    """Within the block, everything torch draws comes from `draws`.

    ``randn``, ``randn_like`` and ``randint`` are answered by `draws` itself, so that what a row
    gets does not depend on how a batch is divided. Dropout draws inside torch; its generator is
    seeded from `draws`, and put back afterwards.

    Args:
        draws: Randomness of the step.
        rows: Rows of the batch computed here.
        device: Of the batch.
    """
    seed = int(draws.integers(_SEEDS, (rows,))[0])
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices), _Answered(draws.normal, draws.integers):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def given_noise(noise: Iterator[Tensor]) -> Generator[None]:
    """Within the block, every normal tensor that torch draws is the next one of `noise`."""

    def take(shape: _Shape) -> Tensor:
        value = next(noise)
        if value.shape != shape:
            raise RuntimeError(f"the library drew {shape} where {tuple(value.shape)} was given")
        return value

    with _Answered(take, _no_integers):
        yield


def _no_integers(high: int, shape: _Shape) -> Tensor:
    raise RuntimeError(f"the library drew integers below {high} of shape {shape}")


class _Answered(TorchFunctionMode):
    def __init__(
        self,
        normal: Callable[[_Shape], Tensor],
        integers: Callable[[int, _Shape], Tensor],
    ) -> None:
        super().__init__()
        self._normal = normal
        self._integers = integers

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.randn:
            return self._normal(_size(args, kwargs))
        if func is torch.randn_like:
            return self._normal(tuple(args[0].shape))
        if func is torch.randint and kwargs.get("low", 0) == 0 and "high" in kwargs:
            return self._integers(int(kwargs["high"]), _size(args, kwargs))
        return func(*args, **kwargs)


def _size(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Shape:
    size = kwargs.get("size", args[0] if len(args) == 1 else args)
    return (size,) if isinstance(size, int) else tuple(size)
