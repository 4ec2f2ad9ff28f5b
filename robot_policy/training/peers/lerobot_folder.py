"""Reads a policy folder of lerobot: ``config.json``, weights and the two processors."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from robot_policy.core.errors import CheckpointError, SpecError
from robot_policy.core.files import read_json
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.policies.registry import POLICIES
from robot_policy.training.peers.adopted import (
    AdoptedPolicy,
    Scaling,
    load_weights,
    require_size,
)
from robot_policy.training.peers.lerobot_scaling import lerobot_scaling

_NAMES = {"diffusion": "lerobot_diffusion", "act": "lerobot_act"}

# Settings that change nothing about what a trained policy answers to states.
_WITHOUT_EFFECT = frozenset(
    [
        "type",
        "input_features",
        "output_features",
        "normalization_mapping",
        "device",
        "use_amp",
        "push_to_hub",
        "repo_id",
        "private",
        "tags",
        "license",
        "pretrained_path",
        "pretrained_revision",
        "n_action_steps",
        "drop_n_last_frames",
        "vision_backbone",
        "resize_shape",
        "crop_ratio",
        "crop_shape",
        "crop_is_random",
        "use_group_norm",
        "pretrained_backbone_weights",
        "replace_final_stride_with_dilation",
        "gradient_checkpointing",
        "spatial_softmax_num_keypoints",
        "use_separate_rgb_encoder_per_camera",
        "compile_model",
        "compile_mode",
        "optimizer_lr",
        "optimizer_betas",
        "optimizer_eps",
        "optimizer_weight_decay",
        "optimizer_lr_backbone",
        "scheduler_name",
        "scheduler_warmup_steps",
    ]
)
# Settings that are given here by something else, and the value at which that holds.
_FIXED: Mapping[str, Mapping[str, Any]] = {
    "diffusion": {"use_peft": False},
    "act": {"use_peft": False, "n_obs_steps": 1, "temporal_ensemble_coeff": None},
}
_PREPROCESSOR_STEPS = (
    "rename_observations_processor",
    "to_batch_processor",
    "device_processor",
    "normalizer_processor",
)
_POSTPROCESSOR_STEPS = ("unnormalizer_processor", "device_processor")


def find_lerobot_policy(path: Path) -> Path | None:
    """Returns the folder of lerobot's policy that `path` means, or None."""
    last = path / "checkpoints" / "last" / "pretrained_model"
    for folder in (path, path / "pretrained_model", last):
        if (folder / "config.json").is_file() and (folder / "model.safetensors").is_file():
            return folder
    return None


def read_lerobot_policy(folder: Path, source: PolicySpec) -> AdoptedPolicy:
    """Reads a policy that lerobot trained.

    Args:
        folder: lerobot's ``pretrained_model``.
        source: Spec of the dataset it was trained on.

    Raises:
        CheckpointError: If a file is missing or damaged, or if it is a policy, a setting or a
            processing step that has no counterpart here.
        SpecError: If its features are not those of the dataset.
    """
    raw = read_json(folder / "config.json")
    kind = raw.get("type")
    if kind not in _NAMES:
        raise CheckpointError(
            f"lerobot's policy {kind!r} is not known here", where=folder, valid=_NAMES
        )
    name = _NAMES[kind]
    policy_class = POLICIES[name]
    config = policy_class.config_type(**_settings(raw, kind, policy_class.config_type, folder))
    module = policy_class.build(config, _reduced(source, raw, folder))
    weights = _load(load_file, folder / "model.safetensors")
    load_weights(module, {f"policy.{k}": v for k, v in weights.items()}, where=folder)
    executed = raw.get("n_action_steps")
    return AdoptedPolicy(
        name,
        module.eval(),
        _scalings(folder, module.spec),
        {"adopted_from": "lerobot", "source": str(folder), "n_action_steps": executed},
        f"lerobot executes {executed} actions of a chunk: --execute-steps {executed}",
    )


