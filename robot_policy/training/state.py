"""What resuming needs beside the policy: raw weights and optimiser moments; no pickle."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robot_policy.core.errors import CheckpointError, DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.training.ema import Ema


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: Gradient steps done.
        losses: Training losses of the last steps.
        validation_loss: The last one, of the averaged weights; None before the first.
        scaler: State of the loss scaler in float16.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    validation_loss: float | None = None
    scaler: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float | None:
        """Mean of the last training losses; None before the first step."""
        return sum(self.losses) / len(self.losses) if self.losses else None


def save_training_state(
    folder: Path,
    *,
    progress: Progress,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
) -> None:
    """Writes everything that makes a resumed run equal to one that was not stopped."""
    folder.mkdir(parents=True)
    tensors = {f"model.{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in ema.shadow.items()}
    for name, parameter in module.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{name}.{moment}"] = torch.as_tensor(value)
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
    save_file(tensors, folder / "state.safetensors")
    write_json(folder / "state.json", asdict(progress))


def load_training_state(
    folder: Path,
    *,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
) -> Progress:
    """Restores what `save_training_state` wrote and returns how far it had come.

    Raises:
        CheckpointError: If the folder is missing, damaged or of another network.
    """
    try:
        progress = Progress(**read_json(folder / "state.json"))
        tensors = load_file(folder / "state.safetensors")
        module.load_state_dict(_under("model.", tensors))
        ema.load(_under("ema.", tensors))
        _load_optimizer(optimizer, module, _under("optimizer.", tensors))
    except (
        DataError, SafetensorError, FileNotFoundError, KeyError, TypeError, RuntimeError
    ) as error:  # fmt: skip
        raise CheckpointError("cannot resume", where=folder, got=error) from error
    return progress


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, module: nn.Module, moments: dict[str, Tensor]
) -> None:
    """Finds parameters by name: their place in the optimiser depends on its groups."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    members = [p for group in optimizer.param_groups for p in group["params"]]
    place = {names[id(parameter)]: index for index, parameter in enumerate(members)}
    state: dict[int, dict[str, Any]] = {}
    for key, value in moments.items():
        name, _, moment = key.rpartition(".")
        state.setdefault(place[name], {})[moment] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
