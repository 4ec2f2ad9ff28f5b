"""Writes the folder of an exported policy, and only if it answers as the original does."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_policy.checkpoint import load_torch_policy, write_description
from robot_policy.core.errors import CheckpointError, ConfigError, RobotPolicyError
from robot_policy.core.files import new_folder
from robot_policy.export.example_inputs import random_batch
from robot_policy.export.onnx_graph import write_graph
from robot_policy.policies.module import PolicyModule
from robot_policy.runtime.exported_policy import Graph, GraphInterface, file_sha256
from robot_policy.runtime.policy_folder import PolicyFolder, PolicyKind

_SHAPES = ((1, 1), (1, 16), (2, 1), (3, 5))
"""Batches B and candidates N on which original and graph are compared."""


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        policy: Its name in the registry.
        size_bytes: Of the graph.
        inputs: That the policy reads, beside the noise.
        largest_difference: Between original and graph, in normalised actions, over all
            comparisons.
        compared: Numbers of robots B and candidates N of each comparison.
    """

    policy: str
    size_bytes: int
    inputs: tuple[str, ...]
    largest_difference: float
    compared: tuple[tuple[int, int], ...]


def export_policy(
    checkpoint: Path,
    output: Path,
    *,
    candidates: int | None = None,
    options: Mapping[str, Any] | None = None,
    tolerance: float = 1e-3,
) -> Exported:
    """Exports a checkpoint.

    Args:
        checkpoint: Policy folder, checkpoint step or run.
        output: New folder; written whole or not at all.
        candidates: N, or None for any number.
        options: Hyper-parameters that shape how it draws.
        tolerance: Largest difference allowed, in normalised actions.

    Raises:
        CheckpointError: If the checkpoint is not usable, or is exported already.
        ConfigError: If `output` exists, an option does not suit, or the policy cannot be
            exported.
        RobotPolicyError: If the graph answers differently.
    """
    folder = PolicyFolder.find(checkpoint)
    if folder.kind != PolicyKind.CHECKPOINT:
        raise CheckpointError("exported already", where=folder.path)
    policy = load_torch_policy(folder, options=options)
    module = policy.module
    config = folder.config()
    if module.spec.needs_instruction:
        raise ConfigError(
            "this policy cannot be exported", where=config["policy"], got="it reads task texts"
        )
    with new_folder(output) as built:
        model = built / PolicyKind.EXPORTED.model_file
        built.mkdir()
        interface = write_graph(module, model, candidates=candidates)
        compared = _SHAPES if candidates is None else tuple((b, candidates) for b in (1, 2, 3))
        difference = largest_difference(module, Graph(model, interface), compared)
        if not difference <= tolerance:
            raise RobotPolicyError(
                "the exported graph answers differently",
                where=config["policy"],
                expected=f"at most {tolerance:g} of normalised actions apart",
                got=f"{difference:.3g}",
            )
        write_description(
            built,
            _config(config, module, interface, model, difference),
            spec=policy.spec,
            statistics=folder.statistics(),
        )
        size = model.stat().st_size
    return Exported(config["policy"], size, tuple(interface.inputs), difference, compared)


def _config(
    original: Mapping[str, Any],
    module: PolicyModule,
    interface: GraphInterface,
    model: Path,
    difference: float,
) -> dict[str, Any]:
    return {
        "kind": PolicyKind.EXPORTED.value,
        "policy": original["policy"],
        "hyper_parameters": dataclasses.asdict(module.config),
        "pipeline": original["pipeline"],
        "training": original.get("training", {}),
        "graph": {
            **interface.to_json(),
            "sha256": file_sha256(model),
            "largest_difference": difference,
        },
    }


def largest_difference(
    module: PolicyModule, graph: Graph, shapes: tuple[tuple[int, int], ...]
) -> float:
    """Largest difference of normalised actions between `module` and `graph`.

    Relative for actions beyond [-1, 1], which only samplers that do not clip produce.

    Args:
        module: The original.
        graph: Made from it.
        shapes: B and N of each comparison; the inputs are random, and the number of actions
            decided already goes from none to all.

    Raises:
        ConfigError: If the graph does not run for one of `shapes`.
    """
    horizon = module.spec.horizon
    differences: list[float] = []
    for seed, (batch, count) in enumerate(shapes):
        prefix = round(horizon * seed / max(1, len(shapes) - 1))
        inputs = random_batch(module.spec, batch=batch, prefix=prefix, seed=1 + seed)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(batch, count, *module.noise_shape, generator=generator)
        with torch.inference_mode():
            original = module.decode(inputs, noise).float().numpy()
        arrays = {name: value.numpy() for name, value in inputs.items()}
        try:
            answer = graph(arrays, noise.numpy())
        except Exception as error:  # onnxruntime's own errors have no common public base
            raise ConfigError(
                "this policy cannot be exported: its graph does not run",
                where=f"B = {batch}, N = {count}",
                got=error,
            ) from error
        apart = np.abs(answer - original) / np.maximum(1.0, np.abs(original))
        # NaN compares false with everything and must not pass for a small difference.
        differences.append(float(np.nan_to_num(apart, nan=np.inf).max()))
    return max(differences)
