"""What counts as a lift, and when the count is wrong."""

import numpy as np
import pytest

from sim.envs.recall_count import LOW_M, MARKS, PLACE, TOP_M, RecallCountRules
from sim.envs.rules import Moment, Progress

LYING_M = -0.09


def rules_for(count: int) -> RecallCountRules:
    rules = RecallCountRules()
    for seed in range(50):
        start = rules.begin(np.random.default_rng(seed))["cube"]
        if np.linalg.norm(start[:2] - MARKS[count - 1]) < 0.03:
            assert rules.count == count
            return rules
    raise AssertionError("this mark is never drawn")


def judge(rules: RecallCountRules, height_m: float, *, closed: float = 0.4) -> Progress:
    return rules.judge(Moment({"cube": np.append(PLACE, height_m)}, closed))


def lift(rules: RecallCountRules) -> Progress:
    judge(rules, LOW_M - 0.01)
    return judge(rules, TOP_M + 0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_only_the_right_number_of_lifts_counts(count: int, done: int) -> None:
    rules = rules_for(count)
    outcomes = [lift(rules) for _ in range(done)]
    if done > count:
        assert outcomes[-1] == Progress.LOST
        return
    assert Progress.LOST not in outcomes
    assert judge(rules, LYING_M) == Progress.OPEN
    wanted = Progress.REACHED if done == count else Progress.LOST
    assert judge(rules, LYING_M, closed=0.0) == wanted


def test_a_lift_begins_low_and_ends_high() -> None:
    rules = rules_for(2)
    judge(rules, TOP_M + 0.01)  # it arrives from above
    assert rules.lifts == 0
    judge(rules, LYING_M)
    judge(rules, TOP_M - 0.01)
    judge(rules, LYING_M)
    assert rules.lifts == 0
    lift(rules)
    judge(rules, TOP_M + 0.02)
    assert rules.lifts == 1


def test_on_its_mark_nothing_is_decided() -> None:
    rules = rules_for(2)
    for mark in MARKS:
        moment = Moment({"cube": np.append(mark, LYING_M)}, 0.0)
        assert rules.judge(moment) == Progress.OPEN
