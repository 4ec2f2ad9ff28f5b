"""Replays a policy's `decode` as a CUDA graph: one launch instead of thousands of small ones.

Denoising a chunk starts a thousand kernels that each take less time than their launch. A graph
records them once per shape of the arguments and repeats them on the same memory.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, Self

import torch
from torch import Tensor

from robot_policy.policies.module import Batch

_LOGGER = logging.getLogger(__name__)
_WARMUP_CALLS = 3
_MOST_GRAPHS = 16
"""Every graph keeps its memory; sizes beyond that run without one."""

type Decode = Callable[[Batch, Tensor], Tensor]


class Replay(Protocol):
    """A recorded call."""

    def __call__(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns what the recorded function would for arguments of the recorded shapes."""
        ...


class CapturedDecode:
    """A `decode` that records itself at the first call of every shape.

    Where recording fails it warns once and calls the function itself from then on.

    Args:
        decode: A function of its arguments alone, without synchronisation.
        capture: Records a call.
    """

    def __init__(
        self, decode: Decode, *, capture: "Callable[[Decode, Batch, Tensor], Replay] | None" = None
    ) -> None:
        self._decode = decode
        self._capture = capture or CudaGraph.capture
        self._graphs: dict[tuple[object, ...], Replay] = {}
        self._failed = False

    def __call__(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the chunks (B, N, P + H, A) in memory of their own."""
        if self._failed:
            return self._decode(batch, noise)
        key = _shapes(batch, noise)
        if key not in self._graphs:
            if len(self._graphs) == _MOST_GRAPHS:
                return self._decode(batch, noise)
            try:
                self._graphs[key] = self._capture(self._decode, batch, noise)
            except RuntimeError as error:
                self._failed = True
                reason = str(error).strip().partition("\n")[0]
                _LOGGER.warning("drawing without a CUDA graph, which is slower: %s", reason)
                return self._decode(batch, noise)
        return self._graphs[key](batch, noise)


class CudaGraph:
    """One recorded call with the memory it reads and writes.

    Args:
        graph: Recorded.
        batch: Read by it.
        noise: Read by it.
        answer: Written by it.
    """

    def __init__(
        self,
        graph: torch.cuda.CUDAGraph,
        *,
        batch: Mapping[str, Tensor],
        noise: Tensor,
        answer: Tensor,
    ) -> None:
        self._graph = graph
        self._batch = batch
        self._noise = noise
        self._answer = answer

    @classmethod
    def capture(cls, decode: Decode, batch: Batch, noise: Tensor) -> Self:
        """Records `decode` for arguments of these shapes.

        Raises:
            RuntimeError: If it does something that cannot be recorded, a synchronisation for
                example.
        """
        inputs = {name: value.clone() for name, value in batch.items()}
        start = noise.clone()
        with torch.cuda.device(noise.device):
            # Libraries choose algorithms and allocate workspaces at the first calls, which may
            # not be recorded, and not on the stream that others use.
            side, current = torch.cuda.Stream(), torch.cuda.current_stream()
            side.wait_stream(current)
            with torch.cuda.stream(side):
                for _ in range(_WARMUP_CALLS):
                    decode(inputs, start)
            current.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on using the GPU meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                answer = decode(inputs, start)
        return cls(graph, batch=inputs, noise=start, answer=answer)

    def __call__(self, batch: Batch, noise: Tensor) -> Tensor:
        """Copies the arguments in, replays, copies the answer out."""
        for name, value in batch.items():
            self._batch[name].copy_(value)
        self._noise.copy_(noise)
        self._graph.replay()
        return self._answer.clone()


def _shapes(batch: Batch, noise: Tensor) -> tuple[object, ...]:
    named = sorted((name, value.shape, value.dtype) for name, value in batch.items())
    return (noise.shape, *named)
