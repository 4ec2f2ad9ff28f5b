"""Answers several robots with one call of the policy."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Policy
from robot_policy.serving.sample_request import SampleRequest

_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How requests share a call.

    Attributes:
        max_rows: Windows in one call at most; 1 answers requests one by one.
        max_wait_s: How long the first waits for others where others are connected [s].
    """

    max_rows: int = 8
    max_wait_s: float = 0.003


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """Candidates for one request, and where its time went.

    Attributes:
        candidates: Of its rows.
        queue_ms: From its arrival to the start of the call [ms].
        infer_ms: Duration of the call [ms].
        batch_rows: Windows that shared the call.
    """

    candidates: Candidates
    queue_ms: float
    infer_ms: float
    batch_rows: int


@dataclass(slots=True, eq=False)
class _Waiting:
    request: SampleRequest
    arrived_ns: int
    answer: "asyncio.Future[SampleAnswer]"

    @property
    def kind(self) -> tuple[object, ...]:
        """Requests of one kind can share a call."""
        windows = self.request.windows
        prefix = None if windows.prefix is None else windows.prefix.shape[1:]
        weighted = windows.prefix_weights is not None
        return self.request.num_samples, prefix, weighted, bool(windows.instructions)


class Batcher:
    """Collects what arrives while the policy is busy, and shortly before, into one call.

    What a row draws comes from its own generator, so its answer does not depend on its company,
    but for the last bits: libraries round differently for other batch sizes.

    Args:
        policy: Called from one thread of its own; must keep nothing between calls.
        settings: How requests share a call.
        alone: Whether nobody else could ask, so that waiting would be in vain.
    """

    def __init__(
        self, policy: Policy, settings: BatchSettings, *, alone: Callable[[], bool]
    ) -> None:
        self._policy = policy
        self._settings = settings
        self._alone = alone
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy")

    async def ask(self, request: SampleRequest) -> SampleAnswer:
        """Waits for the answer.

        Raises:
            RobotPolicyError: If the policy refuses.
            Exception: Whatever else it raised.
        """
        answer: asyncio.Future[SampleAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, time.monotonic_ns(), answer))
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """Answers until it is cancelled."""
        try:
            while True:
                await self._arrived.wait()
                if not self._alone():
                    await self._company()
                batch = self._take()
                if batch:
                    await self._answer(batch)
                if not self._waiting:
                    self._arrived.clear()
        finally:
            for waiting in self._waiting:
                waiting.answer.cancel()
            self._thread.shutdown(wait=True, cancel_futures=True)

    async def _company(self) -> None:
        """Waits until enough have asked, or the first has waited long enough."""
        first_ns = self._waiting[0].arrived_ns if self._waiting else 0
        end_s = first_ns * 1e-9 + self._settings.max_wait_s
        while sum(len(w.request.generators) for w in self._waiting) < self._settings.max_rows:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left_s)
            except TimeoutError:
                self._arrived.set()
                return

    def _take(self) -> list[_Waiting]:
        """Takes the longest waiting request, and others that can share its call."""
        batch: list[_Waiting] = []
        rows = 0
        for waiting in list(self._waiting):
            if waiting.answer.cancelled():  # whoever asked has gone
                self._waiting.remove(waiting)
                continue
            more = len(waiting.request.generators)
            fits = not batch or (
                waiting.kind == batch[0].kind and rows + more <= self._settings.max_rows
            )
            if fits:
                self._waiting.remove(waiting)
                batch.append(waiting)
                rows += more
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        start_ns = time.monotonic_ns()
        loop = asyncio.get_running_loop()
        requests = [waiting.request for waiting in batch]
        try:
            candidates, infer_ns = await loop.run_in_executor(self._thread, self._sample, requests)
        except Exception as error:
            if len(batch) > 1:  # one robot's trouble must not be another's
                for waiting in batch:
                    await self._answer([waiting])
            elif not batch[0].answer.cancelled():
                batch[0].answer.set_exception(error)
            return
        rows = len(candidates.actions)
        start = 0
        for waiting in batch:
            end = start + len(waiting.request.generators)
            part = Candidates(candidates.actions[start:end], _part(candidates.past, start, end))
            start = end
            if not waiting.answer.cancelled():
                queue_ms = (start_ns - waiting.arrived_ns) / _NS_PER_MS
                waiting.answer.set_result(SampleAnswer(part, queue_ms, infer_ns / _NS_PER_MS, rows))

    def _sample(self, requests: list[SampleRequest]) -> tuple[Candidates, int]:
        windows = Windows.concatenate([request.windows for request in requests])
        generators = [g for request in requests for g in request.generators]
        start_ns = time.monotonic_ns()
        candidates = self._policy.sample(
            windows, num_samples=requests[0].num_samples, generator=generators
        )
        duration_ns = time.monotonic_ns() - start_ns
        expected = (windows.batch_size, requests[0].num_samples)
        if candidates.actions.shape[:2] != expected:
            raise SpecError(
                "other candidates than asked for",
                where="policy",
                expected=expected,
                got=candidates.actions.shape[:2],
            )
        return candidates, duration_ns


def _part(array: NDArray[np.float32] | None, start: int, end: int) -> NDArray[np.float32] | None:
    return None if array is None else array[start:end]
