"""A board in the twin is where it is said to be, at true scale."""

import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.detection import detect, to_gray
from calibration.hand_eye.data import Mounting
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import inverse
from sim.capture_arm import TwinCaptureArm
from sim.envs.scene_board import Holder, SceneBoard
from sim.registry import make_environment

BOARD = Board(BoardKind.CHARUCO, 5, 7, 0.035, 0.026, "5X5_100")


@pytest.mark.parametrize(
    ("holder", "camera"), [(Holder.TABLE, "wrist"), (Holder.GRIPPER, "agentview")]
)
def test_corners_are_seen_where_geometry_puts_them(holder: Holder, camera: str) -> None:
    placed = SceneBoard.usual(BOARD, holder)
    arm = make_environment("lift", image_size=(480, 640), board=placed)
    cube = arm.reset(3).environment_state[:3]
    assert np.linalg.norm(cube[:2] - np.array([0.58, 0.0])) > 0.25  # not on the board
    eyes = TwinCaptureArm(arm, seed=3)
    for _ in range(2):
        seen = detect(BOARD, to_gray(eyes.picture(camera, not_before_ns=0).pixels))
        assert seen is not None
        assert len(seen.ids) >= 12
        info = arm.camera_info(camera, height=480, width=640)
        held = np.eye(4) if holder is Holder.TABLE else arm.ee_pose
        view = inverse(info.base_T_camera) @ held @ placed.holder_T_board
        points = BOARD.points[seen.ids] @ view[:3, :3].T + view[:3, 3]
        off = seen.pixels - eyes.lens(camera).project(points)
        assert np.abs(off.mean(axis=0)).max() < 0.1
        assert np.sqrt((off**2).sum(axis=-1).mean()) < 0.3
        for _ in range(4):  # and again from elsewhere
            arm.step(np.array([0.02, 0.02, 0.02, 0, 0, 0.1, 0], np.float32))
    assert arm.max_steps > 10_000
    arm.close()


def test_what_holds_a_board() -> None:
    assert Holder.for_mounting(Mounting.EYE_TO_HAND) is Holder.GRIPPER
    with pytest.raises(UnknownNameError, match="unknown holder of the board 'floor'"):
        Holder.of("floor", where="here")


def test_a_task_without_a_table_has_no_place_for_a_board() -> None:
    with pytest.raises(ConfigError, match="no table for a calibration board"):
        make_environment("can", board=SceneBoard.usual(BOARD, Holder.TABLE))
