"""Where a calibration came from: digest of its inputs, date, versions."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_DISTRIBUTIONS = {
    "robot_policy": "robot-policy",
    "numpy": "numpy",
    "opencv": "opencv-python-headless",
    "scipy": "scipy",
}


@dataclass(frozen=True, slots=True)
class Provenance:
    """What it takes to tell whether a result belongs to some data.

    Attributes:
        inputs_sha256: Digest of everything the numbers were computed from.
        date: ISO 8601 date or time, passed in by the caller; "" where nobody did.
        versions: Of Python and the libraries that compute.
    """

    inputs_sha256: str
    date: str = ""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])


def provenance(inputs_sha256: str, *, date: str = "") -> Provenance:
    """Builds a provenance with the versions of what is installed."""
    return Provenance(inputs_sha256, date, installed_versions())


def installed_versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries that compute."""
    found = {"python": platform.python_version()}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def digest_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 over names and contents, in the order given; folders above a file do not count."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def digest_of_arrays(arrays: Iterable[NDArray[np.generic]]) -> str:
    """SHA-256 over shapes, types and contents, in the order given."""
    total = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array)
        total.update(f"{plain.dtype.str}{plain.shape}".encode())
        total.update(plain.tobytes())
    return total.hexdigest()
