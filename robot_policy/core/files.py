"""Files that are written whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError, DataError


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yields a temporary path beside `path`; on success it takes the place of `path`.

    If the block raises, the temporary file is removed and `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Writes `data` as indented JSON; NaN and infinity are refused, they are not JSON."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text)


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: If the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (ValueError, OSError) as error:
        raise DataError("not a readable JSON file", where=path, got=error) from error


def require_new_folder(path: Path) -> None:
    """Refuses an output folder that already holds something.

    Raises:
        ConfigError: If `path` is a file or a non-empty folder.
    """
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise ConfigError(
            "the output folder exists and will not be overwritten",
            where=path,
            hint="choose another --output or remove it",
        )


@contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """Yields a place beside `path` to build a folder at; on success it becomes `path`.

    If the block raises, nothing is left behind.

    Raises:
        ConfigError: If `path` is a file or a non-empty folder.
    """
    require_new_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        built = Path(temporary) / path.name
        yield built
        if path.is_dir():
            path.rmdir()
        shutil.move(built, path)
