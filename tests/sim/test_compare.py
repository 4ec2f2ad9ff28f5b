"""Pairing two results by seed."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from robot_policy.core.errors import DataError
from sim.comparison import compare
from sim.result import EpisodeResult, EvaluationResult, Settings, Via
from sim.statistics import PairedOutcomes, wilson_interval


def a_result(outcomes: Mapping[int, bool], *, task: str = "lift") -> EvaluationResult:
    return EvaluationResult(
        task=task,
        checkpoint=f"runs/{task}",
        episodes=tuple(EpisodeResult(seed, ok, 10, float(ok)) for seed, ok in outcomes.items()),
        duration_s=1.0,
        settings=Settings(execute_steps=8, num_samples=1, max_steps=100),
    )


FIRST = a_result({1: True, 2: True, 3: False, 4: False, 9: True})
SECOND = a_result({4: True, 3: True, 2: False, 1: True, 8: False})


def test_seeds_are_paired_whatever_their_order() -> None:
    comparison = compare(FIRST, SECOND)
    assert comparison.outcomes == PairedOutcomes(both=1, only_first=1, only_second=2, neither=0)
    assert comparison.rates == (0.5, 0.75)
    assert comparison.rate_intervals == (wilson_interval(2, 4), wilson_interval(3, 4))
    assert comparison.seeds_left_out == 2
    assert comparison.differing_settings == {}


def test_the_difference_is_second_minus_first() -> None:
    data = compare(FIRST, SECOND).to_json()
    assert data["difference"] == 0.25
    low, high = data["difference_ci95"]
    assert low < 0.25 < high
    back = compare(SECOND, FIRST).to_json()
    assert back["difference"] == -0.25
    assert back["difference_ci95"] == pytest.approx([-high, -low])
    assert back["mcnemar_p"] == data["mcnemar_p"] == 1.0


def test_settings_that_change_outcomes_are_listed() -> None:
    slower = replace(SECOND.settings, max_steps=50, workers=4)
    comparison = compare(FIRST, replace(SECOND, settings=slower, via=Via.ROS2))
    assert comparison.differing_settings == {
        "max_steps": (100, 50),
        "via": ("in_process", "ros2"),
    }


def test_results_of_different_tasks_are_refused() -> None:
    with pytest.raises(DataError, match="expected lift; got can"):
        compare(FIRST, a_result({1: True}, task="can"))


def test_results_without_a_common_seed_are_refused() -> None:
    with pytest.raises(DataError, match=r"seeds 1 \.\. 9; got seeds 20 \.\. 21"):
        compare(FIRST, a_result({20: True, 21: False}))
