"""What people did when they took over: weighted in training, and judged without rewards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from robot_policy.cli.main import main
from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot import load_robot
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset

ROBOT = load_robot("panda_twin")
SPEC = ROBOT.spec()


def episode(seed: int, *, length: int = 24, policy: bool = True) -> Episode:
    """The policy goes back; a person takes over for the middle third and goes forward."""
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(length, SPEC.state.size)).astype(np.float32)
    driven = np.zeros(length, bool)
    driven[length // 3 : 2 * length // 3] = True
    wanted = np.zeros((length, 7), np.float32)
    wanted[:, 0] = -0.03
    actions = wanted.copy()
    actions[driven, 0] = 0.03
    return Episode(
        stamps_ns=np.arange(length) * 50_000_000,
        state=state,
        actions=actions,
        task="push",
        rewards=np.zeros(length, np.float32),
        success=Success.YES,
        metadata={"policy": "runs/x"} if policy else {},
        intervention=driven if policy else None,
        policy_actions=wanted if policy else None,
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "set"
    saver = EpisodeSaver(path, SPEC, interventions=True)
    for seed in range(6):
        saver.submit(episode(seed))
    assert saver.close() == 0
    return path


def test_who_drove_is_read_back_and_joined_with_demonstrations(dataset: Path) -> None:
    store = EpisodeStore.open(dataset)
    assert store.intervention is not None
    assert store.intervention.sum() == 6 * 8
    demonstrations = EpisodeStore.of(SPEC, [episode(9, policy=False)])
    assert demonstrations.intervention is None
    both = demonstrations.followed_by(store)
    assert both.intervention is not None
    assert both.policy_actions is not None
    assert not both.intervention[:24].any()
    np.testing.assert_array_equal(both.policy_actions[:24], both.actions[:24])
    some = both.select([1])
    assert some.intervention is not None
    assert some.intervention.sum() == 8


def test_windows_are_drawn_by_who_drove(dataset: Path) -> None:
    store = EpisodeStore.open(dataset)
    weights = np.where(store.intervention, 3.0, 0.0)  # type: ignore[arg-type]
    windows = WindowDataset(
        store,
        history=1,
        past=0,
        horizon=4,
        use_environment_state=False,
        step_weights=weights,
        episode_weights=[2.0] * 6,
    )
    assert windows.weights is not None
    np.testing.assert_array_equal(windows.weights, 2.0 * weights)


@pytest.mark.slow
def test_a_policy_that_learns_from_people_does_what_they_did(dataset: Path, tmp_path: Path) -> None:
    from robot_policy.checkpoint import load_policy
    from robot_policy.core.observation import Windows

    learned = {}
    for name, weight in (("all", "1"), ("people", "0")):
        run = tmp_path / name
        words = ["train", "bc", "--dataset", str(dataset), "--output", str(run), "--steps", "60"]
        words += ["--batch-size", "32", "--policy-weight", weight, "--no-tensorboard"]
        assert main([*words, "--no-environment-state", "--validation-fraction", "0"]) == 0
        policy = load_policy(run)
        spec = policy.spec
        windows = Windows(
            state=np.zeros((1, spec.history, spec.state.size), np.float32),
            past=np.zeros((1, spec.past, 7), np.float32),
            valid=np.ones((1, spec.history), bool),
            past_valid=np.ones((1, spec.past), bool),
            instructions=("push",),
        )
        chunk = policy.sample(windows, num_samples=1, generator=np.random.default_rng(0))
        learned[name] = float(chunk.actions[0, 0, 0, 0])
    assert learned["people"] > learned["all"]


def test_a_critic_learns_who_was_right_without_rewards(dataset: Path, tmp_path: Path) -> None:
    from robot_policy.checkpoint import load_scorer
    from robot_policy.core.observation import Candidates, Windows

    run = tmp_path / "critic"
    words = ["train-critic", "proxy_value", "--dataset", str(dataset), "--output", str(run)]
    words += ["--steps", "60", "--batch-size", "32", "--no-tensorboard"]
    assert main([*words, "--no-environment-state", "--validation-fraction", "0"]) == 0
    scorer = load_scorer(run)
    spec = scorer.spec
    chunks = np.zeros((1, 2, spec.horizon, 7), np.float32)
    chunks[0, 0, :, 0], chunks[0, 1, :, 0] = 0.03, -0.03
    windows = Windows(
        state=np.zeros((1, spec.history, spec.state.size), np.float32),
        past=np.zeros((1, 0, 7), np.float32),
        valid=np.ones((1, spec.history), bool),
        past_valid=np.ones((1, 0), bool),
        instructions=("push",),
    )
    scores = scorer.score(windows, Candidates(chunks))
    assert scores[0, 0] > scores[0, 1]


def test_data_without_interventions_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plain"
    saver = EpisodeSaver(path, SPEC)
    for seed in range(3):
        saver.submit(replace(episode(seed, policy=False)))
    assert saver.close() == 0
    out = str(tmp_path / "run")
    for words, line in (
        (["train-critic", "proxy_value"], "no intervention in it"),
        (["train", "bc", "--policy-weight", "0"], "no episode tells who drove"),
        (["train", "bc", "--policy-weight", "-1"], "--policy-weight: must not be negative"),
    ):
        status = main([*words, "--dataset", str(path), "--output", out, "--steps", "2"])
        assert status == 2
        assert line in capsys.readouterr().err
