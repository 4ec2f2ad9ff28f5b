"""`robot-policy adopt SOURCE`: a policy that another library trained becomes a checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.core.files import write_json


@dataclass(frozen=True)
class AdoptConfig:
    """Turn a policy that lerobot or robomimic trained into a checkpoint."""

    source: Positional[Path]
    """lerobot's run or policy folder, or robomimic's .pth file."""
    dataset: Path
    """Dataset it was trained on: gives robot, rate and features."""
    output: Path
    """New policy folder."""
    json: Path | None = None
    """Also write what it is to this file."""


def run(config: AdoptConfig) -> int:
    """Adopts, and prints where the checkpoint is."""
    from robot_policy.training.peers.adopt import adopt  # seconds of torch, not for --help

    adopted = adopt(config.source, config.dataset, config.output)
    parameters = sum(p.numel() for p in adopted.module.parameters())
    print(f"{adopted.name}: {parameters / 1e6:.2f} M parameters; {adopted.note}")
    print(f"checkpoint: {config.output}")
    if config.json is not None:
        write_json(
            config.json,
            {
                "policy": adopted.name,
                "parameters": parameters,
                "checkpoint": str(config.output),
                **adopted.origin,
            },
        )
    return 0
