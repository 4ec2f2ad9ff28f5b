"""Specs validate what crosses a boundary and say what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.errors import SpecError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import (
    ActionSpace,
    ArraySpec,
    PolicySpec,
    check_runs_on,
    image_spec,
)

SPEC = ArraySpec(shape=(2,), names=("x", "y"), units=("m", "m"), low=(-1.0, 0.0), high=(1.0, 2.0))
POLICY = PolicySpec(
    robot="arm",
    state=SPEC,
    action=SPEC,
    action_space=ActionSpace.EE_DELTA_POSE,
    dt_s=0.05,
    environment_state=ArraySpec(shape=(1,), names=("cube_x",)),
    cameras={"wrist": image_spec(8, 12)},
    history=2,
    horizon=15,
    past=1,
)


@given(st.integers(0, 2**32))
def test_samples_are_valid_and_within_bounds(seed: int) -> None:
    x = SPEC.validate(SPEC.sample(np.random.default_rng(seed)), where="x")
    assert (x >= SPEC.low).all()
    assert (x <= SPEC.high).all()


def test_image_samples_are_valid() -> None:
    spec = image_spec(3, 5)
    assert spec.validate(spec.sample(np.random.default_rng(0)), where="image").shape == (3, 5, 3)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros(3, np.float32), "wrong shape"),
        (np.array([0.0, np.nan], np.float32), "got nan at y"),
        (np.array(["a", "b"]), "wrong type"),
    ],
)
def test_validate_says_what_is_wrong(value: np.ndarray, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        SPEC.validate(value, where="somewhere")


def test_contradicting_specs_are_refused() -> None:
    with pytest.raises(SpecError, match="one entry per element"):
        ArraySpec(shape=(2,), names=("x",))
    with pytest.raises(SpecError, match="low must not exceed high"):
        ArraySpec(shape=(1,), low=(1.0,), high=(0.0,))
    with pytest.raises(SpecError, match="dt_s"):
        replace(POLICY, dt_s=0.0)


def test_policy_spec_survives_json() -> None:
    assert PolicySpec.from_json(POLICY.to_json()) == POLICY


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"robot": "other"}, "another robot"),
        ({"dt_s": 0.1}, "expected 20 Hz; got 10 Hz"),
        ({"action_space": ActionSpace.EE_POSE}, "another action space"),
        ({"action": ArraySpec(shape=(3,))}, "another action size"),
        ({"environment_state": None}, "privileged"),
        ({"cameras": {}}, "camera 'wrist' is missing"),
    ],
)
def test_a_policy_is_refused_by_another_robot(change: dict, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        check_runs_on(POLICY, replace(POLICY, **change), where="robot")


def test_a_source_may_offer_more_than_is_used() -> None:
    policy = replace(POLICY, environment_state=None, cameras={})
    check_runs_on(policy, POLICY, where="dataset")


def test_robot_specs_name_every_entry() -> None:
    robot = load_robot("panda_twin")
    assert len(robot.state_spec.names) == robot.state_spec.size
    assert robot.action_spec.names[-1] == "gripper"
