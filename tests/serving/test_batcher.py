"""Several robots share a call of the policy, and none notices."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Windows
from robot_policy.serving.batcher import Batcher, BatchSettings, SampleAnswer
from robot_policy.serving.sample_request import SampleRequest
from robot_policy.serving.warm_up import neutral_windows


def request(asked: Windows, *, seed: int, num_samples: int = 2) -> SampleRequest:
    generators = tuple(np.random.default_rng([seed, row]) for row in range(asked.batch_size))
    return SampleRequest(asked, num_samples, generators)


def asked(policy: Any, count: int) -> list[Windows]:
    rng = np.random.default_rng(3)
    return [windows(policy, rng, rows=1) for _ in range(count)]


def windows(policy: Any, rng: np.random.Generator, *, rows: int) -> Windows:
    neutral = neutral_windows(policy.spec, rows)
    state = rng.standard_normal(neutral.state.shape, dtype=np.float32)
    return replace(neutral, state=state)


def run(
    policy: Any,
    scenario: Callable[[Batcher], Awaitable[Any]],
    *,
    alone: bool = True,
    **settings: Any,
) -> Any:
    async def main() -> Any:
        batcher = Batcher(policy, BatchSettings(**settings), alone=lambda: alone)
        running = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(scenario(batcher), 10)
        finally:
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    return asyncio.run(main())


async def together(
    batcher: Batcher, policy: Any, requests: list[SampleRequest]
) -> list[SampleAnswer | BaseException]:
    """Lets the first request hold the policy until the others wait."""
    held, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        policy.before = lambda: None
        loop.call_soon_threadsafe(held.set)
        release.wait(10)

    policy.before = hold
    tasks = [asyncio.create_task(batcher.ask(requests[0]))]
    await held.wait()
    tasks += [asyncio.create_task(batcher.ask(other)) for other in requests[1:]]
    await asyncio.sleep(0)  # every task has asked by then
    release.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def actions(answer: SampleAnswer | BaseException) -> np.ndarray:
    assert isinstance(answer, SampleAnswer), answer
    return answer.candidates.actions


def test_draws_do_not_depend_on_company(policy: Any) -> None:
    given = asked(policy, 5)
    requests = [request(w, seed=i) for i, w in enumerate(given)]
    answers = run(policy, lambda b: together(b, policy, requests), max_rows=8)
    assert [b.batch_size for b in policy.batches] == [1, 4]
    for i, (answer, one) in enumerate(zip(answers, given, strict=True)):
        expected = policy.sample(one, num_samples=2, generator=request(one, seed=i).generators)
        np.testing.assert_array_equal(actions(answer), expected.actions)
        np.testing.assert_array_equal(answer.candidates.past, expected.past)
    assert [answer.batch_rows for answer in answers] == [1, 4, 4, 4, 4]
    assert answers[-1].queue_ms > 0


def test_only_requests_of_a_kind_share_a_call(policy: Any) -> None:
    given = asked(policy, 7)
    prefix = np.zeros((1, 2, 7), np.float32)
    requests = [request(w, seed=i) for i, w in enumerate(given)]
    requests[2] = request(given[2], seed=2, num_samples=3)
    requests[4] = request(replace(given[4], prefix=prefix), seed=4)
    weights = np.ones((1, 2), np.float32)
    requests[6] = request(replace(given[6], prefix=prefix, prefix_weights=weights), seed=6)
    answers = run(policy, lambda b: together(b, policy, requests), max_rows=8)
    assert [b.batch_size for b in policy.batches] == [1, 3, 1, 1, 1]
    assert [actions(answer).shape[1] for answer in answers] == [2, 2, 3, 2, 2, 2, 2]


def test_a_batch_is_no_larger_than_asked(policy: Any) -> None:
    requests = [request(w, seed=i) for i, w in enumerate(asked(policy, 6))]
    run(policy, lambda b: together(b, policy, requests), max_rows=2)
    assert [b.batch_size for b in policy.batches] == [1, 2, 2, 1]
    policy.batches.clear()
    large = request(windows(policy, np.random.default_rng(0), rows=3), seed=0)
    run(policy, lambda b: b.ask(large), max_rows=2)
    assert [b.batch_size for b in policy.batches] == [3], "one question is not divided"


def test_the_first_waits_for_company_only_where_others_are_connected(policy: Any) -> None:
    requests = [request(w, seed=i) for i, w in enumerate(asked(policy, 2))]

    async def one_after_the_other(batcher: Batcher) -> None:
        first = asyncio.create_task(batcher.ask(requests[0]))
        for _ in range(3):  # the batcher has seen it by then
            await asyncio.sleep(0)
        await asyncio.gather(first, batcher.ask(requests[1]))

    run(policy, one_after_the_other, alone=False, max_rows=2, max_wait_s=60.0)
    assert [b.batch_size for b in policy.batches] == [2], "full, it does not wait any longer"
    policy.batches.clear()
    run(policy, lambda b: b.ask(requests[0]), alone=False, max_rows=2, max_wait_s=0.001)
    run(policy, lambda b: b.ask(requests[0]), alone=True, max_rows=2, max_wait_s=60.0)
    assert [b.batch_size for b in policy.batches] == [1, 1]


def test_the_trouble_of_one_is_not_that_of_others(policy: Any) -> None:
    given = asked(policy, 4)
    given[2] = replace(given[2], state=np.full_like(given[2].state, 1e9))

    def refuse() -> None:
        if (policy.batches[-1].state > 1e8).any():
            raise SpecError("too high")

    async def scenario(batcher: Batcher) -> Any:
        requests = [request(w, seed=i) for i, w in enumerate(given)]
        held = asyncio.create_task(together(batcher, policy, requests))
        while policy.before is not None and len(policy.batches) < 1:
            await asyncio.sleep(0)
        policy.before = refuse
        return await held

    answers = run(policy, scenario, max_rows=8)
    assert isinstance(answers[2], SpecError)
    assert all(isinstance(answers[i], SampleAnswer) for i in (0, 1, 3))


def test_nobody_is_asked_for_who_has_gone(policy: Any) -> None:
    requests = [request(w, seed=i) for i, w in enumerate(asked(policy, 3))]

    async def scenario(batcher: Batcher) -> None:
        gone = asyncio.create_task(batcher.ask(requests[0]))
        await asyncio.sleep(0)
        gone.cancel()
        await batcher.ask(requests[1])

    run(policy, scenario, alone=False, max_rows=2, max_wait_s=0.001)
    seen = [row for batch in policy.batches for row in batch.state[:, -1, 0]]
    assert requests[1].windows.state[0, -1, 0] in seen
    assert requests[0].windows.state[0, -1, 0] not in seen


def test_a_policy_that_answers_something_else_is_an_error(policy: Any) -> None:
    sample = policy.sample
    policy.sample = lambda windows, **o: sample(windows, **{**o, "num_samples": 1})  # type: ignore[method-assign]
    one = request(asked(policy, 1)[0], seed=0)
    with pytest.raises(SpecError, match="other candidates"):
        run(policy, lambda b: b.ask(one), max_rows=2)