def _settings(raw: Mapping[str, Any], kind: str, config_type: type, folder: Path) -> dict[str, Any]:
    where = folder / "config.json"
    for name, value in _FIXED[kind].items():
        if raw.get(name, value) != value:
            raise CheckpointError(
                f"{name} is not supported", where=where, expected=value, got=raw[name]
            )
    ours = [field.name for field in dataclasses.fields(config_type)]
    unknown = sorted(set(raw) - set(ours) - _WITHOUT_EFFECT - set(_FIXED[kind]))
    if unknown:
        raise CheckpointError(
            f"setting {unknown[0]!r} is not known here", where=where, got=raw[unknown[0]]
        )
    missing = [name for name in ours if name not in raw]
    if missing:
        raise CheckpointError(f"setting {missing[0]!r} is missing", where=where)
    values = {name: raw[name] for name in ours}
    if values.get("num_inference_steps", 0) is None:  # as many as in training
        values["num_inference_steps"] = values["num_train_timesteps"]
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def _reduced(source: PolicySpec, raw: Mapping[str, Any], folder: Path) -> PolicySpec:
    """The dataset's spec with what the policy looks at, which must be in it."""
    inputs, outputs = raw["input_features"], raw["output_features"]
    for key, feature in inputs.items():
        # Other features of type STATE are in lerobot's list, but its network looks at these only.
        if feature["type"] == "STATE" or key == ENVIRONMENT_STATE:
            continue
        raise SpecError(
            f"the policy looks at {key}, which is not supported",
            where=folder,
            valid=(STATE, ENVIRONMENT_STATE),
        )
    for key, where_from in ((STATE, inputs), (ENVIRONMENT_STATE, inputs), (ACTION, outputs)):
        if key not in where_from:
            raise SpecError(f"the policy has no {key}", where=folder)
    if source.environment_state is None:
        raise SpecError(
            f"the policy looks at {ENVIRONMENT_STATE}, which the dataset does not have",
            where=folder,
        )
    expected = {
        STATE: source.state.shape,
        ENVIRONMENT_STATE: source.environment_state.shape,
        ACTION: source.action.shape,
    }
    for key, shape in expected.items():
        feature = outputs[key] if key == ACTION else inputs[key]
        require_size(feature["shape"], shape, feature=key, where=folder)
    return dataclasses.replace(source, cameras={})


def _scalings(folder: Path, spec: PolicySpec) -> dict[str, Scaling]:
    before = _steps(folder, "policy_preprocessor", _PREPROCESSOR_STEPS)
    after = _steps(folder, "policy_postprocessor", _POSTPROCESSOR_STEPS)
    if renamed := before["rename_observations_processor"]["config"].get("rename_map"):
        raise CheckpointError("it renames features", where=folder, expected="none", got=renamed)
    normalizer, unnormalizer = before["normalizer_processor"], after["unnormalizer_processor"]
    keys = [STATE] if spec.environment_state is None else [STATE, ENVIRONMENT_STATE]
    wanted = [(key, normalizer) for key in keys] + [(ACTION, unnormalizer)]
    scalings = {}
    for key, step in wanted:
        config = step["config"]
        if config.get("normalize_observation_keys") is not None:
            raise CheckpointError("normalize_observation_keys is not supported", where=folder)
        kind = config["features"][key]["type"]
        scaling = lerobot_scaling(
            key,
            config["norm_map"].get(kind, "IDENTITY"),
            _statistics(folder / step["state_file"], key),
            eps=config["eps"],
        )
        if scaling is not None:
            scalings[key] = scaling
    return scalings


def _steps(folder: Path, name: str, known: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    path = folder / f"{name}.json"
    steps = {step["registry_name"]: step for step in read_json(path)["steps"]}
    for step in steps:
        if step not in known:
            raise CheckpointError(f"step {step!r} is not known here", where=path, valid=known)
    for step in known:
        if step not in steps:
            raise CheckpointError(f"step {step!r} is missing", where=path)
    return steps


def _statistics(path: Path, key: str) -> dict[str, NDArray[np.floating]]:
    prefix = f"{key}."
    arrays = _load(load_arrays, path)
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _load(load: Any, path: Path) -> dict[str, Any]:
    try:
        return load(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.name} is missing", where=path.parent) from error
    except SafetensorError as error:
        raise CheckpointError("damaged or truncated", where=path, got=error) from error
