"""What a conversion under way was started with, so that it goes on only with the same."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import read_json, require_new_folder, write_json


@dataclass(frozen=True, slots=True)
class Journal:
    """A file beside the target that is there while the target is not complete.

    Attributes:
        target: What is written.
        started_with: Source and settings, JSON-ready.
    """

    target: Path
    started_with: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """The file."""
        return self.target.with_name(f".{self.target.name}.convert.json")

    def begin(self) -> bool:
        """Begins or goes on.

        Returns:
            Whether an earlier conversion left something to go on with.

        Raises:
            ConfigError: If something else is at the target, or the earlier conversion was started
                with another source or other settings.
        """
        if not self.path.exists():
            require_new_folder(self.target)
            write_json(self.path, dict(self.started_with))
            return False
        before = read_json(self.path)
        if not isinstance(before, dict):
            raise DataError("not the journal of a conversion", where=self.path)
        for key, value in self.started_with.items():
            if before.get(key) != value:
                raise ConfigError(
                    f"an unfinished conversion is there, with another {key}",
                    where=self.target,
                    expected=before.get(key),
                    got=value,
                    hint="remove it, or go on as it was begun",
                )
        return self.target.exists()

    def end(self) -> None:
        """The target is complete."""
        self.path.unlink(missing_ok=True)


def fingerprint(path: Path) -> str:
    """Names, sizes and times of a dataset's files; another one tells that it has changed."""
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    seen = hashlib.blake2b(digest_size=16)
    for file in files:
        stat = file.stat()
        name = file.relative_to(path).as_posix()
        seen.update(json.dumps([name, stat.st_size, stat.st_mtime_ns]).encode())
    return seen.hexdigest()
