"""Mistakes in recorded samples are said before anything is computed."""

import numpy as np
import pytest

from calibration.pose_text import pose_from_json
from calibration.sample_checks import check_clocks, check_joint_units
from calibration.samples import Sample
from robot_policy.core.errors import DataError


def test_joints_in_degrees() -> None:
    check_joint_units([Sample(0, joints={"a": 6.2, "b": -6.2})], where="x")
    with pytest.raises(DataError, match=r"x: joint 'b' .*got 90; positions in degrees"):
        check_joint_units([Sample(0, joints={"a": 30.0, "b": -90.0})], where="x")


def test_joints_of_another_clock() -> None:
    def sample(apart_s: float) -> Sample:
        return Sample(10**18, images={"c": "a.png"}, joint_stamp_ns=10**18 + round(1e9 * apart_s))

    check_clocks([sample(0.2), sample(5.0), sample(0.1)], where="x")
    check_clocks([Sample(5)], where="x")
    with pytest.raises(DataError, match=r"stamped by different clocks.*got -5 s"):
        check_clocks([sample(-5.0), sample(-5.0), sample(0.1)], where="x")


def test_rotation_vectors_in_degrees() -> None:
    value = {"position": [0, 0, 0], "rotvec_rad": [0, 0, np.pi / 2]}
    np.testing.assert_allclose(pose_from_json(value, where="x")[:2, 0], [0, 1], atol=1e-12)
    with pytest.raises(DataError, match="longer than a whole turn; got 90; rotations in degrees"):
        pose_from_json({**value, "rotvec_rad": [0, 0, 90]}, where="x")
