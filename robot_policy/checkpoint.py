"""Checkpoint folders: ``config.json``, ``spec.json``, ``stats.json``, ``model.safetensors``."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from robot_policy import __version__
from robot_policy.core.errors import CheckpointError, RobotPolicyError
from robot_policy.core.files import write_json
from robot_policy.core.policy import Policy
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Statistics
from robot_policy.policies.module import PolicyModule
from robot_policy.policies.registry import POLICIES
from robot_policy.policies.torch_policy import TorchPolicy

FORMAT_VERSION = 1
_FILES = ("config.json", "spec.json", "stats.json", "model.safetensors")


def save_policy(
    folder: Path,
    *,
    name: str,
    module: PolicyModule,
    pipeline: Pipeline,
    statistics: Statistics,
    weights: Mapping[str, Tensor],
    training: Mapping[str, Any],
) -> None:
    """Writes a policy folder that `load_policy` reads.

    Args:
        folder: Is created; the caller moves it into place when it is whole.
        name: Of the policy in the registry.
        module: Gives config and spec.
        pipeline: Saved by configuration.
        statistics: Saved in full; what the pipeline is rebuilt from.
        weights: State of the module, for example its moving average.
        training: Settings of the run, kept for the reader.
    """
    folder.mkdir(parents=True)
    write_json(
        folder / "config.json",
        {
            "format_version": FORMAT_VERSION,
            "robot_policy_version": __version__,
            "policy": name,
            "hyper_parameters": dataclasses.asdict(module.config),
            "pipeline": pipeline.to_json(),
            "training": dict(training),
        },
    )
    write_json(folder / "spec.json", module.spec.to_json())
    write_json(folder / "stats.json", statistics_to_json(statistics))
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    save_file(tensors, folder / "model.safetensors")


def load_policy(path: str | Path, *, device: str = "cpu") -> Policy:
    """Loads a trained policy.

    Args:
        path: A policy folder, a checkpoint step, or a run, whose last checkpoint is taken.
        device: ``cpu`` or ``cuda``.

    Raises:
        CheckpointError: If the folder is missing, incomplete or damaged, or was written by
            another format version; if `device` is not available.
        UnknownNameError: If its policy is not in the registry.
    """
    folder = find_policy(Path(path))
    config = _read(folder / "config.json")
    _check_version(config, folder)
    statistics = load_statistics(folder)
    spec = load_spec(folder)
    policy_class: type[PolicyModule] = POLICIES[config["policy"]]
    try:
        hyper_parameters = parse_config(policy_class.config_type, config["hyper_parameters"])
        module = policy_class(hyper_parameters, spec)
        pipeline = Pipeline.from_json(config["pipeline"], statistics)
    except (KeyError, TypeError) as error:
        raise CheckpointError("a wrong entry", where=folder / "config.json", got=error) from error
    _load_weights(module, folder / "model.safetensors")
    return TorchPolicy(module, pipeline, device=resolve_device(device))


def load_spec(path: Path) -> PolicySpec:
    """Reads only the spec of a checkpoint.

    Raises:
        CheckpointError: If there is no checkpoint at `path`, or its spec is damaged.
    """
    return _parse(find_policy(path) / "spec.json", PolicySpec.from_json)


def load_statistics(path: Path) -> Statistics:
    """Reads only the statistics of a checkpoint.

    Raises:
        CheckpointError: If there is no checkpoint at `path`, or its statistics are damaged.
    """
    return _parse(find_policy(path) / "stats.json", statistics_from_json)


def find_policy(path: Path) -> Path:
    """Returns the policy folder that `path` means: itself, in a step, or in a run.

    Raises:
        CheckpointError: If there is none, or a file of it is missing.
    """
    if not path.exists():
        raise CheckpointError("no such checkpoint", where=path)
    for folder in (path, path / "policy", path / "checkpoints" / "last" / "policy"):
        present = [name for name in _FILES if (folder / name).is_file()]
        if len(present) == len(_FILES):
            return folder
        if present:
            missing = sorted(set(_FILES) - set(present))
            raise CheckpointError(f"{missing[0]} is missing", where=folder, expected=_FILES)
    raise CheckpointError(
        "not a checkpoint",
        where=path,
        expected=f"a folder with {', '.join(_FILES)}, or a training run",
    )


def resolve_device(name: str) -> torch.device:
    """Returns a device; ``auto`` is the GPU where there is one.

    Raises:
        CheckpointError: If it is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise CheckpointError("unknown device", where=name, valid=["cpu", "cuda"]) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("no CUDA device here", where=name, valid=["cpu"])
    return device


def statistics_to_json(statistics: Statistics) -> dict[str, dict[str, list[Any]]]:
    """Returns a JSON-ready dict; shapes are kept as nested lists."""
    return {
        key: {name: np.asarray(value).tolist() for name, value in stats.items()}
        for key, stats in statistics.items()
    }


def statistics_from_json(data: Mapping[str, Mapping[str, Any]]) -> Statistics:
    """Inverse of `statistics_to_json`."""
    return {
        key: {name: np.asarray(value, dtype=np.float64) for name, value in stats.items()}
        for key, stats in data.items()
    }


def parse_config[C](config_type: type[C], data: Mapping[str, Any]) -> C:
    """Builds a flat config dataclass from JSON, where tuples have become lists.

    Raises:
        TypeError: If a field is unknown or missing.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return config_type(**values)


def _read(path: Path) -> dict[str, Any]:
    return _parse(path, dict)


def _parse[T](path: Path, parse: Callable[[Any], T]) -> T:
    try:
        return parse(json.loads(path.read_text()))
    except (ValueError, KeyError, TypeError, RobotPolicyError) as error:
        raise CheckpointError("damaged", where=path, got=repr(error)) from error


def _check_version(config: Mapping[str, Any], folder: Path) -> None:
    if config.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            "written by another version",
            where=folder / "config.json",
            expected=f"format_version {FORMAT_VERSION}",
            got=config.get("format_version"),
        )


def _load_weights(module: PolicyModule, path: Path) -> None:
    try:
        module.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise CheckpointError("damaged or truncated", where=path, got=error) from error
    except RuntimeError as error:
        raise CheckpointError("weights of another network", where=path, got=error) from error
