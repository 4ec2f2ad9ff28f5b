"""The mistake that the other schedules avoid; for comparison only."""

from robot_policy.runtime.schedules.schedule import Actions, OneChunk


class Naive(OneChunk):
    """Begins every new chunk at its first action, as soon as it is there.

    That action was meant for the moment of the observation. After a latency of d steps the arm
    repeats d steps that lie behind it.
    """

    def put(self, chunk: Actions, *, executed: Actions) -> None:
        """Begins `chunk` at its first action."""
        super().put(chunk, executed=executed[:0])
