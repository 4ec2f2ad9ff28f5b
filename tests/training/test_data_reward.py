"""Rewards for data that has none, from a critic that knows what was asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from robot_policy.checkpoint import load_scorer
from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.critics.language_reward import rewards_of
from robot_policy.critics.recorded import values_along
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.recording import REWARD
from robot_policy.data.store import EpisodeStore

type MakeDataset = Callable[[Path, Sequence[Success]], Path]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, make_dataset: MakeDataset) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "mixed", [Success.YES, Success.NO] * 3)


def trained(kind: str, dataset: Path, output: Path) -> Path:
    words = ["train-critic", kind, "--dataset", str(dataset), "--output", str(output)]
    words += ["--steps", "3", "--no-tensorboard", "--device", "cpu"]
    assert main(words) == 0
    return output


@pytest.fixture(scope="module")
def critic(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("language_reward", mixed, tmp_path_factory.mktemp("critic") / "run")


def reward_words(dataset: Path, critic: Path, output: Path, *options: str) -> list[str]:
    words = ["data", "reward", str(dataset), "--critic", str(critic), "--output", str(output)]
    return [*words, *options]


def test_a_copy_has_what_every_step_gained(mixed: Path, critic: Path, tmp_path: Path) -> None:
    output = tmp_path / "rewarded"
    assert main(reward_words(mixed, critic, output, "--discount", "0.9")) == 0
    before, after = EpisodeStore.open(mixed), EpisodeStore.open(output)
    values = values_along(load_scorer(critic), before)
    expected = [rewards_of(v, discount=0.9) for v in values]
    assert any(np.ptp(reward) > 0 for reward in expected)
    np.testing.assert_allclose(after.rewards, np.concatenate(expected), atol=1e-6)
    np.testing.assert_array_equal(after.state, before.state)
    np.testing.assert_array_equal(after.actions, before.actions)
    assert [e.success for e in after.episodes] == [e.success for e in before.episodes]
    assert not before.rewards.any(), "the dataset itself stays as it is"
    assert main(["data", "validate", str(output)]) == 0
    # And they can be learned from.
    words = ["train-critic", "iql", "--dataset", str(output), "--output", str(tmp_path / "iql")]
    words += ["--labels.reward", "recorded", "--steps", "2", "--no-tensorboard"]
    assert main([*words, "--device", "cpu"]) == 0


def test_a_dataset_without_rewards_gets_some(mixed: Path, critic: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.json"
    assert main(["data", "filter", str(mixed), "--output", str(bare), "--where", "success"]) == 0
    output = tmp_path / "rewarded"
    assert main(reward_words(bare, critic, output)) == 0
    assert REWARD in detect_format(output).open(output).description.features
    assert len(EpisodeStore.open(output).episodes) == 3


def test_another_kind_of_critic_is_refused(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("monte_carlo", mixed, tmp_path / "run")
    capsys.readouterr()
    assert main(reward_words(mixed, run, tmp_path / "rewarded")) == 2
    assert "expected language_reward; got monte_carlo" in capsys.readouterr().err
    assert not (tmp_path / "rewarded").exists()


def test_what_is_there_is_not_overwritten(
    mixed: Path, critic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "rewarded"
    assert main(reward_words(mixed, critic, output)) == 0
    capsys.readouterr()
    assert main(reward_words(mixed, critic, output, "--discount", "0.5")) == 2
    assert str(output) in capsys.readouterr().err
    with_discount = reward_words(mixed, critic, tmp_path / "other", "--discount", "1.5")
    assert main(with_discount) == 2
    assert "--discount" in capsys.readouterr().err
