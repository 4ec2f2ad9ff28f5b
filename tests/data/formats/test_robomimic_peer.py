"""robomimic itself opens our files and learns from them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich_recordings import LENGTHS, RICH, recordings

from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.robomimic_writer import scaled

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]

LOW_DIM = ("state", "tactile", "contact")
IMAGES = ("front_image", "mask_image")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("robomimic")
    path = tmp_path_factory.mktemp("robomimic") / "set.hdf5"
    writer = FORMATS["robomimic_hdf5"].create(path, RICH)
    for recording in recordings():
        writer.add(recording)
    writer.close()
    return path


def sequences(path: Path, **options: Any) -> Any:
    import robomimic.utils.obs_utils as obs_utils
    from robomimic.utils.dataset import SequenceDataset

    obs_utils.initialize_obs_utils_with_obs_specs(
        {"obs": {"low_dim": list(LOW_DIM), "rgb": list(IMAGES)}}
    )
    return SequenceDataset(
        hdf5_path=str(path),
        obs_keys=(*LOW_DIM, *IMAGES),
        dataset_keys=("actions", "rewards", "dones"),
        load_next_obs=True,
        hdf5_use_swmr=True,
        **options,
    )


@pytest.mark.parametrize("cache", [None, "low_dim", "all"])
def test_robomimic_reads_what_we_write(path: Path, cache: str | None) -> None:
    theirs = sequences(path, hdf5_cache_mode=cache)
    assert len(theirs) == sum(LENGTHS)
    index = 0
    for ours in recordings():
        actions = scaled(ours.columns["action"], RICH)
        images: Any = ours.frames["observation.images.front"]
        for t in range(len(ours)):
            item = theirs[index]
            np.testing.assert_array_equal(item["actions"][0], actions[t])
            np.testing.assert_array_equal(item["rewards"][0], ours.columns["next.reward"][t, 0])
            assert item["dones"][0] == (t == len(ours) - 1)
            following = min(t + 1, len(ours) - 1)
            for key, frame in (("obs", t), ("next_obs", following)):
                state = ours.columns["observation.state"][frame]
                np.testing.assert_allclose(item[key]["state"][0], state, rtol=1e-6)
                image = item[key]["front_image"][0]
                image = image.transpose(1, 2, 0) * 255 if image.shape[0] == 3 else image
                np.testing.assert_allclose(image, images[frame], atol=1e-3)
            index += 1


def test_robomimic_reads_its_environment(path: Path) -> None:
    import robomimic.utils.file_utils as file_utils

    assert file_utils.get_env_metadata_from_dataset(str(path))["env_name"] == "some_arm"


def test_robomimic_learns_from_it(path: Path) -> None:
    """One epoch of its behaviour cloning, images and all."""
    import robomimic.utils.file_utils as file_utils
    import robomimic.utils.obs_utils as obs_utils
    import torch
    from robomimic.algo import algo_factory
    from robomimic.config import config_factory
    from torch.utils.data import DataLoader

    config = config_factory("bc")
    with config.values_unlocked():
        config.observation.modalities.obs.low_dim = list(LOW_DIM[:1])
        config.observation.modalities.obs.rgb = list(IMAGES[:1])
        config.train.batch_size = 4
    obs_utils.initialize_obs_utils_with_config(config)
    meta = file_utils.get_shape_metadata_from_dataset(
        dataset_path=str(path), all_obs_keys=(LOW_DIM[0], IMAGES[0])
    )
    model = algo_factory(
        algo_name="bc",
        config=config,
        obs_key_shapes=meta["all_shapes"],
        ac_dim=meta["ac_dim"],
        device=torch.device("cpu"),
    )
    model.set_train()
    loader = DataLoader(sequences(path, hdf5_cache_mode=None), batch_size=4, shuffle=False)
    losses = []
    for batch in loader:
        batch = model.process_batch_for_training(batch)
        batch = model.postprocess_batch_for_training(batch, obs_normalization_stats=None)
        losses.append(model.log_info(model.train_on_batch(batch, epoch=0))["Loss"])
    assert len(losses) == 3
    assert np.isfinite(losses).all()
