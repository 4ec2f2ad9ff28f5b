"""Writes rosbag2 folders in MCAP, without ROS, so that any tool that reads bags opens them."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import require_new_folder
from robot_policy.data.ros_messages import RosMessage
from robot_policy.data.rosbag.bag_file_writer import BagFileWriter
from robot_policy.data.rosbag.bag_metadata import write_bag_metadata


class BagWriter:
    """Collects messages into a bag that is there, whole, once `close` returns.

    Until then everything lies in a hidden folder beside `folder`, and `discard` removes it. Not
    safe for use by several threads at once.

    Args:
        folder: Of the bag; new or empty. The MCAP file in it gets the folder's name.

    Raises:
        ConfigError: If `folder` already holds something.
    """

    def __init__(self, folder: Path) -> None:
        require_new_folder(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._staging = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.")
        self._built = Path(self._staging.name) / folder.name
        self._built.mkdir()
        self._file = BagFileWriter(self._built / f"{folder.name}.mcap")
        self._count = 0
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __len__(self) -> int:
        """Messages so far."""
        return self._count

    def write(self, topic: str, message: RosMessage, *, stamp_ns: int) -> None:
        """Adds a message.

        Args:
            topic: Where it was published.
            message: Of the same type as all others of `topic`.
            stamp_ns: When it was received [ns]; readers order by it, and it may go back.

        Raises:
            UnknownNameError: If the type is not a standard one.
            DataError: If another type was written to the topic before.
            ConfigError: If the bag is closed.
        """
        if not self._open:
            raise ConfigError("the bag is closed", where=self.folder)
        self._file.write(topic, message, stamp_ns=stamp_ns)
        self._count += 1

    def close(self, notes: Mapping[str, str] | None = None) -> Path:
        """Finishes the bag and moves it to its place.

        Args:
            notes: Kept as ``custom_data`` in metadata.yaml.

        Returns:
            Its folder.

        Raises:
            DataError: If there is no message; nothing is left behind.
            ConfigError: If something has appeared at the folder's place meanwhile.
        """
        if not self._open:
            raise ConfigError("the bag is closed", where=self.folder)
        if not self._count:
            self.discard()
            raise DataError("no message to write", where=self.folder)
        self._open = False
        try:
            write_bag_metadata(self._built, [self._file.close()], custom=notes)
            require_new_folder(self.folder)
            if self.folder.is_dir():
                self.folder.rmdir()
            self._built.replace(self.folder)
        finally:
            self._staging.cleanup()
        return self.folder

    def discard(self) -> None:
        """Removes what was written; does nothing after `close`."""
        if self._open:
            self._open = False
            self._file.close()
            self._staging.cleanup()
