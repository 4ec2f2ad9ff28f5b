"""Training of critics, from a dataset on disk to a scorer that judges."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import load_scorer
from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.core.observation import ACTION, Candidates, Windows
from robot_policy.critics.labels import LabelConfig
from robot_policy.critics.registry import CRITICS
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.training.config import OptimizerConfig
from robot_policy.training.critic_config import CriticTrainConfig
from robot_policy.training.critic_subject import CriticSubject
from robot_policy.training.loop import Trainer

MIXED = [Success.YES, Success.NO] * 4


@pytest.fixture(scope="module")
def mixed(
    tmp_path_factory: pytest.TempPathFactory,
    make_dataset: Callable[[Path, Sequence[Success]], Path],
) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "mixed", MIXED)


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory: pytest.TempPathFactory, mixed: Path) -> Path:
    """The same episodes, in whose first steps a person drove against what the policy wanted."""
    path = tmp_path_factory.mktemp("data") / "taken_over"
    saver = EpisodeSaver(
        path, detect_format(mixed).open(mixed).description.spec, interventions=True
    )
    for episode in FORMATS["lerobot_v3"].read(mixed):
        driven = np.arange(len(episode.actions)) < 8
        wanted = np.where(driven[:, None], -episode.actions, episode.actions)
        saver.submit(replace(episode, intervention=driven, policy_actions=wanted))
    assert saver.close() == 0
    return path


def trainer(name: str, dataset: Path, output: Path, **options: Any) -> Trainer:
    config = CriticTrainConfig(
        dataset=(dataset,),
        output=output,
        policy=replace(CRITICS[name].presets["cpu"], width=32, hidden=(32,), horizon=4),
        batch_size=32,
        optimizer=OptimizerConfig(lr=1e-3, warmup_steps=2),
        device="cpu",
        tensorboard=False,
        **{"steps": 6, "checkpoint_every": 3, **options},
    )
    return Trainer(name, config, subject=CriticSubject(name, config))


@pytest.mark.parametrize("name", list(CRITICS))
def test_a_trained_critic_can_be_loaded_and_judges(
    name: str, mixed: Path, taken_over: Path, tmp_path: Path
) -> None:
    run = trainer(name, taken_over if name == "proxy_value" else mixed, tmp_path / "run")
    result = run.run()
    assert result.loss is not None
    assert np.isfinite(result.loss)
    scorer = load_scorer(tmp_path / "run")
    assert scorer.instructions == ("go to the goal",)
    assert scorer.spec.horizon == 4
    windows = Windows(
        state=np.zeros((1, 2, scorer.spec.state.size), np.float32),
        past=np.zeros((1, 0, 7), np.float32),
        valid=np.ones((1, 2), bool),
        past_valid=np.ones((1, 0), bool),
        environment_state=np.zeros((1, 2, 2), np.float32),
        instructions=("go to the goal",),
    )
    scores = scorer.score(windows, Candidates(np.zeros((1, 3, 8, 7), np.float32)))
    assert np.isfinite(scores).all()


def test_a_resumed_run_ends_where_one_that_was_not_stopped_ends(
    mixed: Path, tmp_path: Path
) -> None:
    """Target networks and all."""
    whole = trainer("iql", mixed, tmp_path / "whole")
    whole.run()
    trainer("iql", mixed, tmp_path / "parts", steps=6).run()
    # As if it had been stopped after the first of the two checkpoints.
    (tmp_path / "parts/checkpoints/last").unlink()
    (tmp_path / "parts/checkpoints/last").symlink_to("000003")
    again = trainer("iql", mixed, tmp_path / "parts", resume=True)
    again.run()
    for key, value in whole.module.state_dict().items():
        torch.testing.assert_close(again.module.state_dict()[key], value, rtol=0, atol=0)


def test_a_batch_holds_what_the_chunk_led_to(mixed: Path, tmp_path: Path) -> None:
    """The return is that of the next observation, discounted, plus the rewards on the way."""
    run = trainer("iql", mixed, tmp_path / "run", labels=LabelConfig(gamma=0.9))
    batch = run.batches.training_batch(0)
    goes_on = batch["discount"] > 0
    assert goes_on.any()
    assert not goes_on.all()
    np.testing.assert_allclose(batch["discount"][goes_on], 0.9**4, rtol=1e-6)
    # States of the toy task repeat at no other time, so the next one is where the chunk ends.
    moved = batch["next.observation.state"][:, -1] - batch["observation.state"][:, -1]
    assert np.abs(moved[goes_on]).max() > 0
    assert batch["action_of_others"].shape == (32, 4, 4, 7)
    assert batch[ACTION].shape == (32, 4, 7)
    assert set(np.unique(batch["success"])) == {0.0, 1.0}
    part = run.batches.training_batch(0, rows=slice(8, 16))
    for key, value in part.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, batch[key][8:16])


def test_lengths_vary_where_they_are_judged(mixed: Path, tmp_path: Path) -> None:
    run = trainer("iql", mixed, tmp_path / "run")
    run.batches._variable_length = True  # pyright: ignore[reportAttributeAccessIssue]
    counts = run.batches.training_batch(0)["action_count"]
    assert set(np.unique(counts)) == {1, 2, 3, 4}


def test_data_without_success_flags_are_refused_before_anything_is_written(
    make_dataset: Callable[[Path, Sequence[Success]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = make_dataset(tmp_path / "unknown", [Success.UNKNOWN] * 2)
    words = ["train-critic", "iql", "--dataset", str(dataset), "--output", str(tmp_path / "run")]
    assert main(words) == 2
    assert "no success flag" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_command_trains(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train-critic", "monte_carlo", "--dataset", str(mixed)]
    words += ["--output", str(tmp_path / "run"), "--steps", "2", "--no-tensorboard"]
    words += ["--critic.head", "two_hot", "--labels.reward", "cost_to_go", "--device", "cpu"]
    assert main(words) == 0
    assert "monte_carlo: " in capsys.readouterr().out
    scorer = load_scorer(tmp_path / "run")
    assert scorer.module.config.head == "two_hot"
    assert scorer.module.config.value_low < -90


def test_an_unknown_critic_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-critic", "iqll", "--dataset", "x", "--output", "y"]) == 2
    assert "unknown critic 'iqll'" in capsys.readouterr().err
