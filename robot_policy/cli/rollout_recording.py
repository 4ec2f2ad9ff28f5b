"""Rollouts of a policy as a dataset, failures included: what critics learn from."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robot_policy.core.errors import DataError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.data.formats.registry import FORMATS

if TYPE_CHECKING:
    from sim.episode_runner import Rollout

_FORMAT = "lerobot_v3"


class RolloutRecording:
    """Appends each rollout as it ends; a kill loses the one under way.

    A rollout of the same checkpoint and seed that is there already is not written again, so that an
    evaluation that was stopped can be run once more.

    Args:
        path: Dataset; created, or appended to.
        task: Of the twin.
        policy: Spec of the policy; only its cameras are recorded.
        source: Checkpoint, kept with every episode.

    Raises:
        DataError: If something else is at `path`.
        SpecError: If the dataset there holds other observations or commands.
    """

    def __init__(self, path: Path, *, task: str, policy: PolicySpec, source: str) -> None:
        from sim.registry import TASKS

        robot = load_robot(policy.robot)
        spec = robot.spec(
            environment_state=TASKS[task].environment_state_spec, cameras=tuple(policy.cameras)
        )
        self._spec = replace(spec, cameras=policy.cameras)
        self._path = path
        self._source = source
        self._format = FORMATS[_FORMAT]
        if path.exists():
            if not self._format.detect(path):
                raise DataError("no dataset to append to", where=f"--record {path}")
            check_runs_on(self._spec, self._format.read_spec(path), where=f"--record {path}")
        self._known = {
            (episode.metadata.get("policy"), episode.metadata.get("seed"))
            for episode in (self._format.read(path, cameras=()) if path.exists() else ())
        }

    def add(self, rollout: "Rollout") -> "Rollout":
        """Writes a rollout and returns it without its frames, which need not be kept in memory."""
        episode = rollout.episode
        assert episode is not None
        rollout = replace(rollout, episode=None)
        metadata = {**episode.metadata, "policy": self._source}
        if (self._source, metadata.get("seed")) in self._known:
            return rollout
        self._format.write(
            self._path,
            [replace(episode, metadata=metadata)],
            self._spec,
            append=self._path.exists(),
        )
        return rollout
