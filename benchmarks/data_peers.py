"""Has lerobot open every v3.0 set that is written here, and robomimic every HDF5 file.

Sets come from every place that writes one: collecting, converting from each other format, from a
bag of a robot, from a view, and with images that are not compressed. lerobot reads every frame and
trains one step of its ACT; robomimic trains one epoch of its behaviour cloning.
"""

import argparse
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from data_conversion import COLLECTED
from data_loader import FOLDER
from fuzz_sets import FuzzSet, write_sets
from jobs import Job
from measure import ROOT, Target, robot_policy

from robot_policy.core.files import read_json, write_json
from robot_policy.data.formats.registry import detect_format

RESULT = FOLDER / "peers.json"
_LEROBOT, _ROBOMIMIC = "lerobot_v3", "robomimic_hdf5"


def make_sets(folder: Path) -> dict[str, tuple[str, Path]]:
    """Writes a set in every way that there is.

    Returns:
        Name to format and path.
    """
    made: dict[str, tuple[str, Path]] = {"collected": (_LEROBOT, COLLECTED)}
    sources = {of.name: of for of in write_sets(folder / "sources")}
    made["every_kind_of_feature"] = (_LEROBOT, sources[_LEROBOT].path)
    made["every_kind_of_feature_hdf5"] = (_ROBOMIMIC, sources[_ROBOMIMIC].path)
    for target in (_LEROBOT, _ROBOMIMIC):
        for name, of in sources.items():
            if name != target:
                made[f"{name}_to_{target}"] = (target, _converted(of, target, folder))
        path = folder / f"collected_to_{target}"
        if target == _LEROBOT:
            lossless = ("--images", "lossless")
            robot_policy("data", "convert", COLLECTED, path, "--to", target, *lossless)
        else:
            robot_policy("data", "convert", COLLECTED, path, "--to", target)
        made[f"collected_to_{target}"] = (target, path)
    return made


def _converted(of: FuzzSet, target: str, folder: Path) -> Path:
    path = folder / f"{of.name}_to_{target}"
    robot_policy("data", "convert", of.path, path, "--to", target, *of.arguments)
    return path


def lerobot_learns(path: Path) -> dict[str, Any]:
    """Lerobot reads every frame and makes one step of ACT.

    Returns:
        Frames that were read, and the loss.
    """
    import torch
    from lerobot.datasets.factory import resolve_delta_timestamps
    from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
    from lerobot.policies.factory import (
        make_policy,
        make_policy_config,
        make_pre_post_processors,
    )

    whole = LeRobotDataset("local/set", root=path, video_backend="pyav")
    frames = sum(1 for index in range(len(whole)) if whole[index])
    metadata = LeRobotDatasetMetadata("local/set", root=path)
    config = make_policy_config(
        "act",
        device="cpu",
        push_to_hub=False,
        chunk_size=8,
        n_action_steps=8,
        dim_model=64,
        n_heads=2,
        dim_feedforward=128,
        n_encoder_layers=1,
        pretrained_backbone_weights=None,
        input_features=_inputs(metadata.features),
    )
    policy = make_policy(config, ds_meta=metadata)
    before, _ = make_pre_post_processors(config, dataset_stats=metadata.stats)
    data = LeRobotDataset(
        "local/set",
        root=path,
        video_backend="pyav",
        delta_timestamps=resolve_delta_timestamps(config, metadata),
    )
    optimizer = torch.optim.AdamW(policy.get_optim_params(), lr=1e-4)
    batch = before(next(iter(torch.utils.data.DataLoader(data, batch_size=4, shuffle=True))))
    policy.train()
    loss, _ = policy.forward(batch)
    loss.backward()
    optimizer.step()
    if not np.isfinite(loss.item()):
        raise RuntimeError(f"the loss is {loss.item()}")
    return {"frames": frames, "loss": round(loss.item(), 4)}


