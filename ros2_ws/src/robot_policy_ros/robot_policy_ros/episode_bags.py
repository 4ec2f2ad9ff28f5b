"""A bag per episode beside a dataset, for sessions that are recorded outside of a recorder node."""

from pathlib import Path

from rclpy.node import Node

from robot_policy.core.robot import RobotDescription
from robot_policy_ros.bag_recording import BagRecording, recorded_topics
from robot_policy_ros.subscriptions import InputTopics


class EpisodeBags:
    """Records the topics of a robot from the start of every episode to its end.

    Args:
        node: Owns the subscriptions.
        robot: Gives the topics.
        cameras: Whose pictures are recorded.
        folder: For the bags, ``episode-<number>`` each.
    """

    def __init__(
        self, node: Node, robot: RobotDescription, cameras: tuple[str, ...], *, folder: Path
    ) -> None:
        self._folder = folder
        self.problem = ""
        """Why the last bag was given up; empty while all is well."""
        recorded = recorded_topics(robot, cameras, InputTopics())
        self._bag = BagRecording(node, recorded, failed=self._on_failure)

    def start(self, number: int) -> None:
        """Begins the bag of an episode.

        Raises:
            ConfigError: If there is one already.
        """
        self.problem = ""
        self._bag.start(self._folder / f"episode-{number:06d}")

    def finish(self, notes: dict[str, str]) -> None:
        """Ends it."""
        self._bag.finish(notes)

    def discard(self) -> None:
        """Ends it and removes it."""
        self._bag.discard()

    def close(self) -> None:
        """Ends the thread once everything is written."""
        self._bag.close()

    def _on_failure(self, reason: str) -> None:
        self.problem = reason
