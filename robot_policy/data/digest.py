"""What a dataset is, in 64 characters: equal digests mean equal files, wherever they lie.

Reading gigabytes of video to find out that nothing changed would take longer than using them. So
digests of files are remembered together with size, times and inode, and only files that look
different are read again, as git does.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.core.files import write_json

_PREFIX = "blake2b:"
_SIZE = 28
# A file that was changed again within the resolution of its times would look unchanged, so what is
# this young is not remembered.
_SETTLED_NS = 2_000_000_000


def content_digest(path: Path, *, memory: Path | None = None) -> str:
    """Digest of all files of a dataset: their names below `path` and their content.

    Files and folders whose names begin with a dot are no part of a dataset.

    Args:
        path: Folder, or single file, whose own name does not count.
        memory: File in which digests of files are kept for the next time; only ever a help.

    Raises:
        DataError: If there is no such dataset, or a file cannot be read.
    """
    if not path.exists():
        raise DataError("no such dataset", where=path)
    known = {} if memory is None else _recall(memory)
    begun_ns = time.time_ns()
    try:
        files = {name: _identity(file) for name, file in _files(path).items()}
        fresh = [name for name in files if known.get(name, [None])[0] != files[name]]
        with ThreadPoolExecutor() as pool:
            digests = pool.map(lambda name: _file_digest(path / name if name else path), fresh)
            new = dict(zip(fresh, digests, strict=True))
    except OSError as error:
        raise DataError("not readable", where=path, got=error) from error
    all_digests = {name: new.get(name) or known[name][1] for name in sorted(files)}
    if memory is not None and (fresh or len(known) != len(files)):
        _remember(memory, files, all_digests, settled_ns=begun_ns - _SETTLED_NS)
    whole = hashlib.blake2b(digest_size=_SIZE)
    for name, digest in all_digests.items():
        whole.update(json.dumps([name, digest]).encode())
    return _PREFIX + whole.hexdigest()


def _files(path: Path) -> dict[str, Path]:
    """Name below `path`, empty for `path` itself, to file."""
    if path.is_file():
        return {"": path}
    found: dict[str, Path] = {}
    entered: set[str] = set()
    for folder, folders, names in os.walk(path, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:  # a link that leads back up
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith("."):
                file = Path(folder, name)
                found[file.relative_to(path).as_posix()] = file
    return found


def _identity(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_SIZE))
    return digest.hexdigest()


def _recall(memory: Path) -> dict[str, tuple[list[int], str]]:
    try:
        entries = json.loads(memory.read_text())
        return {str(name): (list(seen), str(digest)) for name, (seen, digest) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # what is not remembered is read again


def _remember(
    memory: Path,
    files: Mapping[str, list[int]],
    digests: Mapping[str, str],
    *,
    settled_ns: int,
) -> None:
    entries = {
        name: [seen, digests[name]]
        for name, seen in files.items()
        if max(seen[1], seen[2]) < settled_ns
    }
    try:
        write_json(memory, entries)
    except OSError:
        return  # a full or read-only disk costs time, no more
