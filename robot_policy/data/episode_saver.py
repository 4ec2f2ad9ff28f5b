"""Adds episodes to a dataset beside whoever records the next one."""

import logging
import threading
from collections import deque
from pathlib import Path

from robot_policy.core.episode import Episode
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.files import require_new_folder
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.episode_check import check_episode
from robot_policy.data.formats.episode_format import DatasetWriter
from robot_policy.data.formats.episode_mapping import description_of, recording_of
from robot_policy.data.formats.lerobot_undo import remove_last_episode
from robot_policy.data.formats.lerobot_v3 import FORMAT
from robot_policy.data.recording import INTERVENTION

_log = logging.getLogger(__name__)


class EpisodeSaver:
    """Writes one episode after the other in a thread of its own, in LeRobot v3.0.

    An episode that cannot be written, because the disk is full for example, is kept, and so are
    those after it: `problem` says why, and `retry` tries again.

    Args:
        path: Dataset; what is there is appended to.
        spec: What every episode holds.
        interventions: Whether episodes tell where a person drove instead of a policy; so do those
            that are added to a dataset whose episodes do.

    Raises:
        SpecError: If the dataset holds something else.
        DataError: If it is damaged.
        ConfigError: If there is something else at `path`.
    """

    def __init__(self, path: Path, spec: PolicySpec, *, interventions: bool = False) -> None:
        self.path = path
        self.problem: str | None = None
        """Why the oldest episode could not be written; None while all is well."""
        self._spec = spec
        there = FORMAT.detect(path)
        self.interventions = interventions or (there and _tells_interventions(path))
        """Whether episodes must tell where a person drove."""
        self._description = description_of(spec, interventions=self.interventions)
        self._writer: DatasetWriter | None = None
        if there:
            self._writer = FORMAT.append(path, self._description)
        else:
            require_new_folder(path)
        self._waiting: deque[Episode | None] = deque()  # None takes the last one back
        self._before = self.saved
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="save episodes")
        self._thread.start()

    @property
    def saved(self) -> int:
        """Episodes that the dataset holds."""
        return 0 if self._writer is None else self._writer.episodes

    @property
    def waiting(self) -> int:
        """Episodes that are not written, or not taken back, yet."""
        with self._changed:
            return len(self._waiting)

    @property
    def kept(self) -> int:
        """Episodes that the dataset will hold once nothing waits any more."""
        with self._changed:
            return self.saved + sum(1 if episode is not None else -1 for episode in self._waiting)

    def submit(self, episode: Episode) -> None:
        """Adds an episode after those that wait.

        Raises:
            SpecError: If it does not fit the dataset.
            DataError: If a value is not finite.
        """
        check_episode(episode, self._spec, where="the recorded episode")
        with self._changed:
            self._waiting.append(episode)
            self._changed.notify_all()

    def undo(self) -> int:
        """Takes the last episode back that was submitted here.

        Returns:
            Its number.

        Raises:
            ConfigError: If none is left.
        """
        number = self.kept - 1
        if number < self._before:
            raise ConfigError("no episode of this session is left to take back", where=self.path)
        with self._changed:
            self._waiting.append(None)
            self._changed.notify_all()
        return number

    def retry(self) -> None:
        """Tries again to write what could not be written."""
        with self._changed:
            self.problem = None
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Waits until everything is written, and says whether it is; not after a problem."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self.problem, timeout_s)
            return not self._waiting

    def close(self) -> int:
        """Writes what waits, trying once more if it has to, and ends the thread.

        Returns:
            Episodes that are lost; `problem` says why.
        """
        with self._changed:
            self.problem = None
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()
        if self._writer is not None:
            self._writer.close()
        return len(self._waiting)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or (self._waiting and not self.problem)
                )
                if not self._waiting or self.problem:
                    return
                episode = self._waiting[0]
            try:
                if episode is None:
                    self._take_back()
                else:
                    self._write(episode)
            except (RobotPolicyError, OSError) as error:
                problem = str(error)
            except Exception as error:
                # Whatever it is, it must not take the episodes with it.
                _log.exception("an episode could not be written")
                problem = f"{type(error).__name__}: {error}"
            else:
                problem = None
            with self._changed:
                self.problem = problem
                if problem is None:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _take_back(self) -> None:
        assert self._writer is not None  # what is taken back has been written before
        self._writer.close()
        self._writer = remove_last_episode(self.path, self._description)

    def _write(self, episode: Episode) -> None:
        if self._writer is None:
            # Not before there is an episode: an empty dataset is of no use.
            self._writer = FORMAT.create(self.path, self._description)
        self._writer.add(recording_of(episode, self._writer.episodes))


def _tells_interventions(path: Path) -> bool:
    return INTERVENTION in FORMAT.open(path).description.features
