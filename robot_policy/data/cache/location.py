"""Where decoded datasets are kept, and how they come there whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from robot_policy.core.errors import ConfigError

FOLDER_VARIABLE = "ROBOT_POLICY_CACHE"
"""Environment variable with the folder that ``user`` stands for."""
USER, BESIDE, NONE = "user", "beside", "none"
_VERSION = "v1"
"""Part of every address; another one when files come to mean something else."""
_BUILDING = ".building-"
ARRAYS_PART = "arrays"
"""Folder of an entry with everything but images."""
ABOUT = "about.json"
"""File of a part that tells a person, and `remove_outdated`, what it is."""


def cache_root(choice: str, dataset: Path) -> Path:
    """Returns the folder of caches that a setting stands for.

    Args:
        choice: ``user``, the user's cache folder; ``beside``, a hidden folder beside the dataset;
            otherwise a folder.
        dataset: The dataset.
    """
    if choice == BESIDE:
        dataset = dataset.resolve()
        return dataset.parent / f".{dataset.name}.cache"
    if choice != USER:
        return Path(choice)
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "robot-policy"


def entry_folder(root: Path, digest: str) -> Path:
    """Returns the folder with everything decoded from the dataset with this digest."""
    return root / "windows" / _VERSION / digest.rpartition(":")[2]


def memory_file(root: Path, dataset: Path) -> Path:
    """Returns the file in which digests of the files of a dataset are remembered."""
    name = hashlib.sha256(os.fsencode(dataset.resolve())).hexdigest()[:32]
    return root / "digests" / f"{name}.json"


@contextmanager
def one_builder(entry: Path) -> Generator[None]:
    """Lets one process at a time build in an entry; the others wait.

    The lock saves work. What is in the entry is right without it, because parts come into place by
    a rename. It ends with the process that holds it, however that ends, and what such a process
    left half built is removed by the next one.

    Raises:
        ConfigError: If the folder cannot be written.
    """
    try:
        entry.mkdir(parents=True, exist_ok=True)
        handle = os.open(entry / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _not_writable(entry, error) from error
    try:
        if _lock(handle):
            for leftover in entry.glob(f"{_BUILDING}*"):
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    import fcntl  # not on every system, and a help only

    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # some network file systems have no locks
        return False
    return True


@contextmanager
def publishing(part: Path) -> Generator[Path]:
    """Yields a new folder to build in; on success it becomes `part`.

    If another process was faster, its part stays: both were built from the same content. If the
    block raises, nothing is left behind.

    Raises:
        ConfigError: If the folder cannot be written, or its disk is full.
    """
    building: Path | None = None
    try:
        building = Path(tempfile.mkdtemp(dir=part.parent, prefix=_BUILDING))
        mask = os.umask(0)
        os.umask(mask)
        building.chmod(0o777 & ~mask)
        yield building
        for path in (*building.iterdir(), building):
            _flush(path)
        try:
            building.rename(part)
        except OSError:
            if not part.is_dir():
                raise
        _flush(part.parent)
    except OSError as error:
        raise _not_writable(part, error) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)


def _not_writable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        "the cache cannot be written", where=path, got=error, hint="choose another --cache"
    )


def remove_outdated(entry: Path, dataset: Path) -> None:
    """Removes what was built when the dataset at this path had another content.

    Whoever has it mapped keeps it until the end of the process.
    """
    wanted = {"dataset": str(dataset.resolve())}
    for about in entry.parent.glob(f"*/{ARRAYS_PART}/{ABOUT}"):
        other = about.parent.parent
        try:
            outdated = other != entry and json.loads(about.read_text()) == wanted
        except (OSError, ValueError):
            continue
        if outdated:
            shutil.rmtree(other, ignore_errors=True)


def _flush(path: Path) -> None:
    """Has the disk, so that not even a power failure leaves a name with half a content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_space(folder: Path, needed: int) -> None:
    """Refuses to build what will not fit.

    Raises:
        ConfigError: If fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            "the cache does not fit on the disk",
            where=folder,
            expected=f"{needed / 1e9:.1f} GB free",
            got=f"{free / 1e9:.1f} GB",
            hint="choose another --cache, or a smaller --image-size",
        )
