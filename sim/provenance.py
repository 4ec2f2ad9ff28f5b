"""What a result was made with: processor, memory and versions."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

_DISTRIBUTIONS = {
    "robot_policy": "robot-policy",
    "numpy": "numpy",
    "torch": "torch",
    "diffusers": "diffusers",
    "mujoco": "mujoco",
    "robosuite": "robosuite",
    "rclpy": "ros-jazzy-rclpy",
}


def machine() -> dict[str, Any]:
    """Returns processor, usable cores, memory [GB] and GPU names of this machine, JSON-ready."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": _gpus(),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of what is installed of the packages that matter."""
    found = {"python": platform.python_version()}
    for name, distribution in _DISTRIBUTIONS.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    name = _field(Path("/proc/cpuinfo"), "model name")
    return name or platform.processor() or platform.machine()


def _gpus() -> list[str]:
    # The driver lists its devices here, so nothing has to be loaded to name them.
    folder = Path("/proc/driver/nvidia/gpus")
    files = sorted(folder.glob("*/information")) if folder.is_dir() else []
    return [name for file in files if (name := _field(file, "Model"))]


def _field(path: Path, label: str) -> str | None:
    if not path.is_file():
        return None
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == label:
            return value.strip()
    return None
