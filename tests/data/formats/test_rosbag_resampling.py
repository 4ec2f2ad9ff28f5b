"""Resampling against the plainest way to say the same; nothing comes from the future."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.robot import load_robot
from robot_policy.data.formats.rosbag_resampling import (
    MISSING,
    as_of,
    due,
    grippers,
    missed_steps,
    motions,
    nearest,
)
from robot_policy_ros.command_log import CommandLog

times = st.lists(st.integers(0, 400), max_size=25).map(lambda x: np.array(sorted(x), np.int64))
moments = st.lists(st.integers(0, 400), min_size=1, max_size=12, unique=True).map(
    lambda x: np.array(sorted(x), np.int64)
)


@given(times=times, moments=moments, oldest=st.integers(0, 200))
def test_as_of(times: np.ndarray, moments: np.ndarray, oldest: int) -> None:
    found = as_of(times, moments, oldest_ns=oldest)
    for moment, index in zip(moments.tolist(), found.tolist(), strict=True):
        fresh = [i for i, t in enumerate(times.tolist()) if moment - oldest <= t <= moment]
        assert index == (fresh[-1] if fresh else MISSING)


@given(times=times, moments=moments, skew=st.integers(0, 100))
def test_nearest(times: np.ndarray, moments: np.ndarray, skew: int) -> None:
    found = nearest(times, moments, skew_ns=skew)
    for moment, index in zip(moments.tolist(), found.tolist(), strict=True):
        distances = np.abs(times - moment)
        if index == MISSING:
            assert not len(times) or distances.min() > skew
        else:
            assert distances[index] == distances.min() <= skew


@given(moments=moments, period=st.integers(4, 80))
def test_there_is_one_step_per_period(moments: np.ndarray, period: int) -> None:
    chosen = due(moments, period_ns=period)
    assert chosen[0] == 0
    gaps = np.diff(moments[chosen])
    assert (gaps >= period // 2).all()
    # On average no more often than the rate, but for the jitter that is allowed once.
    assert len(chosen) <= (moments[-1] - moments[0]) / period + 2


def test_a_stream_at_the_control_rate_is_taken_whole_in_spite_of_jitter() -> None:
    rng = np.random.default_rng(0)
    moments = np.arange(200) * 50_000_000 + rng.integers(-5_000_000, 5_000_000, 200)
    assert len(due(moments, period_ns=50_000_000)) == 200
    assert missed_steps(moments, period_ns=50_000_000) == 0
    assert missed_steps(np.delete(moments, [50, 51, 90]), period_ns=50_000_000) == 3
    fast = np.arange(2000) * 5_000_000
    chosen = due(fast, period_ns=50_000_000)
    assert (np.diff(chosen)[1:] == 10).all()  # the second one may come early


@given(times=times, moments=moments, seed=st.integers(0, 100))
def test_actions_are_those_of_the_recorder(
    times: np.ndarray, moments: np.ndarray, seed: int
) -> None:
    robot = load_robot("panda_twin")
    rng = np.random.default_rng(seed)
    commands, fractions = rng.normal(size=(len(times), 6)), rng.random(len(times))
    log = CommandLog(robot)
    for time, command, fraction in zip(times.tolist(), commands, fractions, strict=True):
        log.put_motion(command, stamp_ns=time)
        log.put_gripper(float(fraction), stamp_ns=time)
    end = int(moments[-1]) + 50
    motion, known = motions(times, commands, moments=moments, end_ns=end, is_delta=True)
    gripper, commanded = grippers(times, fractions, moments=moments, end_ns=end)
    assert known.all()
    for step, after in enumerate(moments.tolist()):
        until = int(moments[step + 1]) if step + 1 < len(moments) else end
        expected = log.action(after_ns=after, until_ns=until, gripper=-1.0)
        assert expected is not None
        np.testing.assert_allclose(motion[step], expected[:6], atol=1e-6)
        ours = gripper[step] if commanded[step] else -1.0
        np.testing.assert_allclose(ours, expected[6], rtol=1e-6)


def test_a_place_holds_until_the_next_one() -> None:
    places = np.array([[1.0], [2.0]])
    found, known = motions(
        np.array([15, 35]), places, moments=np.array([0, 10, 20, 30]), end_ns=40, is_delta=False
    )
    assert known.tolist() == [False, True, True, True]
    assert found[1:, 0].tolist() == [1.0, 1.0, 2.0]
