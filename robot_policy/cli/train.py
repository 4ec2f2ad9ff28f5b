"""`robot-policy train POLICY`: offline training."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robot_policy.core.errors import UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.registry import Registry
from robot_policy.policies.registry import POLICIES
from robot_policy.training.config import PRESETS, TrainConfig, preset_settings

if TYPE_CHECKING:
    from robot_policy.training.loop import Trainer, TrainResult
    from robot_policy.training.several_seeds import SeedOutcome

_USAGE = """\
usage: {prog} {upper} [--preset PRESET] --dataset DIR --output DIR [OPTIONS]

Train a {kind} on a dataset; resumable.

{kind:<8} {names}
presets  {presets} (default cpu)

{prog} {upper} --help shows the options of a {kind}."""


@dataclass(frozen=True)
class TrainCommand:
    """A policy's name, the settings of its run, and which of them were typed (``--steps``)."""

    policy: str
    config: TrainConfig[Any]
    given: frozenset[str] = frozenset()

    def trainer(self, config: TrainConfig[Any]) -> "Trainer":
        """Builds the run of `config`."""
        from robot_policy.training.loop import Trainer

        return Trainer(self.policy, config)


def parse(arguments: Sequence[str], *, prog: str) -> TrainCommand:
    """Reads the policy and the preset first, because the defaults of the others hang on them.

    Raises:
        UnknownNameError: If there is no such policy or preset.
    """
    name, config, given = parse_run(arguments, POLICIES, TrainConfig, prog=prog)
    return TrainCommand(name, config, given)


def parse_run(
    arguments: Sequence[str], registry: Registry, config_type: Any, *, prog: str
) -> tuple[str, Any, frozenset[str]]:
    """Reads what is trained and the settings of the run.

    Args:
        arguments: Of the command.
        registry: Of what can be trained.
        config_type: `TrainConfig`, or one with more settings.
        prog: Name of the command.

    Returns:
        Name, config, and the options that were typed.

    Raises:
        UnknownNameError: If there is no such name or preset.
    """
    kind = registry.kind
    if not arguments or arguments[0].startswith("-"):
        names, presets = ", ".join(registry), ", ".join(PRESETS)
        words = {"kind": kind, "upper": kind.upper(), "names": names, "presets": presets}
        print(_USAGE.format(prog=prog, **words))
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name, rest = arguments[0], list(arguments[1:])
    if name not in registry:
        raise UnknownNameError.of(kind, name, registry)
    preset, rest = take_preset(rest)
    module_class = registry[name]
    import tyro  # not needed to list the names

    # MISSING leaves the two folders required while everything else takes the preset's value.
    config = tyro.cli(
        config_type[module_class.config_type],
        args=rest,
        prog=f"{prog} {name}",
        description=f"Train {name}. --preset {{{','.join(PRESETS)}}} sets the defaults below.",
        default=config_type(
            dataset=tyro.MISSING,
            output=tyro.MISSING,
            **preset_settings(module_class, preset),
        ),
    )
    words = (word.partition("=")[0] for word in rest if word.startswith("--"))
    return name, config, frozenset(word.replace("_", "-") for word in words)


def take_preset(arguments: list[str]) -> tuple[str, list[str]]:
    """Takes ``--preset`` out of the arguments; ``cpu`` if it is not there.

    Raises:
        UnknownNameError: If there is no such preset.
    """
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
    """Trains, or only measures, and prints what came of it.

    Returns:
        0; 2 if a seed of several failed; 130 after Ctrl-C, which leaves a checkpoint to resume
        from.
    """
    _check(command)
    from robot_policy.training.processes import leave_processes  # seconds of torch

    try:
        if command.config.dry_run:
            return _measure(command)
        if command.config.seeds:
            return _train_seeds(command)
        return _train_once(command)
    except KeyboardInterrupt:
        last = "/seed-*/checkpoints/last" if command.config.seeds else "/checkpoints/last"
        where = f"{command.config.output}{last}"
        print(f"stopped; checkpoint: {where}; --resume goes on", file=sys.stderr)
        return 130
    finally:
        leave_processes()


def _check(command: TrainCommand) -> None:
    from robot_policy.training.contradictions import check_given

    check_given(command.given, command.config)
    task = command.config.evaluate.task
    if task is not None:
        from sim.registry import TASKS

        if task not in TASKS:
            raise UnknownNameError.of("task", task, TASKS, where="--evaluate.task")


def _train_once(command: TrainCommand) -> int:
    result = _train(command, command.config)
    if command.config.json is not None and _speaks():
        write_json(command.config.json, _result_to_json(result))
    return 0


def _train(command: TrainCommand, config: TrainConfig[Any]) -> "TrainResult":
    result = command.trainer(config).run()
    if _speaks():
        print(
            f"{command.policy}: {result.parameters / 1e6:.2f} M parameters, {result.steps} steps, "
            f"{result.steps_per_s:.1f} it/s{_losses(result)}\ncheckpoint: {result.checkpoint}"
        )
    return result


def _losses(result: "TrainResult") -> str:
    text = "" if result.loss is None else f", loss {result.loss:.4f}"
    if result.validation_loss is not None:
        text += f", validation {result.validation_loss:.4f}"
    if result.best is not None:
        best = result.best
        text += f", best {best.successes}/{best.episodes} solved at step {best.step}"
    return text


def _train_seeds(command: TrainCommand) -> int:
    from robot_policy.training.several_seeds import summary, train_seeds

    config = command.config

    def ended(outcome: "SeedOutcome") -> None:
        if outcome.result is None and _speaks():
            print(f"seed {outcome.seed} failed: {outcome.error}", file=sys.stderr)

    outcomes = train_seeds(config, train=lambda c: _train(command, c), ended=ended)
    figures = summary(outcomes)
    if _speaks():
        print(f"{sum(o.result is not None for o in outcomes)} of {len(outcomes)} seeds trained")
        for name, figure in figures.items():
            spread = "" if figure["std"] is None else f" ± {figure['std']:.4f}"
            print(f"  {name:<18} {figure['mean']:.4f}{spread} (mean and std of {figure['seeds']})")
        if config.json is not None:
            seeds = [
                {"seed": o.seed, "error": o.error or None}
                | ({} if o.result is None else _result_to_json(o.result))
                for o in outcomes
            ]
            write_json(config.json, {"policy": command.policy, "seeds": seeds, "summary": figures})
    return 0 if all(outcome.result is not None for outcome in outcomes) else 2


def _measure(command: TrainCommand) -> int:
    from robot_policy.training.dry_run import estimate

    measured = estimate(command.trainer(command.config))
    if not _speaks():
        return 0
    rows = [
        ("parameters", f"{measured.parameters:,}"),
        *((f"  {name}", f"{count:,}") for name, count in measured.modules.items()),
        ("device", f"{measured.device}, {measured.processes} process(es)"),
        ("peak memory", f"{measured.peak_memory_bytes / 2**20:.0f} MiB"),
        ("rate", f"{measured.steps_per_s:.2f} steps/s of {measured.batch_size} windows"),
        ("run", f"{measured.steps} steps, about {_duration(measured.duration_s)}"),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    if command.config.json is not None:
        write_json(command.config.json, {"policy": command.policy, **dataclasses.asdict(measured)})
    return 0


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _result_to_json(result: "TrainResult") -> dict[str, Any]:
    return dataclasses.asdict(result) | {"checkpoint": str(result.checkpoint)}


def _speaks() -> bool:
    """Whether this is the one process that prints; of several that train together, the first."""
    from accelerate import PartialState

    return PartialState().is_main_process
