"""Saves and loads trained policies; torch is imported only where a policy is a torch module."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_policy import __version__
from robot_policy.core.errors import CheckpointError, ConfigError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.policy import LoadedPolicy
from robot_policy.core.registry import Registry
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Statistics
from robot_policy.policies.registry import POLICIES
from robot_policy.runtime.policy_folder import (
    CONFIG,
    FORMAT_VERSION,
    SPEC,
    STATISTICS,
    PolicyFolder,
    PolicyKind,
    statistics_digest,
    statistics_from_json,
    statistics_to_json,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from robot_policy.critics.module import Critic
    from robot_policy.critics.torch_scorer import TorchScorer
    from robot_policy.nets.trainable import TrainableModule
    from robot_policy.policies.module import PolicyModule
    from robot_policy.policies.torch_policy import TorchPolicy

__all__ = [
    "check_unchanged",
    "find_policy",
    "load_policy",
    "load_scorer",
    "load_spec",
    "load_statistics",
    "load_torch_policy",
    "parse_config",
    "resolve_device",
    "save_critic",
    "save_policy",
    "statistics_digest",
    "statistics_from_json",
    "statistics_to_json",
    "write_description",
]

_SCALING = "scaling_digest"
"""Key in the file of the weights; older files lack it."""


def save_policy(
    folder: Path,
    *,
    name: str,
    module: "PolicyModule",
    pipeline: Pipeline,
    statistics: Statistics,
    weights: "Mapping[str, Tensor]",
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
    config = {
        "policy": name,
        "hyper_parameters": dataclasses.asdict(module.config),
        "pipeline": pipeline.to_json(),
        "training": dict(training),
    }
    spec = pipeline.source_spec(module.spec)
    _save(folder, config, spec=spec, statistics=statistics, weights=weights)


def save_critic(
    folder: Path,
    *,
    name: str,
    module: "Critic",
    pipeline: Pipeline,
    statistics: Statistics,
    weights: "Mapping[str, Tensor]",
    labels: Mapping[str, Any],
    instructions: Sequence[str],
    training: Mapping[str, Any],
) -> None:
    """Writes a critic folder that `load_scorer` reads.

    Args:
        folder: Is created; the caller moves it into place when it is whole.
        name: Of the critic in the registry.
        module: Gives config and spec.
        pipeline: Saved by configuration; the one scaling, in training and in use.
        statistics: Saved in full; what the pipeline is rebuilt from.
        weights: State of the module, for example its moving average.
        labels: What its values are values of.
        instructions: It was trained on, and may be asked about.
        training: Settings of the run, kept for the reader.
    """
    config = {
        "critic": name,
        "hyper_parameters": dataclasses.asdict(module.config),
        "pipeline": pipeline.to_json(),
        "labels": dict(labels),
        "instructions": list(instructions),
        "training": dict(training),
    }
    spec = pipeline.source_spec(module.spec)
    _save(folder, config, spec=spec, statistics=statistics, weights=weights)


def _save(
    folder: Path,
    config: Mapping[str, Any],
    *,
    spec: PolicySpec,
    statistics: Statistics,
    weights: "Mapping[str, Tensor]",
) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    write_description(folder, config, spec=spec, statistics=statistics)
    tensors = {key: value.detach().cpu().contiguous() for key, value in weights.items()}
    scaling = _scaling_digest(statistics_digest(statistics), config["pipeline"])
    save_file(tensors, folder / PolicyKind.CHECKPOINT.model_file, metadata={_SCALING: scaling})


def _scaling_digest(statistics: str, pipeline: Sequence[Mapping[str, Any]]) -> str:
    """Of everything that says what the numbers of a network mean, its memories included."""
    return hashlib.sha256(json.dumps([statistics, list(pipeline)]).encode()).hexdigest()


def write_description(
    folder: Path, config: Mapping[str, Any], *, spec: PolicySpec, statistics: Statistics
) -> None:
    """Writes what both kinds of policy folder have: all but the network."""
    versions = {"format_version": FORMAT_VERSION, "robot_policy_version": __version__}
    digest = {"statistics_digest": statistics_digest(statistics)}
    write_json(folder / CONFIG, {**versions, **config, **digest})
    write_json(folder / SPEC, spec.to_json())
    write_json(folder / STATISTICS, statistics_to_json(statistics))


def load_policy(
    path: str | Path,
    *,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
    threads: int = 0,
) -> LoadedPolicy:
    """Loads a trained policy, or an exported one, for which no torch is needed or imported.

    Args:
        path: A policy folder, a checkpoint step, or a run, whose last checkpoint is taken.
        device: ``cpu``, ``cuda`` or ``auto``.
        options: Hyper-parameters to set anew, of those that shape how the policy draws: number of
            denoising steps, sampler, guidance.
        threads: CPU threads it may use, 0 for as many as the library would take.

    Raises:
        CheckpointError: If the folder is missing, incomplete or damaged, was written by another
            format version, or holds other statistics than it was trained with; if `device` is not
            available.
        UnknownNameError: If its policy is not in the registry, or has no such option.
        ConfigError: If an option's value does not suit, or the policy was exported, which fixes
            its options.
    """
    folder = PolicyFolder.find(Path(path))
    if folder.kind == PolicyKind.CHECKPOINT:
        return load_torch_policy(folder, device=device, options=options, threads=threads)
    from robot_policy.runtime.exported_policy import ExportedPolicy  # an optional extra

    if options:
        raise ConfigError(
            "an exported policy draws as it was exported",
            where=folder.path,
            got=", ".join(f"{name}={value}" for name, value in options.items()),
            hint="export the checkpoint again with these options",
        )
    return ExportedPolicy.load(folder, device=device, threads=threads)


def load_torch_policy(
    folder: PolicyFolder,
    *,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
    threads: int = 0,
) -> "TorchPolicy":
    """Loads a checkpoint; arguments and errors are those of `load_policy`."""
    from robot_policy.policies.torch_policy import TorchPolicy

    config = folder.unchanged_config()
    if "critic" in config:
        raise CheckpointError(
            "a critic, which judges actions and proposes none",
            where=folder.path,
            expected="a policy",
            got=config["critic"],
            hint="give it with --steer to a policy",
        )
    module, pipeline = _load_module(folder, config, config.get("policy"), POLICIES, options)
    return TorchPolicy(module, pipeline, device=resolve_device(device), threads=threads)


def load_scorer(
    path: str | Path,
    *,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
    threads: int = 0,
) -> "TorchScorer":
    """Loads a trained critic.

    Args:
        path: A critic folder, a checkpoint step, or a run, whose last checkpoint is taken.
        device: ``cpu``, ``cuda`` or ``auto``.
        options: Hyper-parameters to set anew: `pessimism`.
        threads: CPU threads it may use, 0 for as many as the library would take.

    Raises:
        CheckpointError: As `load_policy`; if the folder holds a policy.
        UnknownNameError: If its kind is not in the registry, or has no such option.
    """
    from robot_policy.critics.registry import CRITICS
    from robot_policy.critics.torch_scorer import TorchScorer
    from robot_policy.nets.language import make_text_encoder

    folder = PolicyFolder.find(Path(path))
    config = folder.unchanged_config()
    if "critic" not in config:
        raise CheckpointError(
            "a policy, which proposes actions and judges none",
            where=folder.path,
            expected="a critic, as `robot-policy train-critic` makes it",
        )
    loaded = _load_module(folder, config, config["critic"], CRITICS, options)
    module: Critic = loaded[0]
    text = make_text_encoder(module.config.text_encoder, features=module.config.text_features)
    return TorchScorer(
        module,
        loaded[1],
        text=text,
        instructions=tuple(map(str, config.get("instructions", ()))),
        name=config["critic"],
        device=resolve_device(device),
        threads=threads,
    )


def _load_module(
    folder: PolicyFolder,
    config: Mapping[str, Any],
    name: Any,
    registry: Registry,
    options: Mapping[str, Any] | None,
) -> tuple[Any, Pipeline]:
    pipeline = folder.pipeline(config)
    try:
        if name is None:
            raise KeyError("policy")
        module_class: type[TrainableModule[Any]] = registry[name]
        hyper_parameters = parse_config(module_class.config_type, config["hyper_parameters"])
        for option in options or {}:
            if option not in module_class.sampling_options:
                valid = module_class.sampling_options
                raise UnknownNameError.of("sampling option", option, valid, where=name)
        hyper_parameters = dataclasses.replace(hyper_parameters, **(options or {}))
        module = module_class(hyper_parameters, pipeline.network_spec(folder.spec()))
    except (KeyError, TypeError) as error:
        raise folder.wrong_entry(error) from error
    scaling = _scaling_digest(config["statistics_digest"], config["pipeline"])
    _load_weights(module, folder.model, scaling=scaling)
    return module, pipeline


def load_spec(path: Path) -> PolicySpec:
    """Reads only the spec of a policy.

    Raises:
        CheckpointError: If there is no policy at `path`, or its spec is damaged.
    """
    return PolicyFolder.find(path).spec()


def load_statistics(path: Path) -> Statistics:
    """Reads only the statistics of a policy.

    Raises:
        CheckpointError: If there is no policy at `path`, or its statistics are damaged.
    """
    return PolicyFolder.find(path).statistics()


def check_unchanged(path: Path) -> dict[str, Any]:
    """Checks that a policy is of this version and has the statistics it was trained with.

    Returns:
        Its ``config.json``.

    Raises:
        CheckpointError: If not, or if there is no policy at `path`.
    """
    return PolicyFolder.find(path).unchanged_config()


def find_policy(path: Path) -> Path:
    """Returns the policy folder that `path` means: itself, in a step, or in a run.

    Raises:
        CheckpointError: If there is none, or a file of it is missing.
    """
    return PolicyFolder.find(path).path


def resolve_device(name: str) -> "torch.device":
    """Returns a device of torch; ``auto`` is the GPU where there is one.

    Raises:
        CheckpointError: If it is not available.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise CheckpointError("unknown device", where=name, valid=["cpu", "cuda"]) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("no CUDA device here", where=name, valid=["cpu"])
    return device


def parse_config[C](config_type: type[C], data: Mapping[str, Any]) -> C:
    """Builds a flat config dataclass from JSON, where tuples have become lists.

    Raises:
        TypeError: If a field is unknown or missing.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return config_type(**values)


def _load_weights(module: "TrainableModule[Any]", path: Path, *, scaling: str) -> None:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            known = (file.metadata() or {}).get(_SCALING, scaling)
        if known != scaling:
            raise CheckpointError(
                "weights and memories of another data set or another scaling",
                where=path,
                expected=f"those that {CONFIG} and {STATISTICS} beside it were written with",
            )
        module.load_state_dict(load_file(path))
    except SafetensorError as error:
        raise CheckpointError("damaged or truncated", where=path, got=error) from error
    except RuntimeError as error:
        raise CheckpointError("weights of another network", where=path, got=error) from error
