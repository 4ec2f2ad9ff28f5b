"""Prepares the next batches while the network is busy with this one."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from robot_policy.core.transforms import Sample
from robot_policy.nets.tensors import to_tensors
from robot_policy.nets.trainable import Batch

type Prepare = Callable[[int], Sample]
"""Makes the batch of a number: the same number is the same batch, in any process."""

_CPU = torch.device("cpu")


class _Ahead(Protocol):
    """Prepares batches ahead of time."""

    def get(self, number: int) -> dict[str, Tensor]:
        """Returns a batch, soonest if its number follows that of the batch before."""
        ...

    def close(self) -> None:
        """Stops preparing."""
        ...


class Prefetcher:
    """Batches by number, those after it always under way.

    Args:
        prepare: Makes the batch of a number. Without workers it is only ever called by one thread
            at a time.
        device: Where the batches are wanted.
        workers: Processes that prepare batches; 0 for a thread of this one.
    """

    def __init__(self, prepare: Prepare, *, device: torch.device, workers: int = 0) -> None:
        self._device = device
        pin = device.type == "cuda"
        self._ahead: _Ahead = (
            _Workers(prepare, pin=pin, count=workers) if workers else _Thread(prepare, pin=pin)
        )

    def get(self, number: int) -> Batch:
        """Returns batch `number` on the device and lets the next one begin."""
        batch = self._ahead.get(number)
        return {key: value.to(self._device, non_blocking=True) for key, value in batch.items()}

    def close(self) -> None:
        """Ends thread or processes; a batch under way is dropped."""
        self._ahead.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Thread:
    """One batch ahead, in a thread."""

    def __init__(self, prepare: Prepare, *, pin: bool) -> None:
        self._prepare = prepare
        self._pin = pin
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._next: tuple[int, Future[dict[str, Tensor]]] | None = None

    def get(self, number: int) -> dict[str, Tensor]:
        if self._next is None or self._next[0] != number:
            self._next = number, self._thread.submit(self._tensors, number)
        batch = self._next[1].result()
        self._next = number + 1, self._thread.submit(self._tensors, number + 1)
        return batch

    def close(self) -> None:
        self._next = None
        self._thread.shutdown(cancel_futures=True)

    def _tensors(self, number: int) -> dict[str, Tensor]:
        batch = to_tensors(self._prepare(number), _CPU)
        if not self._pin:
            return batch
        # Only from pinned memory is the copy to a GPU not waited for.
        return {key: value.pin_memory() for key, value in batch.items()}


class _Workers:
    """Two batches ahead per process; torch hands them over in order."""

    def __init__(self, prepare: Prepare, *, pin: bool, count: int) -> None:
        self._batches = _Batches(prepare)
        self._options = {"num_workers": count, "pin_memory": pin, "prefetch_factor": 2}
        self._next = -1
        self._iterator: Iterator[dict[str, Tensor]] | None = None

    def get(self, number: int) -> dict[str, Tensor]:
        if self._iterator is None or number != self._next:
            self._iterator = iter(
                DataLoader(
                    self._batches,
                    batch_size=None,
                    sampler=_From(number),
                    # Its own, or the number of workers would show in torch's global one.
                    generator=torch.Generator(),
                    # Forked, so that what is mapped or in memory is shared and nothing is pickled.
                    multiprocessing_context="fork",
                    **self._options,
                )
            )
        self._next = number + 1
        return next(self._iterator)

    def close(self) -> None:
        self._iterator = None


class _Batches(Dataset[dict[str, Tensor]]):
    """Batches by number, as torch's loader wants them."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        return to_tensors(self._prepare(number), _CPU)


class _From(Sampler[int]):
    """The numbers from `first` on."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        return count(self._first)
