"""A capture by an arm that does what it is told: complete, within the limits, resumable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ideal_arm import LENS, IdealArm

from calibration.board import Board, BoardKind
from calibration.detection import detect, to_gray
from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.pose_difference import pose_difference
from calibration.samples import load_samples, read_image
from robot_policy.capture.approach import Approach
from robot_policy.capture.automatic import AutomaticCapture, Tally
from robot_policy.capture.folder import CaptureFolder, CaptureSettings
from robot_policy.capture.sighting import Viewer
from robot_policy.core.errors import ConfigError, DataError, SafetyError
from robot_policy.core.geometry import inverse, matrix_from_rotvec, transform
from robot_policy.core.robot import RobotDescription, load_robot

BOARD = Board(BoardKind.CHARUCO, 4, 5, 0.045, 0.034, "4X4_50")
START = np.array([0.0, 0.2, 0.0, -2.3, 0.0, 2.5, 0.8])
HAND_T_CAMERA = transform(
    matrix_from_rotvec(np.array([0.1, -0.05, 1.5])), np.array([0.05, 0, -0.1])
)


@pytest.fixture
def robot() -> RobotDescription:
    return load_robot("panda_twin_joint")


def eye_in_hand(robot: RobotDescription, *, start: np.ndarray = START) -> IdealArm:
    """The camera is on the hand and sees the board in front of it."""
    view = transform(np.eye(3), np.array([-0.09, -0.11, 0.45]))
    base_T_board = robot.kinematics.pose(START) @ HAND_T_CAMERA @ view
    return IdealArm(
        robot,
        start,
        board=BOARD,
        parent_T_camera=HAND_T_CAMERA,
        parent_T_board=base_T_board,
    )


def capture(
    arm: IdealArm, folder: Path, wanted: int, *, known: np.ndarray | None = None, seed: int = 0
) -> Tally:
    settings = CaptureSettings.of(arm.robot, arm.mounting.value, ("wrist",), BOARD)
    into = CaptureFolder(folder, settings)
    into.begin(BOARD, {"wrist": LENS})
    viewer = Viewer(arm.mounting, BOARD, LENS, known)
    return AutomaticCapture(
        arm.robot,
        arm,
        into,
        viewer,
        cameras=("wrist",),
        approach=Approach(arm.robot, speed=1.0, gripper=0.0),
        rng=np.random.default_rng(seed),
        say=lambda _: None,
    ).run(wanted)


def solved(folder: Path, mounting: Mounting) -> np.ndarray:
    samples = load_samples(folder)
    poses = np.array([s.base_T_gripper for s in samples.samples])
    seen = [detect(BOARD, to_gray(read_image(p))) for p in samples.image_paths("camera")]
    labels = tuple(map(str, range(len(poses))))
    data = HandEyeData(mounting, BOARD, {"camera": LENS}, poses, {"camera": seen}, labels)
    options = HandEyeOptions(suggest_pose=False)
    result = calibrate_hand_eye(data, options, rng=np.random.default_rng(0))
    return result.transform(f"{mounting.camera_parent}_T_camera")


def test_it_finds_where_to_look_by_itself(robot: RobotDescription, tmp_path: Path) -> None:
    arm = eye_in_hand(robot)
    tally = capture(arm, tmp_path / "s", 12)
    assert (tally.taken, tally.outside) == (12, 0)
    assert tally.weakest_turn_deg > 20.0
    found = solved(tmp_path / "s", Mounting.EYE_IN_HAND)
    shift_mm, turn_deg = pose_difference(HAND_T_CAMERA, found)
    assert shift_mm < 2.0
    assert turn_deg < 0.2
    # It ends where it began, at rest.
    np.testing.assert_allclose(arm.readings[-1].joints, START, atol=0.05)
    np.testing.assert_allclose(arm.actions[-1][:7], arm.readings[-1].joints, atol=1e-3)


def test_a_board_in_the_gripper_stays_above_the_table(
    robot: RobotDescription, tmp_path: Path
) -> None:
    hand = robot.kinematics.pose(START)
    hand_T_board = transform(
        np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]]), np.array([0.06, 0.09, -0.12])
    )
    middle = (hand @ hand_T_board @ np.array([0.09, 0.12, 0, 1.0]))[:3]
    # Looks at the board from in front of the arm, level.
    R = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])
    base_T_camera = transform(R, middle + np.array([0.5, 0.0, 0.0]))
    arm = IdealArm(
        robot,
        START,
        board=BOARD,
        mounting=Mounting.EYE_TO_HAND,
        parent_T_camera=base_T_camera,
        parent_T_board=hand_T_board,
    )
    tally = capture(arm, tmp_path / "s", 10)
    assert (tally.taken, tally.outside) == (10, 0)
    corners = np.array([[x, y, 0, 1] for x in (0, 0.18) for y in (0, 0.225)])
    heights = [
        (s.base_T_gripper @ hand_T_board @ corners.T)[2].min()
        for s in load_samples(tmp_path / "s").samples
    ]
    assert min(heights[6:]) > robot.workspace.low[2] - 0.01
    shift_mm, _ = pose_difference(base_T_camera, solved(tmp_path / "s", Mounting.EYE_TO_HAND))
    assert shift_mm < 4.0


def test_stopped_it_holds_and_leaves_a_folder_that_it_goes_on_with(
    robot: RobotDescription, tmp_path: Path
) -> None:
    arm = eye_in_hand(robot)

    def interrupted(step: int) -> None:
        if step == 150:
            arm.before_step = lambda _: None
            raise KeyboardInterrupt

    arm.before_step = interrupted
    with pytest.raises(KeyboardInterrupt):
        capture(arm, tmp_path / "s", 12)
    np.testing.assert_allclose(arm.actions[-1][:7], arm.readings[-2].joints, atol=1e-6)
    before = load_samples(tmp_path / "s").samples
    assert 1 <= len(before) < 12
    with (tmp_path / "s/poses.jsonl").open("a") as file:
        file.write('{"stamp_ns": 17')  # as a kill leaves it
    again = eye_in_hand(robot)
    tally = capture(again, tmp_path / "s", 8)
    assert tally.taken == 8
    assert tally.new == 8 - len(before)
    after = load_samples(tmp_path / "s").samples
    assert [s.stamp_ns for s in after[: len(before)]] == [s.stamp_ns for s in before]
    assert capture(eye_in_hand(robot), tmp_path / "s", 8).new == 0


def test_a_known_camera_needs_no_exploring(robot: RobotDescription, tmp_path: Path) -> None:
    tally = capture(eye_in_hand(robot), tmp_path / "s", 5, known=HAND_T_CAMERA)
    assert tally.taken == 5
    assert tally.weakest_turn_deg > 15.0


@pytest.mark.slow
def test_a_camera_that_is_elsewhere_is_looked_for(robot: RobotDescription, tmp_path: Path) -> None:
    wrong = HAND_T_CAMERA @ transform(matrix_from_rotvec(np.array([0.9, 0.0, 0.0])), np.zeros(3))
    tally = capture(eye_in_hand(robot), tmp_path / "s", 7, known=wrong)
    assert (tally.taken, tally.outside) == (7, 0)


def test_an_arm_that_does_not_follow_is_said(robot: RobotDescription, tmp_path: Path) -> None:
    arm = eye_in_hand(robot)
    arm.moves_by_hand = lambda _: START
    with pytest.raises(SafetyError, match=r"does not follow its commands.*joint_trajectory"):
        capture(arm, tmp_path / "s", 5)


def test_without_a_board_in_sight_nothing_moves(robot: RobotDescription, tmp_path: Path) -> None:
    arm = eye_in_hand(robot)
    arm.parent_T_board = inverse(arm.parent_T_board)
    with pytest.raises(DataError, match="the board is not in sight"):
        capture(arm, tmp_path / "s", 5)
    assert np.ptp([r.joints for r in arm.readings], axis=0).max() < 1e-6


def test_an_arm_outside_of_its_limits_is_not_moved(robot: RobotDescription, tmp_path: Path) -> None:
    arm = eye_in_hand(robot, start=START + np.array([0, 0, 0, 0, 0, 2.0, 0]))
    with pytest.raises(ConfigError, match="outside of its limits"):
        capture(arm, tmp_path / "s", 5)
    assert arm.actions == []


def test_samples_of_another_capture_are_not_added_to(
    robot: RobotDescription, tmp_path: Path
) -> None:
    capture(eye_in_hand(robot), tmp_path / "s", 1)
    other = CaptureSettings.of(robot, "eye_to_hand", ("wrist",), BOARD)
    with pytest.raises(ConfigError, match="another mounting"):
        CaptureFolder(tmp_path / "s", other)
    bigger = CaptureSettings.of(
        robot, "eye_in_hand", ("wrist",), replace(BOARD, square_m=0.04, marker_m=0.03)
    )
    with pytest.raises(ConfigError, match="another board"):
        CaptureFolder(tmp_path / "s", bigger)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="will not be overwritten"):
        CaptureFolder(tmp_path / "mine", bigger)
