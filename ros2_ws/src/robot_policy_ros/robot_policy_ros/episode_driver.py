"""Runs episodes through the running nodes, over topics and services alone."""

from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from std_msgs.msg import Float64

from robot_policy_ros.episode import Episode
from robot_policy_ros.lifecycle_client import ServiceCaller
from robot_policy_ros.qos import COMMAND, LATCHED
from robot_policy_ros.status_message import status_values

CALL_TIMEOUT_S = 20.0
"""For services that answer at once on a machine that is not overloaded."""

_STALLED_S = 20.0


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """How an episode ended.

    Attributes:
        seed: Of the start.
        success: Whether the goal was reached.
        steps: Steps that the twin executed.
        held: Of these, those in which the arm held because the command was late.
        return_: Sum of the rewards.
        fault: Why the policy node held the arm; empty if it did not.
        limited: Actions that the safety filter changed.
        planning_ms: Duration of every plan [ms].
    """

    seed: int
    success: bool
    steps: int
    held: int
    return_: float
    fault: str
    limited: int
    planning_ms: tuple[float, ...]


class EpisodeDriver:
    """Resets the twin, activates the policy, waits for the end, deactivates the policy.

    Args:
        caller: Calls the services; its node subscribes here.
        twin: Full name of the twin node.
        policy: Full name of the policy node, which must be configured.
    """

    def __init__(self, caller: ServiceCaller, *, twin: str, policy: str) -> None:
        self._caller = caller
        self._twin = twin
        self._policy = policy
        self._episode: Episode | None = None
        self._status: dict[str, str] = {}
        self._planning_ms: list[float] = []
        subscribe = caller.node.create_subscription
        subscribe(DiagnosticStatus, f"{twin}/episode", self._on_episode, LATCHED)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        subscribe(Float64, f"{policy}/planning_ms", self._on_planning, COMMAND)

    def run(self, seed: int) -> EpisodeOutcome:
        """Runs the episode of `seed`.

        Raises:
            NodeCallError: If a node does not answer, or the episode does not go on.
        """
        call, timeout_s = self._caller, CALL_TIMEOUT_S
        call.set_parameters(self._twin, {"seed": seed}, timeout_s=timeout_s)
        call.trigger(f"{self._twin}/reset", timeout_s=timeout_s)
        call.wait_until(
            lambda: (
                self._episode is not None and (self._episode.seed, self._episode.step) == (seed, 0)
            ),
            timeout_s=timeout_s,
            what=f"{self._twin}/episode",
        )
        call.set_parameters(self._policy, {"seed": seed}, timeout_s=timeout_s)
        self._planning_ms.clear()
        self._status.clear()
        call.transition(self._policy, "activate", timeout_s=timeout_s)
        self._wait_for_the_end()
        self._status.clear()
        call.deactivate(self._policy, timeout_s=timeout_s)
        call.wait_until(
            lambda: self._status.get("active") == "false",
            timeout_s=timeout_s,
            what="/diagnostics",
        )
        return self._outcome()

    def _wait_for_the_end(self) -> None:
        """Waits as long as steps are made, however slow rendering makes them."""
        while not self._over():
            step = self._step
            self._caller.wait_until(
                lambda step=step: self._over() or self._step > step,
                timeout_s=_STALLED_S,
                what=f"{self._twin} at step {step}",
            )

    @property
    def _step(self) -> int:
        return -1 if self._episode is None else self._episode.step

    def _over(self) -> bool:
        finished = self._episode is not None and self._episode.finished
        # While it is not active, it still shows the fault of the episode before.
        active = self._status.get("active") == "true"
        return finished or (active and bool(self._status["fault"]))

    def _outcome(self) -> EpisodeOutcome:
        episode = self._episode
        assert episode is not None
        return EpisodeOutcome(
            seed=episode.seed,
            success=episode.success,
            steps=episode.step,
            held=episode.held,
            return_=episode.return_,
            fault=self._status["fault"],
            limited=int(self._status["limited actions"]),
            planning_ms=tuple(self._planning_ms),
        )

    def _on_episode(self, message: DiagnosticStatus) -> None:
        self._episode = Episode.from_values(status_values(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._policy:
                self._status = {**status_values(status), "message": status.message}

    def _on_planning(self, message: Float64) -> None:
        self._planning_ms.append(message.data)
