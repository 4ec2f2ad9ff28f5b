"""What resuming needs beside the policy: raw weights, optimiser moments, generators; no pickle."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robot_policy.core.errors import CheckpointError, DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.training.ema import Ema


def save_training_state(
    folder: Path,
    *,
    step: int,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
    generator: torch.Generator,
) -> None:
    """Writes everything that makes a resumed run equal to one that was not stopped."""
    folder.mkdir(parents=True)
    tensors = {f"model.{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in ema.shadow.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(t) for name, t in moments.items()}
    tensors["generator"] = generator.get_state()
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(tensors, folder / "state.safetensors")
    write_json(folder / "state.json", {"step": step})


def load_training_state(
    folder: Path,
    *,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
    generator: torch.Generator,
) -> int:
    """Restores what `save_training_state` wrote and returns the step.

    Raises:
        CheckpointError: If the folder is missing, damaged or of another network.
    """
    try:
        step = int(read_json(folder / "state.json")["step"])
        tensors = load_file(folder / "state.safetensors")
        module.load_state_dict(_under("model.", tensors))
        ema.load(_under("ema.", tensors))
        _load_optimizer(optimizer, _under("optimizer.", tensors))
        generator.set_state(tensors["generator"])
    except (DataError, SafetensorError, FileNotFoundError, KeyError, RuntimeError) as error:
        raise CheckpointError("cannot resume", where=folder, got=error) from error
    return step


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
