"""Tasks of frames and of episodes, against the table of tasks."""

from collections.abc import Iterator

from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

UNKNOWN = Fault(
    "task-index",
    Severity.ERROR,
    "a frame has a task that is not in the table of tasks",
    "add the task to the table, or write the frames anew",
)
ANOTHER = Fault(
    "task-mismatch",
    Severity.ERROR,
    "the metadata of an episode name other tasks than its frames",
    "--fix takes the tasks of the frames",
    mended=True,
)


class LeRobotTasks(Check):
    """Compares frames, episodes and the table."""

    faults = (UNKNOWN, ANOTHER)
    formats = LEROBOT

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at `task_index`."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        indices = recording.columns["task_index"][:, 0]
        unknown = (indices < 0) | (indices >= len(reader.tasks))
        for run in runs(unknown):
            found = f"{indices[run.first]}, expected less than {len(reader.tasks)}{run}"
            yield Finding(UNKNOWN, Place(None, position, run.frames, "task_index"), found)
        told = reader.row(position).get("tasks")
        if unknown.any() or told is None:
            return
        there = {reader.tasks[int(index)] for index in set(indices.tolist())}
        texts = sorted(map(str, told)) if isinstance(told, list) else [str(told)]
        if set(texts) != there:
            found = f"{texts}, expected {sorted(there)}"
            yield Finding(ANOTHER, Place(episode=position, feature="tasks"), found)
