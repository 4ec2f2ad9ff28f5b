"""`robot-policy export CHECKPOINT --output DIR`: a policy that runs without torch."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import require_new_folder, write_json


@dataclass(frozen=True)
class ExportConfig:
    """Make a trained policy run without torch, as an ONNX graph."""

    checkpoint: tyro.conf.Positional[Path]
    """A training run, one of its checkpoints, or a policy folder."""
    output: Path
    """New folder; eval, serve, up and bench take it in place of a checkpoint."""
    candidates: str = "dynamic"
    """Number of candidates per plan that it can draw: dynamic for any, or one number."""
    options: tuple[str, ...] = ()
    """How the policy draws, as key=value: sample_steps=5, for example. Fixed from then on."""
    tolerance: float = 1e-3
    """Largest difference to the original that is accepted, in normalised actions."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write what was exported to this file.")] = None


def run(config: ExportConfig) -> int:
    """Exports, compares with the original and prints how far they are apart."""
    candidates = _candidates(config.candidates)
    require_new_folder(config.output)
    options = parse_options(config.options, checkpoint=config.checkpoint)
    from robot_policy.export.artefact import export_policy  # seconds of torch

    result = export_policy(
        config.checkpoint,
        config.output,
        candidates=candidates,
        options=options,
        tolerance=config.tolerance,
    )
    print(
        f"{config.output}: {result.policy}, {result.size_bytes / 1e6:.1f} MB, "
        f"reads {', '.join(result.inputs)}\n"
        f"largest difference to the original: {result.largest_difference:.2g} of normalised "
        f"actions, over {len(result.compared)} sizes (B, N) in "
        f"{', '.join(map(str, result.compared))}"
    )
    if config.json is not None:
        write_json(config.json, dataclasses.asdict(result) | {"output": str(config.output)})
    return 0


def _candidates(text: str) -> int | None:
    if text == "dynamic":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(
            "not a number of candidates",
            where="--candidates",
            expected="dynamic, or a positive number",
            got=text,
        )
    return int(text)
