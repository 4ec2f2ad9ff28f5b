"""A policy that is asked somewhere else, so that many environments can share one batch."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, Policy, per_row
from robot_policy.core.specs import PolicySpec
from robot_policy.core.steering_record import SteeringRecord


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One robot's question.

    Attributes:
        windows: With B = 1.
        num_samples: N.
        generator: What this row draws from, so that its answer does not depend on the other rows
            of the batch it lands in.
    """

    windows: Windows
    num_samples: int
    generator: np.random.Generator


@dataclass(frozen=True, slots=True)
class SampleAnswer:
    """Candidates with B = 1, and how long the policy took for the whole batch [ns]."""

    candidates: Candidates
    duration_ns: int


class RemotePolicy:
    """Implements `Policy` by handing each call to `exchange`.

    The policy behind it serves many episodes at once, so `reset` does not reach it: it must
    keep nothing between calls.

    Args:
        spec: Of the policy behind.
        exchange: Takes a request and waits for the answer.
    """

    def __init__(self, spec: PolicySpec, exchange: Callable[[SampleRequest], SampleAnswer]) -> None:
        self._spec = spec
        self._exchange = exchange
        self.durations_ns: list[int] = []
        """Time that the policy took for every call [ns], without the way there and back."""
        self.steering: list[SteeringRecord] = []
        """How every chunk since it was last emptied was chosen, where the policy is steered."""

    @property
    def spec(self) -> PolicySpec:
        """Spec of the policy behind."""
        return self._spec

    def reset(self) -> None:
        """Does nothing."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Asks for (1, N, H, A) actions, drawn as they are where the policy is asked directly.

        Raises:
            SpecError: If `windows` holds more than one robot.
        """
        if windows.batch_size != 1:
            raise SpecError("one robot at a time", where="windows", got=windows.batch_size)
        row = per_row(generator, 1)[0]
        answer = self._exchange(SampleRequest(windows, num_samples, row))
        self.durations_ns.append(answer.duration_ns)
        self.steering.extend(answer.candidates.steering)
        return answer.candidates


def answer_batch(policy: Policy, requests: Sequence[SampleRequest]) -> list[SampleAnswer]:
    """Asks `policy` once for all `requests`, which must agree in N."""
    windows = Windows.concatenate([request.windows for request in requests])
    generators = [request.generator for request in requests]
    start_ns = time.monotonic_ns()
    candidates = policy.sample(windows, num_samples=requests[0].num_samples, generator=generators)
    duration_ns = time.monotonic_ns() - start_ns
    return [SampleAnswer(candidates.row(i), duration_ns) for i in range(len(requests))]
