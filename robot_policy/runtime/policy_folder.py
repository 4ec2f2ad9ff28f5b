"""The folder of a trained policy: what lies in it, read without a training stack.

Both kinds share ``config.json``, ``spec.json`` and ``stats.json``. A checkpoint has the weights of
a torch module beside them, an exported policy the whole network as ``model.onnx``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np

from robot_policy.core.errors import CheckpointError, RobotPolicyError
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Statistics

FORMAT_VERSION = 2
"""Raised when weights come to mean something else: since 2 the features of a window are ordered by
observation."""
CONFIG, SPEC, STATISTICS = "config.json", "spec.json", "stats.json"
_DESCRIPTION = (CONFIG, SPEC, STATISTICS)


class PolicyKind(StrEnum):
    """How the network is stored; the value is ``kind`` in ``config.json``."""

    CHECKPOINT = "checkpoint"
    EXPORTED = "onnx"

    @property
    def model_file(self) -> str:
        """Name of the file with the network."""
        return _MODEL_FILES[self]


_MODEL_FILES = {PolicyKind.CHECKPOINT: "model.safetensors", PolicyKind.EXPORTED: "model.onnx"}


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """A folder in which every file of a policy is present.

    Attributes:
        path: Of the folder itself.
        kind: Of what is stored there.
    """

    path: Path
    kind: PolicyKind

    @classmethod
    def find(cls, path: Path) -> Self:
        """Returns the folder that `path` means: itself, in a step, or in a run.

        Raises:
            CheckpointError: If there is none, or a file of it is missing.
        """
        if not path.exists():
            raise CheckpointError("no such checkpoint", where=path)
        for folder in (path, path / "policy", path / "checkpoints" / "last" / "policy"):
            kind = _kind(folder)
            files = (*_DESCRIPTION, kind.model_file)
            present = [name for name in files if (folder / name).is_file()]
            if len(present) == len(files):
                return cls(folder, kind)
            if present:
                missing = sorted(set(files) - set(present))
                raise CheckpointError(f"{missing[0]} is missing", where=folder, expected=files)
        raise CheckpointError(
            "not a checkpoint",
            where=path,
            expected=f"a folder with {', '.join(_DESCRIPTION)} and model.safetensors or "
            "model.onnx, or a training run",
        )

    @property
    def model(self) -> Path:
        """File with the network."""
        return self.path / self.kind.model_file

    def config(self) -> dict[str, Any]:
        """Reads ``config.json``.

        Raises:
            CheckpointError: If it is damaged or was written by another version.
        """
        config = self._parse(CONFIG, dict[str, Any])
        if config.get("format_version") != FORMAT_VERSION:
            raise CheckpointError(
                "written by another version",
                where=self.path / CONFIG,
                expected=f"format_version {FORMAT_VERSION}",
                got=config.get("format_version"),
            )
        return config

    def unchanged_config(self) -> dict[str, Any]:
        """Reads ``config.json`` and checks that the statistics are those of the training.

        Raises:
            CheckpointError: If they are not, or `config` refuses.
        """
        config = self.config()
        if config.get("statistics_digest") != statistics_digest(self.statistics()):
            raise CheckpointError(
                "not the statistics this policy was trained with",
                where=self.path / STATISTICS,
                expected=f"the ones of statistics_digest in {self.path / CONFIG}",
            )
        return config

    def spec(self) -> PolicySpec:
        """Reads what the policy needs and promises.

        Raises:
            CheckpointError: If it is damaged.
        """
        return self._parse(SPEC, PolicySpec.from_json)

    def statistics(self) -> Statistics:
        """Reads the statistics of the data it was trained on.

        Raises:
            CheckpointError: If they are damaged.
        """
        return self._parse(STATISTICS, statistics_from_json)

    def pipeline(self, config: Mapping[str, Any]) -> Pipeline:
        """Rebuilds the pipeline of `config` from the statistics.

        Raises:
            CheckpointError: If an entry is missing or of the wrong type.
        """
        statistics = self.statistics()
        try:
            return Pipeline.from_json(config["pipeline"], statistics)
        except (KeyError, TypeError) as error:
            raise self.wrong_entry(error) from error

    def wrong_entry(self, error: Exception) -> CheckpointError:
        """Returns what to say of an entry of ``config.json`` that does not fit."""
        return CheckpointError("a wrong entry", where=self.path / CONFIG, got=error)

    def _parse[T](self, name: str, parse: Callable[[Any], T]) -> T:
        path = self.path / name
        try:
            return parse(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, RobotPolicyError) as error:
            raise CheckpointError("damaged", where=path, got=repr(error)) from error


def _kind(folder: Path) -> PolicyKind:
    exported = PolicyKind.EXPORTED
    if (folder / exported.model_file).is_file():
        return exported
    try:
        named = json.loads((folder / CONFIG).read_text()).get("kind")
    except (OSError, ValueError, AttributeError):
        named = None  # whoever reads it whole says what is wrong
    return exported if named == exported else PolicyKind.CHECKPOINT


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


def statistics_digest(statistics: Statistics) -> str:
    """SHA-256 over all values, as they are read back."""
    values = statistics_to_json(statistics_from_json(statistics_to_json(statistics)))
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
