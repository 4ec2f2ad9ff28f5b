"""`robot-policy train-peer POLICY`: another library trains its own policy on our data."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from robot_policy.cli.train import take_preset
from robot_policy.core.errors import UnknownNameError
from robot_policy.core.files import require_new_folder, write_json
from robot_policy.data.formats.registry import detect_format
from robot_policy.policies.registry import POLICIES
from robot_policy.training.config import PRESETS
from robot_policy.training.peers.peer_run import PeerRun, PeerRunConfig
from robot_policy.training.progress import training_progress

PEERS = ("lerobot_act", "lerobot_diffusion", "robomimic_bc_rnn")

_USAGE = """\
usage: {prog} POLICY [--preset PRESET] --dataset DIR --output DIR [OPTIONS]

Let another library train its own policy by its own program, and adopt the result.

policies: {policies}
presets:  {presets} (default cpu)

{prog} POLICY --help shows the options of a policy."""


@dataclass(frozen=True)
class TrainPeerCommand:
    """A policy's name and the settings of its run."""

    policy: str
    config: PeerRunConfig[Any]


def parse(arguments: Sequence[str], *, prog: str) -> TrainPeerCommand:
    """Reads the policy and the preset first, because the defaults of the others hang on them.

    Raises:
        UnknownNameError: If there is no such policy or preset.
    """
    if not arguments or arguments[0].startswith("-"):
        print(_USAGE.format(prog=prog, policies=", ".join(PEERS), presets=", ".join(PRESETS)))
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    name = arguments[0]
    if name not in PEERS:
        raise UnknownNameError.of("policy of another library", name, PEERS)
    preset, rest = take_preset(list(arguments[1:]))
    policy_class = POLICIES[name]
    import tyro  # not needed to list the policies

    config = tyro.cli(
        PeerRunConfig[policy_class.config_type],
        args=rest,
        prog=f"{prog} {name}",
        description=f"Let {policy_class.library} train {name} by its own program.",
        default=PeerRunConfig(
            dataset=tyro.MISSING,
            output=tyro.MISSING,
            policy=policy_class.presets[preset],
            steps=PRESETS[preset].steps,
            batch_size=PRESETS[preset].batch_size,
        ),
    )
    return TrainPeerCommand(name, config)


def run(command: TrainPeerCommand) -> int:
    """Trains, adopts, and prints rate and checkpoint."""
    from robot_policy.training.peers.adopt import adopt

    config = command.config
    require_new_folder(config.output)
    policy_class = POLICIES[command.policy]
    spec = detect_format(config.dataset).read_spec(config.dataset)
    policy_class.complete_spec(config.policy, spec)  # says what contradicts before any work
    config.output.mkdir(parents=True, exist_ok=True)
    library_run = _train(command)
    adopted = adopt(library_run.source, config.dataset, config.output / "policy")
    parameters = sum(p.numel() for p in adopted.module.parameters())
    print(
        f"{command.policy} by {policy_class.library}: {parameters / 1e6:.2f} M parameters, "
        f"{library_run.steps} steps, {library_run.samples} samples, "
        f"{library_run.steps_per_s:.2f} it/s, "
        f"{1e3 * library_run.loading_s:.0f} ms per step waiting for data; {adopted.note}"
    )
    print(f"checkpoint: {config.output}")
    if config.json is not None:
        write_json(
            config.json,
            dataclasses.asdict(library_run)
            | {
                "policy": command.policy,
                "parameters": parameters,
                "source": str(library_run.source),
                "checkpoint": str(config.output),
            },
        )
    return 0


def _train(command: TrainPeerCommand) -> PeerRun:
    from robot_policy.training.peers.lerobot_run import run_lerobot  # seconds of torch
    from robot_policy.training.peers.robomimic_run import run_robomimic

    start_s = time.perf_counter()
    with training_progress(steps=command.config.steps, done=0) as bar:

        def progress(step: int, loss: float) -> None:
            bar.update(step, loss=loss, rate=step / (time.perf_counter() - start_s))

        if POLICIES[command.policy].library == "lerobot":
            return run_lerobot(command.policy, command.config, progress)
        return run_robomimic(command.config, progress)
