"""Reads a checkpoint of robomimic, a ``.pth`` file, without running anything from it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_policy.core.errors import CheckpointError, SpecError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.policies.peers.robomimic_bc_rnn import (
    OBSERVATION_KEYS,
    RobomimicBcRnn,
    RobomimicBcRnnConfig,
)
from robot_policy.training.peers.adopted import (
    AdoptedPolicy,
    Scaling,
    load_weights,
    require_size,
)

ACTION_OFFSET, ACTION_SCALE = "action_offset", "action_scale"
"""Entries of the environment's settings, which robomimic copies from the data file into its
checkpoints: how actions in [-1, 1] become the robot's units."""

# Where a setting must have one value for the policy to be the one that is known here.
_FIXED: Mapping[str, Any] = {
    "algo.rnn.enabled": True,
    "algo.gmm.enabled": True,
    "algo.gaussian.enabled": False,
    "algo.vae.enabled": False,
    "algo.transformer.enabled": False,
    "algo.rnn.open_loop": False,
    "algo.rnn.kwargs.bidirectional": False,
    "observation.modalities.obs.rgb": [],
    "observation.modalities.obs.depth": [],
    "observation.modalities.obs.scan": [],
    "observation.modalities.goal.low_dim": [],
    "observation.encoder.low_dim.core_class": None,
    "train.frame_stack": 1,
}


def read_robomimic_checkpoint(path: Path, source: PolicySpec) -> AdoptedPolicy:
    """Reads a BC-RNN-GMM that robomimic trained on a data file written here.

    Args:
        path: ``.pth`` file.
        source: Spec of the dataset it was trained on.

    Raises:
        CheckpointError: If the file is damaged, needs more than tensors and plain values, or is
            of a policy, setting or scaling that has no counterpart here.
        SpecError: If its features are not those of the dataset.
    """
    checkpoint = _load(path)
    try:
        raw = json.loads(checkpoint["config"])
        shapes = checkpoint["shape_metadata"]
        kwargs = checkpoint["env_metadata"]["env_kwargs"]
        algorithm, weights = checkpoint["algo_name"], checkpoint["model"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError("not a checkpoint of robomimic", where=path, got=error) from error
    if algorithm != "bc":
        raise CheckpointError(
            f"robomimic's algorithm {algorithm!r} is not known here", where=path, valid=["bc"]
        )
    config = _config(raw, path)
    module = RobomimicBcRnn.build(config, _reduced(source, shapes, path))
    unknown = sorted(set(weights) - {key.removeprefix("nets.") for key in _all_names(module)})
    if unknown:
        raise CheckpointError(f"weight {unknown[0]!r} is not known here", where=path)
    named = {f"nets.{key}": value for key, value in weights.items()}
    load_weights(module, named, where=path)
    scalings = {ACTION: _action_scaling(kwargs, source, path)}
    scalings |= _observation_scalings(checkpoint.get("obs_normalization_stats"))
    return AdoptedPolicy(
        "robomimic_bc_rnn",
        module.eval(),
        scalings,
        {"adopted_from": "robomimic", "source": str(path)},
        "it predicts one action at a time: --execute-steps 1",
    )


def _all_names(module: RobomimicBcRnn) -> set[str]:
    return {name for name, _ in module.named_parameters(remove_duplicate=False)}


def _load(path: Path) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:
        raise CheckpointError("damaged or truncated", where=path, got=error) from error
    except Exception as error:  # whatever the restricted reader stumbles over
        raise CheckpointError(
            "it holds more than tensors and plain values, and reading it would run code from it",
            where=path,
            got=str(error).strip().partition("\n")[0],
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError("not a checkpoint of robomimic", where=path)
    return checkpoint


def _config(raw: Mapping[str, Any], path: Path) -> RobomimicBcRnnConfig:
    for name, value in _FIXED.items():
        got = _entry(raw, name, value)
        if got != value:
            raise CheckpointError(f"{name} is not supported", where=path, expected=value, got=got)
    algo = raw["algo"]
    rnn, gmm = algo["rnn"], algo["gmm"]
    return RobomimicBcRnnConfig(
        horizon=rnn["horizon"],
        hidden_dim=rnn["hidden_dim"],
        num_layers=rnn["num_layers"],
        rnn_type=rnn["rnn_type"],
        actor_layer_dims=tuple(algo["actor_layer_dims"]),
        num_modes=gmm["num_modes"],
        min_std=gmm["min_std"],
        std_activation=gmm["std_activation"],
        low_noise_eval=gmm["low_noise_eval"],
    )


def _entry(raw: Mapping[str, Any], name: str, default: Any) -> Any:
    value: Any = raw
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def _reduced(source: PolicySpec, shapes: Mapping[str, Any], path: Path) -> PolicySpec:
    """The dataset's spec with what the policy looks at, which must be in it."""
    sizes = {name: list(shape) for name, shape in shapes["all_shapes"].items()}
    for name in sizes:
        if name not in OBSERVATION_KEYS:
            raise SpecError(
                f"the policy looks at {name!r}, which is not a feature of the dataset",
                where=path,
                valid=OBSERVATION_KEYS,
            )
    if "state" not in sizes:
        raise SpecError("the policy does not look at 'state'", where=path)
    require_size(sizes["state"], source.state.shape, feature="state", where=path)
    require_size([shapes["ac_dim"]], source.action.shape, feature="action", where=path)
    environment = source.environment_state if "object" in sizes else None
    if "object" in sizes:
        if environment is None:
            raise SpecError(
                f"the policy looks at 'object', but the dataset has no {ENVIRONMENT_STATE}",
                where=path,
            )
        require_size(sizes["object"], environment.shape, feature="object", where=path)
    return dataclasses.replace(source, cameras={}, environment_state=environment)


def _action_scaling(kwargs: Mapping[str, Any], source: PolicySpec, path: Path) -> Scaling:
    if ACTION_OFFSET not in kwargs or ACTION_SCALE not in kwargs:
        raise CheckpointError(
            "it does not say how its actions in [-1, 1] become the robot's units",
            where=path,
            expected=f"{ACTION_OFFSET} and {ACTION_SCALE} in the env_kwargs of its data file",
        )
    offset, scale = (
        np.asarray(kwargs[name], dtype=np.float64) for name in (ACTION_OFFSET, ACTION_SCALE)
    )
    require_size(offset.shape, source.action.shape, feature=ACTION_OFFSET, where=path)
    require_size(scale.shape, source.action.shape, feature=ACTION_SCALE, where=path)
    return offset, scale


def _observation_scalings(statistics: Mapping[str, Any] | None) -> dict[str, Scaling]:
    """Robomimic's normalisation of observations, (x - mean) / std, if it was on."""
    return {
        OBSERVATION_KEYS[name]: (
            np.asarray(stats["mean"], dtype=np.float64)[0],
            np.asarray(stats["std"], dtype=np.float64)[0],
        )
        for name, stats in (statistics or {}).items()
    }
