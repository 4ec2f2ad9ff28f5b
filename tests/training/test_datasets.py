"""What is learned depends on the data and the seed, not on how the data were loaded."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robot_policy.checkpoint import load_policy, load_spec
from robot_policy.cli.main import main
from robot_policy.core.episode import Episode
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.core.images import resize
from robot_policy.core.observation import STATE, Windows, image_key
from robot_policy.core.specs import PolicySpec, image_spec
from robot_policy.data.cache import builder
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.windows import split_episodes
from robot_policy.policies.bc import BcConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.data import BatchSource
from robot_policy.training.datasets import episode_weights, open_datasets
from robot_policy.training.loop import Trainer

from .conftest import SPEC, reach

SEEN = replace(SPEC, environment_state=None, cameras={"top": image_spec(40, 48)})


def seen(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    images = {"top": rng.integers(0, 256, (20, 40, 48, 3), dtype=np.uint8)}
    return replace(reach(seed), environment_state=None, images=images)


def written(path: Path, spec: PolicySpec, make: Callable[[int], Episode], count: int) -> Path:
    FORMATS["lerobot_v3"].write(path, map(make, range(count)), spec)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "pictures", SEEN, seen, 4)


def config(dataset: Any, output: Path, **changes: Any) -> TrainConfig:
    policy = BcConfig(hidden=(8,), horizon=4, vision_width=4, keypoints=4)
    return TrainConfig(
        dataset=dataset,
        output=output,
        policy=policy,
        **{
            "steps": 3,
            "batch_size": 8,
            "optimizer": OptimizerConfig(lr=1e-3, warmup_steps=1),
            "validation_fraction": 0.25,
            "tensorboard": False,
            "threads": 1,
            "device": "cpu",
            "cameras": ("top",),
            "environment_state": False,
            **changes,
        },
    )


def weights(settings: TrainConfig) -> dict[str, torch.Tensor]:
    checkpoint = Trainer("bc", settings).run().checkpoint
    return load_file(checkpoint / "policy" / "model.safetensors")


def test_cache_and_workers_change_nothing(pictures: Path, tmp_path: Path) -> None:
    size = (36, 36)
    plain = weights(config(pictures, tmp_path / "plain", cache="none", image_size=size))
    for name, changes in {
        "beside": {"cache": "beside"},
        "user, one worker": {"workers": 1},
        "user, two workers": {"workers": 2},
    }.items():
        other = weights(config(pictures, tmp_path / name, image_size=size, **changes))
        assert plain.keys() == other.keys()
        for key, value in plain.items():
            assert torch.equal(value, other[key]), (name, key)
    assert list(pictures.parent.glob(".pictures.cache/windows/*/*/arrays"))


def test_images_are_decoded_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(pictures, tmp_path / "run", cache=str(tmp_path / "cache"))
    first = open_datasets(settings)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(builder, "build_frames", refused)
    again = open_datasets(settings)
    every = np.arange(len(first))
    np.testing.assert_array_equal(first.frames("top", every), again.frames("top", every))


def test_a_policy_takes_the_robots_images_and_sees_smaller_ones(
    pictures: Path, tmp_path: Path
) -> None:
    trainer = Trainer("bc", config(pictures, tmp_path / "run", image_size=(36, 40)))
    assert trainer.module.spec.cameras["top"] == image_spec(36, 40)
    checkpoint = trainer.run().checkpoint
    assert load_spec(checkpoint).cameras["top"] == image_spec(40, 48)
    policy = load_policy(checkpoint)
    assert policy.spec.cameras["top"] == image_spec(40, 48)
    image = np.random.default_rng(5).integers(0, 256, (1, 1, 40, 48, 3), dtype=np.uint8)
    history = policy.spec.history
    windows = Windows(
        state=np.repeat(reach(0).state[None, :1], history, axis=1),
        past=np.zeros((1, 0, SPEC.action.size), np.float32),
        valid=np.ones((1, history), bool),
        past_valid=np.ones((1, 0), bool),
        images={"top": np.repeat(image, history, axis=1)},
        instructions=("",),
    )
    sample = policy.pipeline.apply(windows.as_sample())  # pyright: ignore
    np.testing.assert_array_equal(sample[image_key("top")], resize(windows.images["top"], (36, 40)))
    actions = policy.sample(windows, generator=np.random.default_rng(0)).actions
    assert actions.shape == (1, 1, 4, SPEC.action.size)
    pytest.importorskip("onnxruntime")
    from robot_policy.export.artefact import export_policy

    export_policy(checkpoint, tmp_path / "exported")
    exported = load_policy(tmp_path / "exported")
    assert exported.spec == policy.spec
    same = exported.sample(windows, generator=np.random.default_rng(0)).actions
    np.testing.assert_allclose(same, actions, atol=1e-4)


def batches(settings: TrainConfig) -> BatchSource:
    trainer = Trainer("bc", settings)
    trainer.prefetcher.close()
    return trainer.batches


def test_shares_of_several_datasets(pictures: Path, tmp_path: Path) -> None:
    more = written(tmp_path / "more", SEEN, lambda seed: seen(10 + seed), 2)
    both = config((pictures, more), tmp_path / "run", validation_fraction=0.0, cameras=())
    plain = batches(both)
    assert plain.batches_per_epoch == (4 + 2) * 20 // 8
    store = open_datasets(both)
    assert [(e.dataset, e.index) for e in store.episodes[3:5]] == [
        (str(pictures), 3), (str(more), 0)
    ]  # fmt: skip
    assert store.statistics[STATE]["count"] == [120]
    weighted = batches(replace(both, dataset_weights=(1.0, 3.0)))
    drawn = [weighted.describe(number, range(8)) for number in range(15)]
    share = sum(line.count(f"{more} episode") for line in drawn) / 120
    assert share == pytest.approx(0.75, abs=0.02)
    # Of the same seed: the same, whatever else runs.
    again = batches(replace(both, dataset_weights=(1.0, 3.0)))
    assert [again.describe(number, range(8)) for number in range(15)] == drawn


def test_datasets_that_do_not_go_together(pictures: Path, tmp_path: Path) -> None:
    slow = written(tmp_path / "slow", replace(SEEN, dt_s=0.1), slower, 1)
    with pytest.raises(DataError, match=r"slow: another rate than .*expected 20 Hz; got 10 Hz"):
        open_datasets(config((pictures, slow), tmp_path / "run"))
    plain = written(tmp_path / "plain", replace(SEEN, cameras={}), blind, 1)
    with pytest.raises(UnknownNameError, match="plain: no camera 'top'"):
        open_datasets(config((pictures, plain), tmp_path / "run"))
    told = written(tmp_path / "told", SPEC, reach, 1)
    mixed = config((plain, told), tmp_path / "run", cameras=(), environment_state=True)
    with pytest.raises(ConfigError, match="--no-environment-state learns without it"):
        open_datasets(mixed)
    assert open_datasets(replace(mixed, environment_state=False)).environment_state is None


def blind(seed: int) -> Episode:
    return replace(seen(seed), images={})


def slower(seed: int) -> Episode:
    return replace(seen(seed), stamps_ns=seen(seed).stamps_ns * 2)


def test_settings_that_do_not_suit(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for changes, message in (
        ({"dataset_weights": (1.0, 2.0)}, "one weight for each dataset; expected 1; got 2"),
        ({"image_size": (0, 4)}, "--image-size: must be positive"),
        ({"image_size": (8, 8), "cameras": ()}, "there are no images"),
        ({"workers": -1}, "--workers: must not be negative"),
    ):
        with pytest.raises(ConfigError, match=message):
            config(pictures, tmp_path / "run", **changes)
    with pytest.raises(ConfigError, match="--dataset: listed twice"):
        config((pictures, pictures), tmp_path / "run")
    options = ["--output", str(tmp_path / "run"), "--cameras", "top", "--cache", "/proc/nothing"]
    assert main(["train", "bc", "--dataset", str(pictures), *options]) == 2
    assert "the cache cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_dataset_with_a_share_must_have_an_episode_to_learn_from(
    pictures: Path, tmp_path: Path
) -> None:
    one = written(tmp_path / "one", SEEN, seen, 1)
    settings = config((pictures, one), tmp_path / "run", dataset_weights=(1.0, 1.0))
    store = open_datasets(settings)
    chosen, _ = split_episodes(store, 0.2, 0)
    without = [episode for episode in chosen if episode != 4]
    with pytest.raises(ConfigError, match="one: no episode of it is left"):
        episode_weights(store, without, settings)
    ignored = replace(settings, dataset_weights=(1.0, 0.0))
    assert episode_weights(store, without, ignored) is not None


def test_episodes_are_drawn_by_an_expression(pictures: Path, tmp_path: Path) -> None:
    plain = {"validation_fraction": 0.0, "cameras": ()}
    expression = "5 if seed == 2 else seed"
    source = batches(config(pictures, tmp_path / "run", episode_weight=expression, **plain))
    drawn = [source.describe(number, range(8)) for number in range(source.batches_per_epoch)]
    counts = [sum(line.count(f"episode {n} ") for line in drawn) for n in range(4)]
    assert counts[0] == 0
    np.testing.assert_allclose(counts, np.array([0, 1, 5, 3]) * 80 / 9, atol=1.5)
    for wrong, message in (
        ("task", "--episode-weight: not a weight for episode 0; expected a number"),
        ("0 - seed", "not a weight for episode 1"),
        ("quality", "--episode-weight: unknown field 'quality'; valid: "),
        ("0", "every weight is zero"),
        ("len(task)", "--episode-weight: not allowed"),
    ):
        with pytest.raises(ConfigError, match=re.escape(message)):
            batches(config(pictures, tmp_path / "run", episode_weight=wrong, **plain))


def test_a_view_is_learned_from_like_a_dataset(pictures: Path, tmp_path: Path) -> None:
    view, same = tmp_path / "view.json", tmp_path / "same"
    arguments = ["data", "filter", str(pictures), "--episodes", "1,3", "--output", str(view)]
    assert main(arguments) == 0
    chosen = FORMATS["lerobot_v3"].read(pictures, episodes=(1, 3))
    FORMATS["lerobot_v3"].write(
        same, (replace(e, images={}) for e in chosen), replace(SEEN, cameras={})
    )
    one, other = (
        batches(config(path, tmp_path / "run", cameras=(), batch_size=40)) for path in (view, same)
    )
    for key, value in one.training_batch(0).items():
        np.testing.assert_array_equal(value, other.training_batch(0)[key], err_msg=key)
    seen_store = open_datasets(config(view, tmp_path / "run", cache=str(tmp_path / "cache")))
    whole = open_datasets(config(pictures, tmp_path / "run", cache=str(tmp_path / "cache")))
    np.testing.assert_array_equal(seen_store.images["top"][1], whole.images["top"][3])
