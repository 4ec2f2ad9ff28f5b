"""lerobot's own training program on a dataset of ours."""

import dataclasses
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.registry import find_format
from robot_policy.data.store import EpisodeStore
from robot_policy.training.peers.library_process import run_program
from robot_policy.training.peers.peer_run import (
    PeerRun,
    PeerRunConfig,
    Progress,
    training_episodes,
)

_KINDS = {"lerobot_diffusion": "diffusion", "lerobot_act": "act"}
_MAX_WORKERS = 16
_LOGGED = re.compile(r"loss:(\S+) .*updt_s:(\S+) data_s:(\S+)")
# Nothing is fetched or sent: the dataset is here and no policy starts from published weights.
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}


def run_lerobot(name: str, config: PeerRunConfig[Any], progress: Progress) -> PeerRun:
    """Trains by ``lerobot.scripts.lerobot_train``, on the dataset's folder as it is.

    Args:
        name: Of the policy in the registry.
        config: Settings.
        progress: Is told how far it is.

    Raises:
        RobotPolicyError: If the dataset does not do, or lerobot fails.
    """
    known = find_format(config.dataset)[0]
    if known != "lerobot_v3":
        raise ConfigError(
            "lerobot trains on datasets of its own format v3.0 only",
            where=config.dataset,
            got=known,
            hint="`robot-policy data convert` makes one",
        )
    store = EpisodeStore.open(config.dataset)
    if store.spec.environment_state is None:
        raise ConfigError(
            f"lerobot needs a camera or {ENVIRONMENT_STATE}; this dataset has states only",
            where=config.dataset,
        )
    log_every = min(200, max(1, config.steps // 10))
    run = config.output.resolve() / "lerobot"
    settings = {
        "dataset.repo_id": "local/dataset",
        "dataset.root": str(config.dataset.resolve()),
        "dataset.episodes": training_episodes(store, config),
        "output_dir": str(run),
        "steps": config.steps,
        "batch_size": config.batch_size,
        "num_workers": _workers(config),
        "seed": config.seed,
        "log_freq": log_every,
        "save_freq": config.steps,
        "env_eval_freq": 0,
        "wandb.enable": False,
        **{f"policy.{k}": v for k, v in _policy(name, config, store.spec).items()},
    }
    windows: list[tuple[float, float]] = []

    def on_line(line: str) -> None:
        if match := _LOGGED.search(line):
            loss, update_s, loading_s = (float(value) for value in match.groups())
            windows.append((update_s, loading_s))
            progress(min(len(windows) * log_every, config.steps), loss)

    arguments = [f"--{key}={_text(value)}" for key, value in settings.items()]
    with tempfile.TemporaryDirectory(prefix="robot-policy-") as cache:
        run_program(
            [sys.executable, "-m", "lerobot.scripts.lerobot_train", *arguments],
            log=config.output / "lerobot.log",
            environment={**_OFFLINE, "HF_HOME": cache},
            on_line=on_line,
        )
    measured = windows[1:] or windows  # the first includes the start of the loading processes
    loading_s = sum(loading for _, loading in measured) / len(measured)
    update_s = sum(update for update, _ in measured) / len(measured)
    return PeerRun(
        source=run,
        steps=config.steps,
        samples=config.steps * config.batch_size,
        steps_per_s=1 / (update_s + loading_s),
        loading_s=loading_s,
    )


def _workers(config: PeerRunConfig[Any]) -> int:
    if config.workers >= 0:
        return config.workers
    return min(_MAX_WORKERS, os.cpu_count() or 1)


def _policy(name: str, config: PeerRunConfig[Any], spec: PolicySpec) -> dict[str, Any]:
    from robot_policy.checkpoint import resolve_device

    assert spec.environment_state is not None
    kind = _KINDS[name]
    scaling = "MIN_MAX" if kind == "diffusion" else "MEAN_STD"
    settings: dict[str, Any] = {
        "type": kind,
        "device": resolve_device(config.device).type,
        "push_to_hub": False,
        # Named because lerobot would take the time stamps for a part of the state.
        "input_features": {
            STATE: {"type": "STATE", "shape": spec.state.shape},
            ENVIRONMENT_STATE: {"type": "ENV", "shape": spec.environment_state.shape},
        },
        "output_features": {ACTION: {"type": "ACTION", "shape": spec.action.shape}},
        "n_action_steps": _executed(config.policy),
        **dataclasses.asdict(config.policy),
    }
    if config.scale_environment_state:
        settings["normalization_mapping"] = {
            "VISUAL": "MEAN_STD", "STATE": scaling, "ENV": scaling, "ACTION": scaling,
        }  # fmt: skip
    if config.lr is not None:
        settings["optimizer_lr"] = config.lr
    return settings


def _executed(policy: Any) -> int:
    """Half the chunk, as lerobot does; only it decides which frames lerobot learns from."""
    if hasattr(policy, "chunk_size"):
        return policy.chunk_size
    return min(policy.horizon // 2, policy.horizon - policy.n_obs_steps + 1)


def _text(value: Any) -> str:
    if isinstance(value, str | Path):
        return str(value)
    if isinstance(value, Mapping | list | tuple | bool):
        return json.dumps(value)
    return repr(value)
