"""One question to the policy and its answer, as they travel to a worker and back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Policy, Scorer
from robot_policy.core.specs import PolicySpec
from robot_policy.core.steering_record import SteeringRecord
from robot_policy.runtime.candidate_spread import candidate_spread
from robot_policy.runtime.clock import Clock, MonotonicClock
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.steered_policy import SteeredPolicy
from robot_policy.runtime.steering import choose


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What a plan is made from.

    Attributes:
        number: Counts the requests of an agent; the answer carries it too.
        tick: Control step at which it is asked for.
        first: Whether it is the first of an episode, before which the policy is reset.
        windows: With B = 1.
        seed: Of what this plan draws from, and no other; travels lighter than a generator.
        steering: How a steered policy chooses from now on; None leaves it as it is.
    """

    number: int
    tick: int
    first: bool
    windows: Windows
    seed: np.random.SeedSequence
    steering: SteeringConfig | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the policy wants to do.

    Attributes:
        number: Of the request.
        chunk: (H, A); the first action belongs to the moment of the observation.
        duration_ns: Time that the policy took [ns], without the way there and back.
        steering: How it was chosen, where the policy is steered.
        candidate_spread: How far the candidates were apart, see `candidate_spread`.
        candidates: (N, H, A) all that were drawn, for people to look at; None of a single one.
    """

    number: int
    chunk: NDArray[np.float32]
    duration_ns: int
    steering: tuple[SteeringRecord, ...] = ()
    candidate_spread: float | None = None
    candidates: NDArray[np.float32] | None = None


class Planner:
    """A policy and what chooses among its candidates.

    Args:
        policy: Proposes chunks.
        num_samples: N, candidates drawn per plan.
        scorer: Chooses among the candidates; None takes the first.
        clock: For `Plan.duration_ns`.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        num_samples: int = 1,
        scorer: Scorer | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._policy = policy
        self._num_samples = num_samples
        self._scorer = scorer
        self._clock = clock or MonotonicClock()

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._policy.spec

    @property
    def problem(self) -> str | None:
        """What the policy says that keeps it from answering, before it is asked; mostly None."""
        return getattr(self._policy, "problem", None)

    def plan(self, request: PlanRequest) -> Plan:
        """Asks the policy, and chooses."""
        if request.first:
            self.reset()
        if request.steering is not None and isinstance(self._policy, SteeredPolicy):
            self._policy.adjust(request.steering)
        generator = np.random.default_rng(request.seed)
        start_ns = self._clock.now_ns()
        candidates = self._policy.sample(
            request.windows, num_samples=self._num_samples, generator=[generator]
        )
        chunk = choose(request.windows, candidates, self._scorer)[0]
        duration_ns = self._clock.now_ns() - start_ns
        drawn = candidates.actions[0]
        if isinstance(self._policy, SteeredPolicy):
            drawn = self._policy.drawn
        return Plan(
            request.number,
            chunk,
            duration_ns,
            candidates.steering,
            self._spread(candidates),
            drawn if drawn is not None and len(drawn) > 1 else None,
        )

    def _spread(self, candidates: Candidates) -> float | None:
        if candidates.steering:
            return candidates.steering[0].candidate_spread
        return candidate_spread(candidates.actions[0], self.spec.action)

    def reset(self) -> None:
        """Lets the policy forget whatever it kept."""
        self._policy.reset()

    def close(self) -> None:
        """Releases what the policy holds beyond memory, a connection for example."""
        close = getattr(self._policy, "close", None)
        if close is not None:
            close()
