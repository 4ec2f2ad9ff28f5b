"""Plan, execute, plan again: the arm waits while the policy thinks."""

from robot_policy.runtime.schedules.schedule import Actions, OneChunk


class Receding(OneChunk):
    """Executes the first Ta actions of a chunk, then plans from the observation of that moment.

    Nothing is executed that the newest observation has no part in, and nothing overlaps. While a
    plan is under way the arm holds.
    """

    def reset(self) -> None:
        """Drops the chunk."""
        super().reset()
        self._end = 0

    @property
    def remaining(self) -> Actions:
        """(R, A) actions that are executed before the next plan."""
        return super().remaining[: max(self._end - self._next, 0)]

    def wants_plan(self, *, delay: int) -> bool:
        """Whether all Ta actions are executed."""
        del delay
        return not len(self.remaining)

    def put(self, chunk: Actions, *, executed: Actions) -> None:
        """Begins `chunk`, after what was executed since its observation."""
        super().put(chunk, executed=executed)
        self._end = self._next + self.execute_steps
