"""A dataset of ours as the HDF5 file robomimic trains on."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_policy.core.files import replacing
from robot_policy.core.observation import ACTION
from robot_policy.core.transforms import Normalize
from robot_policy.data.store import EpisodeStore
from robot_policy.training.peers.robomimic_checkpoint import ACTION_OFFSET, ACTION_SCALE


def write_robomimic_file(path: Path, store: EpisodeStore, episodes: Sequence[int]) -> list[str]:
    """Writes episodes with observations as they are and actions scaled to [-1, 1].

    The scaling is written among the settings of the environment, which robomimic copies into its
    checkpoints.

    Args:
        path: File to write, whole or not at all.
        store: Dataset.
        episodes: Which of them.

    Returns:
        Names of the observations.
    """
    import h5py  # comes with robomimic

    scaling = Normalize.from_statistics(store.statistics, key=ACTION, mode="min_max")
    features = {"state": store.state}
    if store.environment_state is not None:
        features["object"] = store.environment_state
    environment = {
        "env_name": store.spec.robot,
        "type": 2,  # robomimic's number of a gym environment; none is made of it
        "env_kwargs": {
            ACTION_OFFSET: scaling.offset.astype(float).tolist(),
            ACTION_SCALE: scaling.scale.astype(float).tolist(),
        },
    }
    actions = scaling.apply({ACTION: store.actions})[ACTION].astype(np.float32)
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps(environment)
        total = 0
        for number, episode in enumerate(episodes):
            frames = slice(store.starts[episode], store.starts[episode + 1])
            demo = data.create_group(f"demo_{number}")
            length = int(store.starts[episode + 1] - store.starts[episode])
            demo.attrs["num_samples"] = length
            demo["actions"] = actions[frames]
            demo["rewards"] = store.rewards[frames]
            demo["dones"] = np.arange(length) == length - 1
            for name, values in features.items():
                demo[f"obs/{name}"] = values[frames]
            total += length
        data.attrs["total"] = total
    return sorted(features)
