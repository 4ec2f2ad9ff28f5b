"""`robot-policy train POLICY`: offline training."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robot_policy.core.errors import UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.policies.registry import POLICIES
from robot_policy.training.config import PRESETS, TrainConfig

_USAGE = """\
usage: {prog} POLICY [--preset PRESET] --dataset DIR --output DIR [OPTIONS]

Train a policy on a dataset; resumable.

policies: {policies}
presets:  {presets} (default cpu)

{prog} POLICY --help shows the options of a policy."""


@dataclass(frozen=True)
class TrainCommand:
    """A policy's name and the settings of its run."""

    policy: str
    config: TrainConfig[Any]


def parse(arguments: Sequence[str], *, prog: str) -> TrainCommand:
    """Reads the policy and the preset first, because the defaults of the others hang on them.

    Raises:
        UnknownNameError: If there is no such policy or preset.
    """
    if not arguments or arguments[0].startswith("-"):
        print(_USAGE.format(prog=prog, policies=", ".join(POLICIES), presets=", ".join(PRESETS)))
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, rest = arguments[0], list(arguments[1:])
    if name not in POLICIES:
        raise UnknownNameError.of("policy", name, POLICIES)
    preset, rest = _take_preset(rest)
    policy_class = POLICIES[name]
    defaults = PRESETS[preset]
    import tyro  # not needed to list the policies

    # MISSING leaves the two folders required while everything else takes the preset's value.
    config = tyro.cli(
        TrainConfig[policy_class.config_type],
        args=rest,
        prog=f"{prog} {name}",
        description=f"Train {name}. --preset {{{','.join(PRESETS)}}} sets the defaults below.",
        default=TrainConfig(
            dataset=tyro.MISSING,
            output=tyro.MISSING,
            policy=policy_class.presets[preset],
            steps=defaults.steps,
            batch_size=defaults.batch_size,
            optimizer=defaults.optimizer,
        ),
    )
    return TrainCommand(name, config)


def _take_preset(arguments: list[str]) -> tuple[str, list[str]]:
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name != "--preset":
            continue
        rest = arguments[:index] + arguments[index + 1 :]
        if not value and index < len(rest):
            value = rest.pop(index)
        if value not in PRESETS:
            raise UnknownNameError.of("preset", value, PRESETS)
        return value, rest
    return "cpu", arguments


def run(command: TrainCommand) -> int:
    """Trains and prints where the checkpoint is.

    Returns:
        0, or 130 after Ctrl-C, which leaves a checkpoint to resume from.
    """
    from robot_policy.training.loop import Trainer  # seconds of torch, not for --help

    config = command.config
    trainer = Trainer(command.policy, config)
    try:
        result = trainer.run()
    except KeyboardInterrupt:
        last = trainer.folder.last_checkpoint()
        print(f"stopped; checkpoint: {last}; --resume goes on", file=sys.stderr)
        return 130
    validation = (
        "" if result.validation_loss is None else f", validation {result.validation_loss:.4f}"
    )
    print(
        f"{command.policy}: {result.parameters / 1e6:.2f} M parameters, {result.steps} steps, "
        f"{result.steps_per_s:.1f} it/s, loss {result.loss:.4f}{validation}\n"
        f"checkpoint: {result.checkpoint}"
    )
    if config.json is not None:
        write_json(config.json, dataclasses.asdict(result) | {"checkpoint": str(result.checkpoint)})
    return 0
