"""robomimic's own training program on a dataset of ours."""

import json
import re
import sys
from pathlib import Path

from robot_policy.checkpoint import resolve_device
from robot_policy.core.errors import RobotPolicyError
from robot_policy.data.store import EpisodeStore
from robot_policy.policies.peers.library import quiet_library
from robot_policy.policies.peers.robomimic_bc_rnn import RobomimicBcRnnConfig, robomimic_config
from robot_policy.training.peers.library_process import run_program
from robot_policy.training.peers.peer_run import (
    PeerRun,
    PeerRunConfig,
    Progress,
    training_episodes,
)
from robot_policy.training.peers.robomimic_file import write_robomimic_file

_EPOCH_STEPS = 100  # of robomimic's published settings
# robomimic always computes on two threads. Where cores are taken, they wait for each other more
# than they compute, unless they give way meanwhile.
_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
_ENTRY = re.compile(r'"(Loss|Time_Epoch|Time_Data_Loading)": ([-+.\deE]+)')


def run_robomimic(config: PeerRunConfig[RobomimicBcRnnConfig], progress: Progress) -> PeerRun:
    """Trains by ``robomimic.scripts.train``, on a data file written into the run.

    Args:
        config: Settings.
        progress: Is told how far it is.

    Raises:
        RobotPolicyError: If the dataset does not do, or robomimic fails.
    """
    store = EpisodeStore.open(config.dataset)
    output = config.output.resolve()
    data = output / "robomimic.hdf5"
    observations = write_robomimic_file(data, store, training_episodes(store, config))
    epoch = _epoch_steps(config.steps)
    settings = output / "robomimic.json"
    settings.write_text(_settings(config, data, observations, epoch))
    sums = {"Loss": 0.0, "Time_Epoch": 0.0, "Time_Data_Loading": 0.0}
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        if match := _ENTRY.search(line):
            name, value = match[1], float(match[2])
            sums[name] += value
            if name == "Loss":
                done += epoch
                progress(done, value)

    run_program(
        [sys.executable, "-m", "robomimic.scripts.train", "--config", str(settings)],
        log=output / "robomimic.log",
        environment=_PATIENT,
        on_line=on_line,
    )
    return PeerRun(
        source=_checkpoint(output),
        steps=config.steps,
        samples=config.steps * config.batch_size,
        steps_per_s=config.steps / (60 * sums["Time_Epoch"]),  # robomimic counts minutes
        loading_s=60 * sums["Time_Data_Loading"] / config.steps,
    )


def _epoch_steps(steps: int) -> int:
    """Steps of an epoch: the most up to robomimic's hundred that divide the steps of the run."""
    return next(n for n in range(min(steps, _EPOCH_STEPS), 0, -1) if steps % n == 0)


def _settings(
    config: PeerRunConfig[RobomimicBcRnnConfig], data: Path, observations: list[str], epoch: int
) -> str:
    with quiet_library("robomimic"):
        settings = robomimic_config(config.policy, observations)
    with settings.values_unlocked():
        experiment, train = settings.experiment, settings.train
        experiment.name = "run"
        experiment.epoch_every_n_steps = epoch
        experiment.save.every_n_epochs = config.steps // epoch
        experiment.save.on_best_rollout_success_rate = False
        experiment.rollout.enabled = False
        experiment.render_video = False
        experiment.logging.log_tb = False
        experiment.logging.terminal_output_to_txt = False
        train.data = str(data)
        train.output_dir = str(data.parent / "robomimic")
        train.num_epochs = config.steps // epoch
        train.batch_size = config.batch_size
        train.num_data_workers = max(0, config.workers)
        train.hdf5_cache_mode = "all"
        train.hdf5_load_next_obs = False
        train.cuda = resolve_device(config.device).type == "cuda"
        train.seed = config.seed
        if config.lr is not None:
            settings.algo.optim_params.policy.learning_rate.initial = config.lr
    return json.dumps(settings, indent=2)


def _checkpoint(output: Path) -> Path:
    """The one that was saved. robomimic ends with status 0 even when it fails."""
    found = sorted((output / "robomimic").glob("run/*/models/model_epoch_*.pth"))
    if not found:
        lines = (output / "robomimic.log").read_text().strip().splitlines()
        raise RobotPolicyError(
            "robomimic's training failed",
            where=output / "robomimic.log",
            got=lines[-1] if lines else "no output",
        )
    return found[-1]
