"""Chains of joints, and joint zeros found by a hand-eye calibration."""

from pathlib import Path

import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import Mounting
from calibration.hand_eye.joint_offsets import OffsetJoints
from calibration.kinematics import Chain, load_chain
from calibration.lens import Lens, LensModel
from calibration.rigid import step_between
from calibration.simulated_rig import SimulatedRig, diverse_views, ideal_detections, random_rig
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, transform

URDF = """<robot name="arm">
  <link name="base"/><link name="a"/><link name="b"/><link name="c"/><link name="d"/>
  <link name="tool"/>
  <joint name="j1" type="revolute"><parent link="base"/><child link="a"/>
    <origin xyz="0 0 0.3"/><axis xyz="0 0 1"/></joint>
  <joint name="j2" type="revolute"><parent link="a"/><child link="b"/>
    <origin xyz="0 0.1 0" rpy="0.1 0 0"/><axis xyz="0 1 0"/></joint>
  <joint name="j3" type="continuous"><parent link="b"/><child link="c"/>
    <origin xyz="0 0 0.4"/><axis xyz="0 1 0"/></joint>
  <joint name="j4" type="revolute"><parent link="c"/><child link="d"/>
    <origin xyz="0.3 0 0"/><axis xyz="1 0 0"/></joint>
  <joint name="end" type="fixed"><parent link="d"/><child link="tool"/>
    <origin xyz="0 0 0.1" rpy="0 0.5 0"/></joint>
</robot>
"""


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    (tmp_path / "arm.urdf").write_text(URDF)
    return load_chain(tmp_path / "arm.urdf", tip="tool")


def test_a_chain_multiplies_its_joints(chain: Chain) -> None:
    assert chain.joints == ("j1", "j2", "j3", "j4")
    x, y, z = np.eye(3)
    positions = np.array([[0.3, -0.2, 0.7, 1.1], [0, 0, 0, 0]])
    q = positions[0]
    expected = (
        transform(matrix_from_rotvec(q[0] * z), [0, 0, 0.3])
        @ transform(matrix_from_rotvec(0.1 * x) @ matrix_from_rotvec(q[1] * y), [0, 0.1, 0])
        @ transform(matrix_from_rotvec(q[2] * y), [0, 0, 0.4])
        @ transform(matrix_from_rotvec(q[3] * x), [0.3, 0, 0])
        @ transform(matrix_from_rotvec(0.5 * y), [0, 0, 0.1])
    )
    np.testing.assert_allclose(chain.forward(positions)[0], expected, atol=1e-12)


def test_links_and_joints_that_are_missing_are_named(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tool'"):
        load_chain(tmp_path / "arm.urdf", tip="tol")
    with pytest.raises(ConfigError, match="'a' does not hang on 'tool'"):
        load_chain(tmp_path / "arm.urdf", tip="a", base="tool")
    with pytest.raises(DataError, match="no position of joint 'j3'"):
        chain.positions([{"j1": 0, "j2": 0, "j4": 0}], where="poses")


def test_joint_zeros_are_found(chain: Chain) -> None:
    board = Board(BoardKind.CHARUCO, 8, 6, 0.03, 0.022, "5X5_50")
    lens = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600.0, 600, 320, 240, 0, 0, 0, 0, 0]))
    rng = np.random.default_rng(3)
    rig = random_rig(Mounting.EYE_IN_HAND, board, lens, rng)
    offsets = np.array([0.0, 0.02, -0.015, 0.0])
    middle = np.array([0.2, 0.3, 0.5, 0.1])
    positions = middle + rng.uniform(-0.45, 0.45, (24, 4))
    true = chain.forward(positions + offsets)
    # Where the board is and how the camera sits are chosen so that it is in sight of all poses.
    view = diverse_views(board, 1, rng, distance_m=(0.8, 0.8), tilt_rad=(0.2, 0.2), aside=0.0)[0]
    on = chain.forward(middle) @ rig.parent_T_camera @ view
    rig = SimulatedRig(rig.mounting, board, lens, rig.parent_T_camera, on)
    seen = ideal_detections(board, lens, rig.view_at(true), rng, noise_px=0.1)
    said = chain.forward(positions)
    data = rig.data(said, seen, joints=positions)
    options = HandEyeOptions(arm=OffsetJoints(chain, positions, said), suggest_pose=False)
    found = calibrate_hand_eye(data, options, rng=rng)
    plain = calibrate_hand_eye(data, HandEyeOptions(suggest_pose=False), rng=rng)
    assert found.values["j2.offset_rad"] == pytest.approx(0.02, abs=2e-3)
    assert found.values["j3.offset_rad"] == pytest.approx(-0.015, abs=2e-3)
    assert "j1.offset_rad" not in found.values

    def off_mm(result: object) -> float:
        step = step_between(result.transform("gripper_T_camera"), rig.parent_T_camera)  # type: ignore[attr-defined]
        return 1000 * float(np.linalg.norm(step[3:]))

    assert found.figures["leave_one_out_mm"] < plain.figures["leave_one_out_mm"] / 3
    assert off_mm(found) < off_mm(plain)
