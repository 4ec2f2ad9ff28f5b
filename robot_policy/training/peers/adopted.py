"""A policy that another library trained, on its way to a checkpoint here."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from robot_policy.checkpoint import save_policy
from robot_policy.core.errors import CheckpointError, SpecError
from robot_policy.core.files import require_new_folder
from robot_policy.core.transforms import Normalize, Pipeline
from robot_policy.policies.module import PolicyModule

type Scaling = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Offset and scale of y = (x - offset) / scale, per entry."""


@dataclass(frozen=True)
class AdoptedPolicy:
    """What was read from another library.

    Attributes:
        name: Of the policy in the registry.
        module: Network with the trained weights.
        scalings: Feature key to its scaling; absent features are left as they are.
        origin: Where it comes from, kept for the reader.
        note: What a person should know before running it; may be empty.
    """

    name: str
    module: PolicyModule
    scalings: Mapping[str, Scaling]
    origin: Mapping[str, Any]
    note: str = ""

    def save(self, output: Path) -> None:
        """Writes a policy folder, whole or not at all.

        Raises:
            ConfigError: If there is something at `output` already.
        """
        require_new_folder(output)
        statistics = {
            key: {"offset": offset, "scale": scale}
            for key, (offset, scale) in self.scalings.items()
        }
        transforms = [
            Normalize.from_statistics(statistics, key=key, mode="affine") for key in statistics
        ]
        unfinished = output.with_name(f".{output.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            save_policy(
                unfinished,
                name=self.name,
                module=self.module,
                pipeline=Pipeline(transforms),
                statistics=statistics,
                weights=self.module.state_dict(),
                training=self.origin,
            )
            unfinished.rename(output)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def load_weights(module: PolicyModule, weights: Mapping[str, Tensor], *, where: Path) -> None:
    """Loads every weight by name.

    Raises:
        CheckpointError: If one is missing, unknown or of another size.
    """
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise CheckpointError("weights of another network", where=where, got=error) from error


def require_size(got: Sequence[int], expected: Sequence[int], *, feature: str, where: Path) -> None:
    """Checks the size of a feature against the dataset's.

    Raises:
        SpecError: If they differ.
    """
    if list(got) != list(expected):
        raise SpecError(
            f"{feature} has another size than in the dataset",
            where=where,
            expected=list(expected),
            got=list(got),
        )