def _inputs(features: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What ACT can learn from: vectors of state and colour images; no matrices, texts or depth."""
    from lerobot.utils.feature_utils import dataset_to_policy_features

    def taken(key: str, feature: dict[str, Any]) -> bool:
        depth = (feature.get("info") or {}).get("is_depth_map")
        image = feature["dtype"] in ("video", "image") and not depth
        return image or key in ("observation.state", "observation.environment_state")

    chosen = {key: feature for key, feature in features.items() if taken(key, feature)}
    return dataset_to_policy_features(chosen)


def robomimic_learns(path: Path) -> dict[str, Any]:
    """Robomimic trains one epoch of BC on everything it finds in ``obs``.

    Returns:
        Steps, and the losses of the first and the last one.
    """
    import h5py
    import robomimic.utils.file_utils as file_utils
    import robomimic.utils.obs_utils as obs_utils
    import torch
    from robomimic.algo import algo_factory
    from robomimic.config import config_factory
    from robomimic.utils.dataset import SequenceDataset

    with h5py.File(path, "r") as file:
        demo: Any = file["data/demo_0"]
        obs = {name: demo["obs"][name] for name in demo["obs"]}
        images = [n for n, x in obs.items() if x.ndim == 4 and x.dtype == np.uint8]
        low = [n for n, x in obs.items() if x.ndim == 2 and x.dtype.kind == "f"]
    config = config_factory("bc")
    with config.values_unlocked():
        config.observation.modalities.obs.low_dim = low
        config.observation.modalities.obs.rgb = images
        config.train.batch_size = 16
    obs_utils.initialize_obs_utils_with_config(config)
    meta = file_utils.get_shape_metadata_from_dataset(
        dataset_path=str(path), all_obs_keys=(*low, *images)
    )
    model = algo_factory(
        algo_name="bc",
        config=config,
        obs_key_shapes=meta["all_shapes"],
        ac_dim=meta["ac_dim"],
        device=torch.device("cpu"),
    )
    model.set_train()
    sequences = SequenceDataset(
        hdf5_path=str(path),
        obs_keys=(*low, *images),
        dataset_keys=("actions", "rewards", "dones"),
        load_next_obs=True,
        hdf5_cache_mode=None,
        hdf5_use_swmr=True,
    )
    losses: list[float] = []
    for batch in torch.utils.data.DataLoader(sequences, batch_size=16, shuffle=True):
        batch = model.process_batch_for_training(batch)
        batch = model.postprocess_batch_for_training(batch, obs_normalization_stats=None)
        losses.append(float(model.log_info(model.train_on_batch(batch, epoch=0))["Loss"]))
    if not np.isfinite(losses).all():
        raise RuntimeError(f"the losses are {losses}")
    return {"frames": len(sequences), "steps": len(losses), "loss": round(losses[-1], 4)}


LEARN: dict[str, Callable[[Path], dict[str, Any]]] = {
    _LEROBOT: lerobot_learns,
    _ROBOMIMIC: robomimic_learns,
}


def measure() -> list[dict[str, Any]]:
    """Writes all sets and has them learned from; one row for each."""
    measured: list[dict[str, Any]] = []
    folder = Path(tempfile.mkdtemp())
    try:
        for name, (kind, path) in make_sets(folder).items():
            reader = detect_format(path).open(path)
            expected = sum(len(reader.recording(i)) for i in range(len(reader)))
            row = {"cell": f"peers/{kind}/{name}", "expected_frames": expected, "ok": False}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    row |= LEARN[kind](path)
                row["ok"] = row["frames"] == expected
            except Exception as error:  # whatever another library has to say of a file
                row["error"] = repr(error)[:500]
            print(row, flush=True)
            measured.append(row)
    finally:
        shutil.rmtree(folder)
    return measured


def jobs() -> list[Job]:
    """All of it at once."""
    script = ("benchmarks/data_peers.py", "--output", str(RESULT.relative_to(ROOT)))
    return [Job("peers", script, RESULT, needs=("conversion-set",))]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return read_json(RESULT) if RESULT.exists() else []


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """How many sets of each kind a peer opened and learned from."""
    made: list[Target] = []
    for kind, peer, what in (
        (_LEROBOT, "lerobot", "opens every v3.0 set, reads every frame and trains one step of ACT"),
        (_ROBOMIMIC, "robomimic", "opens every HDF5 file and trains one epoch of BC"),
    ):
        mine = [row for cell, row in known.items() if cell.startswith(f"peers/{kind}/")]
        opened = sum(row["ok"] for row in mine)
        made.append(
            Target(
                f"{peer}_learns",
                f"{peer} {what} ({len(mine)} sets, written in every way there is)",
                opened if mine else None,
                "sets",
                bool(mine) and opened == len(mine),
                "python benchmarks/data.py --only peers",
            )
        )
    return made


def main() -> int:
    """Returns 1 if a set is not accepted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    measured = measure()
    write_json(arguments.output, measured)
    return int(not all(row["ok"] for row in measured))


if __name__ == "__main__":
    sys.exit(main())
