"""The limit that is learned from data: far from everything demonstrated, the arm stops."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.robot import load_robot
from robot_policy.runtime.safety.feasible_states import (
    FeasibleStates,
    distances_between_episodes,
)
from robot_policy.runtime.safety.safety_filter import LIMITS, SafetyFilter

TWIN = load_robot("panda_twin")
HOME = np.array([0.0, 0.3, 0.0, -2.0, 0.0, 2.3, 0.8])
ACTION = np.zeros(7, np.float32)


def demonstrated(episodes: int = 6, length: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Episodes in which the arm sways around home: states (n, S), and the episode of each."""
    rng = np.random.default_rng(0)
    assert TWIN.kinematics is not None
    states = []
    for _ in range(episodes):
        phase, size = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.2)
        for t in np.linspace(0, 2 * np.pi, length):
            q = HOME + size * np.sin(t + phase + np.arange(7))
            states.append(state_at(q))
    return np.stack(states), np.repeat(np.arange(episodes), length)


def state_at(q: np.ndarray) -> np.ndarray:
    assert TWIN.kinematics is not None
    pose = TWIN.kinematics.pose(q)
    return TWIN.proprioception(
        joint_positions=q, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
    )


STATES, EPISODES = demonstrated()


def fitted(**options: float) -> FeasibleStates:
    return FeasibleStates.fit(
        STATES, EPISODES, names=TWIN.state_spec.names, robot=TWIN.name, **options
    )


def test_demonstrated_states_pass_and_states_far_away_stop() -> None:
    limit = fitted().limit(TWIN)
    for state in STATES:
        assert limit.distance(state) < 1e-6
        assert not limit.restrict(ACTION, state, 0.05).stop
    near, far = state_at(STATES[5, :7] + 0.02), state_at(HOME + 0.6)
    assert not limit.restrict(ACTION, near, 0.05).stop
    decision = limit.restrict(ACTION, far, 0.05)
    assert decision.stop
    assert "far from every demonstrated state" in decision.reasons[0]


@given(st.floats(0.3, 1.0), st.floats(0.5, 5.0))
def test_the_threshold_is_a_multiple_of_a_quantile(quantile: float, margin: float) -> None:
    states = fitted(quantile=quantile, margin=margin)
    distances = distances_between_episodes(states.points, EPISODES)
    assert np.mean(distances * margin <= states.threshold * (1 + 1e-6)) >= quantile - 0.01
    assert states.facts["distances"]["max"] == pytest.approx(distances.max())


def test_an_entry_that_never_varies_does_not_make_noise_a_new_place() -> None:
    states, episodes = STATES.copy(), EPISODES
    states[:, 7] = 0.0
    limit = FeasibleStates.fit(
        states, episodes, names=TWIN.state_spec.names, robot=TWIN.name
    ).limit(TWIN)
    noisy = states[0].copy()
    noisy[7] = 0.005
    assert not limit.restrict(ACTION, noisy, 0.05).stop


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    states, path = fitted(), tmp_path / "feasible.npz"
    states.save(path)
    again = FeasibleStates.load(path)
    np.testing.assert_array_equal(again.points, states.points)
    np.testing.assert_array_equal(again.scale, states.scale)
    assert (again.threshold, again.names, again.robot) == (
        states.threshold,
        states.names,
        states.robot,
    )
    assert again.facts == states.facts
    safety = SafetyFilter.from_robot(TWIN, feasible=path)
    assert len(safety.limits) == len(LIMITS) + 1
    assert safety.restrict(ACTION, state_at(HOME + 0.6), 0.05).stop
    assert not safety.restrict(ACTION, STATES[0], 0.05).stop


def test_what_is_no_such_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "feasible.npz"
    with pytest.raises(DataError, match="no such file"):
        FeasibleStates.load(path)
    fitted().save(path)
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="not a file of feasible states"):
            FeasibleStates.load(path)
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(path, points=objects, scale=objects, facts=objects)
    with pytest.raises(DataError, match=r"not a file of feasible states.*allow_pickle"):
        FeasibleStates.load(path)
    facts = {"format_version": 9, "threshold": 1.0, "names": [], "robot": "x", "facts": {}}
    np.savez(path, points=np.zeros((1, 2)), scale=np.ones(2), facts=np.array(json.dumps(facts)))
    with pytest.raises(DataError, match="format version 9"):
        FeasibleStates.load(path)


def test_states_of_another_robot_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"expected panda_twin, 17 entries; got other, 17"):
        FeasibleStates.fit(STATES, EPISODES, names=TWIN.state_spec.names, robot="other").limit(TWIN)


def test_wrong_settings_and_too_little_data_are_refused() -> None:
    with pytest.raises(DataError, match="at least two episodes"):
        FeasibleStates.fit(STATES[:30], EPISODES[:30], names=TWIN.state_spec.names, robot=TWIN.name)
    with pytest.raises(ConfigError, match="quantile"):
        fitted(quantile=1.5)
    with pytest.raises(ConfigError, match="margin"):
        fitted(margin=float("nan"))
