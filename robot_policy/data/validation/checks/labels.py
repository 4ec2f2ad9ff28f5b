"""What is told of episodes: their outcome and their task."""

from collections.abc import Iterator

from robot_policy.core.episode import Success
from robot_policy.data.curation.ranges import format_ranges
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity

OUTCOME = Fault(
    "success-unknown",
    Severity.NOTE,
    "it is not known whether an episode succeeded",
    "`data label --set success=yes`, or no",
)
TASK_TEXT = Fault(
    "task-empty",
    Severity.NOTE,
    "an episode has no instruction text",
    "`data convert --task`, if a policy is to read it",
)


class Labels(Check):
    """Remembers which episodes lack a label, as ranges; the rest is text."""

    faults = (OUTCOME, TASK_TEXT)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._unknown: list[int] = []
        self._silent: list[int] = []

    def episode(self, position: int, recording: Recording) -> tuple[Finding, ...]:
        """Takes note."""
        if recording.success is Success.UNKNOWN:
            self._unknown.append(position)
        if not recording.task.strip():
            self._silent.append(position)
        return ()

    def end(self) -> Iterator[Finding]:
        """One finding for all episodes of a kind."""
        for fault, episodes in ((OUTCOME, self._unknown), (TASK_TEXT, self._silent)):
            if episodes:
                found = f"{len(episodes)} episodes: {format_ranges(episodes)}"
                yield Finding(fault, Place(episode=episodes[0]), found)
