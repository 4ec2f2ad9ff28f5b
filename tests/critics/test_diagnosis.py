"""What is measured of a critic, on episodes whose values are known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.critics.diagnosis import Diagnosis, DiagnosisConfig
from robot_policy.critics.labels import LabelConfig, label
from robot_policy.data.store import EpisodeStore
from sim.critic_report import render_critic_report

SPEC = load_robot("panda_twin").spec()
LENGTH = 20


def episode(seed: int, success: Success, *, task: str = "go") -> Episode:
    """A state of time and outcome; what is done has a first entry of 0.01 and says no more."""
    state = np.zeros((LENGTH, SPEC.state.size), np.float32)
    state[:, 0] = np.arange(LENGTH)
    state[:, 1] = success == Success.YES
    actions = np.random.default_rng(seed).normal(size=(LENGTH, 7)).astype(np.float32) * 0.01
    actions[:, 0] = 0.01
    return Episode(
        stamps_ns=np.arange(LENGTH, dtype=np.int64),
        state=state,
        actions=actions,
        task=task,
        rewards=np.zeros(LENGTH, np.float32),
        success=success,
    )


class Knows:
    """Judges by the true return of the state, and by how far the chunk is from what was done."""

    variable_length = False
    name = "knows"

    def __init__(self, *, honest: bool = True, instructions: tuple[str, ...] = ("go",)) -> None:
        self.spec = replace(SPEC, history=1, horizon=4)
        self.honest = honest
        self.instructions = instructions

    def judge(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        state = windows.state[:, -1]
        value = state[:, 1] * 0.9 ** (LENGTH - 1 - state[:, 0])
        value = np.where([text == "go" for text in windows.instructions], value, 0.0)
        error = np.abs(candidates.actions[..., 0] - 0.01).mean(-1)
        sign = -1.0 if self.honest else 1.0
        return (value[:, None] + sign * 0.1 * error)[None].astype(np.float32)


class Fan:
    """Draws chunks around what was done, ever farther away."""

    spec = replace(SPEC, history=1, horizon=8)

    def reset(self) -> None:
        """Nothing."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        assert isinstance(generator, np.random.Generator)
        shape = (windows.batch_size, num_samples, 8, 7)
        return Candidates((0.02 * generator.normal(size=shape)).astype(np.float32))


def diagnosis(critic: Knows, *, tasks: tuple[str, ...] = ("go", "go")) -> Diagnosis:
    outcomes = (Success.YES, Success.NO)
    episodes = [episode(i, outcomes[i % 2], task=tasks[i % 2]) for i in range(8)]
    store = EpisodeStore.of(SPEC, episodes)
    labels = label(
        LabelConfig(last_steps=1, gamma=0.9),
        lengths=[LENGTH] * 8,
        successes=[e.success for e in episodes],
        recorded=store.rewards,
    )
    config = DiagnosisConfig(windows=40, candidates=(1, 4, 16))
    return Diagnosis(critic, store, labels, config)  # pyright: ignore[reportArgumentType]


def test_a_critic_that_knows_is_found_to_know() -> None:
    figures = diagnosis(Knows()).run(Fan())
    assert figures["calibration"]["spearman"] > 0.99
    assert figures["calibration"]["mean_absolute_error"] < 0.01
    assert figures["calibration"]["auc"] == 1.0
    assert figures["ranking"]["other_moment"] == 0.0  # the first entry is the same at any moment
    assert figures["ranking"]["reversed"] == 1.0
    success, failure = figures["values"]["success"], figures["values"]["failure"]
    assert success[-1] > success[0]
    assert max(value for value in failure if value is not None) < 0.01
    assert figures["values"]["other_instruction"] == [None] * 21


def test_a_critic_that_is_fooled_picks_worse_the_more_it_may_pick_from() -> None:
    honest = diagnosis(Knows()).over_candidates(Fan())
    fooled = diagnosis(Knows(honest=False)).over_candidates(Fan())
    assert [row["candidates"] for row in honest] == [1, 4, 16]
    assert honest[0]["picked"] == pytest.approx(honest[0]["closest"])
    assert honest[-1]["picked"] < fooled[-1]["picked"]
    assert honest[-1]["closest"] <= honest[-1]["picked"] < honest[-1]["random"] * 1.05
    assert fooled[-1]["value"] > fooled[0]["value"]


def test_another_instruction_is_worth_nothing() -> None:
    figures = diagnosis(Knows(instructions=("go", "fly"))).run()
    other = [value for value in figures["values"]["other_instruction"] if value is not None]
    assert max(other) < 0.01
    assert figures["candidates"] == []


def test_data_of_another_task_are_refused() -> None:
    with pytest.raises(DataError, match="expected go; got fly"):
        diagnosis(Knows(), tasks=("fly", "fly"))


def test_the_report_is_complete_and_needs_nothing_else() -> None:
    figures = {
        **diagnosis(Knows()).run(Fan()),
        "critic": "runs/<critic>",
        "kind": "knows",
        "dataset": "data",
        "policy": None,
        "labels": {"gamma": 0.9},
        "measure": {"windows": 40},
    }
    page = render_critic_report(figures)
    assert page.count("<svg") == 4
    assert "runs/&lt;critic&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
