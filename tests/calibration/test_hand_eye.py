"""Hand-eye calibration against rigs whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from calibration.board import Board, BoardKind
from calibration.board_pose import board_pose
from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.diversity import diversity
from calibration.hand_eye.starts import SOLVERS, solve_closed_form
from calibration.lens import Lens, LensModel
from calibration.result import CalibrationResult
from calibration.rigid import moved, step_between
from calibration.simulated_rig import SimulatedRig, diverse_views, ideal_detections, random_rig
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import (
    matrix_from_quat,
    matrix_from_rotvec,
    quat_from_matrix,
    transform,
)

BOARD = Board(BoardKind.CHARUCO, 8, 6, 0.03, 0.022, "5X5_50")
LENS = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600, 602, 322, 236, -0.2, 0.1, 1e-3, 0, 0]))
ARM_RAD, ARM_M, CORNER_PX = 3e-4, 2e-4, 0.3


def rig_and_data(
    mounting: Mounting, seed: int = 0, *, poses: int = 20, bad: int = 0
) -> tuple[SimulatedRig, HandEyeData]:
    rng = np.random.default_rng(seed)
    rig = random_rig(mounting, BOARD, LENS, rng)
    views = diverse_views(BOARD, poses, rng)
    slips = rng.normal(size=(poses, 6)) * ([ARM_RAD] * 3 + [ARM_M] * 3)
    slips[:bad] += rng.normal(size=(bad, 6)) * ([0.03] * 3 + [0.01] * 3)
    seen = ideal_detections(BOARD, LENS, views, rng, noise_px=CORNER_PX)
    return rig, rig.data(moved(rig.arm_at(views), slips), seen)


def solve(data: HandEyeData, options: HandEyeOptions | None = None) -> CalibrationResult:
    options = options or HandEyeOptions(suggest_pose=False)
    return calibrate_hand_eye(data, options, rng=np.random.default_rng(0))


def camera_name(mounting: Mounting) -> str:
    return f"{mounting.camera_parent}_T_camera"


def errors(found: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    step = step_between(found, truth)
    return 1000 * float(np.linalg.norm(step[3:])), float(np.rad2deg(np.linalg.norm(step[:3])))


@pytest.mark.parametrize("mounting", Mounting)
def test_the_camera_is_found_and_the_stated_region_holds_it(mounting: Mounting) -> None:
    ours: list[tuple[float, float]] = []
    theirs: dict[str, list[float]] = {solver: [] for solver in SOLVERS}
    inside = 0
    for seed in range(2):
        rig, data = rig_and_data(mounting, seed)
        result = solve(data)
        name = camera_name(mounting)
        found = result.transform(name)
        ours.append(errors(found, rig.parent_T_camera))
        off = step_between(found, rig.parent_T_camera)
        distance = off @ np.linalg.solve(result.covariance_of(name), off)
        inside += distance < chi2.ppf(0.999, 6)
        assert result.figures["corner_noise_px"] == pytest.approx(CORNER_PX, rel=0.1)
        assert result.values["dropped"] == []
        seen = data.detections["camera"]
        sights = [board_pose(BOARD, LENS, d) for d in seen if d is not None]
        boards = np.array([s.camera_T_board for s in sights if s is not None])
        for solver in SOLVERS:
            start = solve_closed_form(solver, mounting, data.base_T_gripper, boards)
            assert start is not None
            theirs[solver].append(errors(start[0], rig.parent_T_camera)[0])
    median_mm, median_deg = np.median(ours, axis=0)
    assert median_mm < 0.6
    assert median_deg < 0.1
    assert median_mm < 0.8 * min(np.median(mm) for mm in theirs.values())
    assert inside == 2


@pytest.mark.parametrize("mounting", Mounting)
def test_bad_poses_are_named_and_left_out(mounting: Mounting) -> None:
    rig, data = rig_and_data(mounting, 3, bad=4)
    result = solve(data)
    assert result.values["dropped"] == [f"pose {i}" for i in range(4)]
    assert "pose 2: left out" in " ".join(result.notes)
    assert errors(result.transform(camera_name(mounting)), rig.parent_T_camera)[0] < 1.5


def test_a_misread_board_is_left_out_before_anything_else() -> None:
    rig, data = rig_and_data(Mounting.EYE_IN_HAND, 1)
    seen = list(data.detections["camera"])
    first = seen[5]
    assert first is not None
    seen[5] = replace(first, pixels=np.roll(first.pixels, 3, axis=0))
    result = solve(replace(data, detections={"camera": seen}))
    assert result.notes[0].startswith("pose 5: the corners in the picture of camera")
    assert "pose 5" not in result.values["used"]
    assert errors(result.transform("gripper_T_camera"), rig.parent_T_camera)[0] < 1.0


def test_leave_one_out_is_what_solving_without_the_pose_gives() -> None:
    _, data = rig_and_data(Mounting.EYE_IN_HAND, 2, poses=12)
    result = solve(data)
    i = 4
    others = solve(data.chosen([k for k in range(12) if k != i]))
    seen = data.detections["camera"][i]
    assert seen is not None
    sight = board_pose(BOARD, LENS, seen)
    assert sight is not None
    camera, board = others.transform("gripper_T_camera"), others.transform("base_T_board")
    middle = np.array([*BOARD.size_m, 0, 2]) / 2
    by_picture = data.base_T_gripper[i] @ camera @ sight.camera_T_board @ middle
    expected_mm = 1000 * float(np.linalg.norm(by_picture - board @ middle))
    assert result.residuals["leave_one_out_mm"][i] == pytest.approx(expected_mm, rel=0.15)


def test_the_same_data_give_the_same_result_and_digest() -> None:
    _, data = rig_and_data(Mounting.EYE_TO_HAND, 2, poses=8)
    first, second = solve(data), solve(data)
    np.testing.assert_array_equal(first.covariance, second.covariance)
    assert first.provenance.inputs_sha256 == second.provenance.inputs_sha256
    other = solve(data.chosen(range(7)))
    assert other.provenance.inputs_sha256 != first.provenance.inputs_sha256


@pytest.mark.parametrize(
    ("motion", "message"),
    [
        ("few", "too few poses.*at least 5.*got 4"),
        ("shifts", "hardly turns.*moving without turning does not count"),
        ("small", "hardly turns"),
        ("one axis", "about one axis, z of the gripper.*add poses turned about [xy] and [xy]"),
    ],
)
def test_motions_that_determine_nothing_are_refused(motion: str, message: str) -> None:
    rng = np.random.default_rng(5)
    rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
    start = rig.arm_at(diverse_views(BOARD, 1, rng, tilt_rad=(0.2, 0.3), aside=0.0))[0]
    steps = np.zeros((20, 6))
    steps[:, 3:] = 0.02 * rng.normal(size=(20, 3))
    if motion == "one axis":
        steps[:, 2] = np.linspace(-0.15, 0.15, 20)
    elif motion == "small":
        steps[:, :3] = 0.008 * rng.normal(size=(20, 3))
    poses = moved(start, steps)
    seen = ideal_detections(BOARD, LENS, rig.view_at(poses), rng, noise_px=0.3)
    count = 4 if motion == "few" else 20
    with pytest.raises(DataError, match=message):
        solve(rig.data(poses, seen).chosen(range(count)))


def test_diversity_is_the_turn_across_the_weakest_axis() -> None:
    about_x = [transform(matrix_from_rotvec(np.array([a, 0, 0])), np.zeros(3)) for a in (0.0, 0.5)]
    found = diversity(Mounting.EYE_IN_HAND, np.array(about_x))
    np.testing.assert_allclose(np.abs(found.axis), [1, 0, 0], atol=1e-9)
    assert found.weakest_turn_deg == pytest.approx(0, abs=1e-5)
    assert found.largest_turn_deg == pytest.approx(np.rad2deg(0.5))


def reordered(pose: np.ndarray) -> np.ndarray:
    quat = quat_from_matrix(pose[:3, :3])
    return transform(matrix_from_quat(np.roll(quat, -1)), pose[:3, 3])


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("mounting", "the other mounting"),
        ("quaternions", "x y z w where w x y z is expected"),
        ("transposed", "rotations of the poses are transposed"),
        ("board", "squares of the board look like .*stated are 250 mm"),
        ("print", "board and arm disagree on what a metre is.*squares of 32.00 mm"),
        ("shuffled", "do not fit each other.*degrees?.*joints and pictures of different moments"),
    ],
)
def test_usual_mistakes_are_recognised(mistake: str, message: str) -> None:
    _, data = rig_and_data(Mounting.EYE_IN_HAND, 4, poses=10)
    poses = data.base_T_gripper
    match mistake:
        case "mounting":
            data = replace(data, mounting=Mounting.EYE_TO_HAND)
        case "quaternions":
            data = replace(data, base_T_gripper=np.array([reordered(p) for p in poses]))
        case "transposed":
            turned = transform(np.swapaxes(poses[:, :3, :3], 1, 2), poses[:, :3, 3])
            data = replace(data, base_T_gripper=turned)
        case "board":
            data = replace(data, board=replace(BOARD, square_m=0.25, marker_m=0.18))
        case "print":
            data = replace(data, board=replace(BOARD, square_m=0.032))
        case "shuffled":
            data = replace(data, base_T_gripper=poses[::-1])
    with pytest.raises(DataError, match=message):
        solve(data)


def test_a_set_declared_as_the_other_mounting_is_recognised() -> None:
    """The other way round than above: the board in the hand, said to be the camera."""
    _, data = rig_and_data(Mounting.EYE_TO_HAND, 5, poses=10)
    with pytest.raises(DataError, match=r"fit the other mounting.*try the other --mounting"):
        solve(replace(data, mounting=Mounting.EYE_IN_HAND))


def test_mirrored_pictures_of_a_checkerboard_are_recognised() -> None:
    board = Board(BoardKind.CHECKERBOARD, 8, 5, 0.03)
    rng = np.random.default_rng(0)
    rig = random_rig(Mounting.EYE_IN_HAND, board, LENS, rng)
    views = diverse_views(board, 14, rng, aside=0.05)
    seen = []
    for one in ideal_detections(board, LENS, views, rng, noise_px=0.1):
        assert one is not None
        assert len(one.ids) == 28
        pixels = one.pixels.copy()
        pixels[:, 0] = LENS.width - 1 - pixels[:, 0]
        order = np.arange(28).reshape(4, 7)[:, ::-1].ravel()
        seen.append(replace(one, pixels=pixels[order]))
    with pytest.raises(DataError, match="the pictures are mirrored"):
        solve(rig.data(rig.arm_at(views), seen))


def test_another_board_than_the_one_named_is_recognised() -> None:
    _, data = rig_and_data(Mounting.EYE_IN_HAND, 0, poses=8)
    with pytest.raises(DataError, match=r"do not lie as on the board.*rows and columns swapped"):
        solve(replace(data, board=replace(BOARD, columns=6, rows=8)))


def test_several_cameras_at_once() -> None:
    rng = np.random.default_rng(7)
    rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
    beside = moved(rig.parent_T_camera, np.array([0, 0, 0.1, 0.03, 0, 0]))
    second = replace(rig, parent_T_camera=beside)
    views = diverse_views(BOARD, 14, rng, aside=0.05)
    true = rig.arm_at(views)
    poses = moved(true, rng.normal(size=(14, 6)) * ([ARM_RAD] * 3 + [ARM_M] * 3))
    seen = ideal_detections(BOARD, LENS, views, rng, noise_px=0.3)
    also = ideal_detections(BOARD, LENS, second.view_at(true), rng, noise_px=0.3)
    also[3] = None
    data = replace(
        rig.data(poses, seen),
        lenses={"left": LENS, "right": LENS},
        detections={"left": seen, "right": also},
    )
    both = solve(data)
    for name, truth in (("left", rig.parent_T_camera), ("right", beside)):
        assert errors(both.transform(f"gripper_T_{name}"), truth)[0] < 1.0
    # The cameras share the arm's slips: together they know each other better than the arm.
    between = np.linalg.inv(both.transform("gripper_T_left")) @ both.transform("gripper_T_right")
    assert errors(between, np.linalg.inv(rig.parent_T_camera) @ beside)[0] < 0.5


def test_intrinsics_are_refined_within_what_is_known_of_them() -> None:
    rig, data = rig_and_data(Mounting.EYE_IN_HAND, 8)
    off = LENS.parameters + np.array([3.0, 3.0, 2.0, -2.0, *np.zeros(5)])
    wrong = replace(data, lenses={"camera": replace(LENS, parameters=off)})
    covariance = np.diag([9.0, 9.0, 4.0, 4.0, *[1e-4] * 5])
    kept = solve(wrong)
    refined = solve(
        wrong, HandEyeOptions(lens_covariances={"camera": covariance}, suggest_pose=False)
    )
    name = "gripper_T_camera"
    truth = rig.parent_T_camera
    assert errors(refined.transform(name), truth)[0] < errors(kept.transform(name), truth)[0]
    lens = refined.values["camera.lens_parameters"]
    assert np.abs(lens[:2] - LENS.parameters[:2]).max() < 1.5
    assert "camera.fx_px" in refined.parameters


def test_the_next_pose_helps_as_much_as_it_says() -> None:
    rig, data = rig_and_data(Mounting.EYE_IN_HAND, 9, poses=7)
    before = solve(data, HandEyeOptions())
    pose = before.transform("next_base_T_gripper")
    rng = np.random.default_rng(1)
    seen = ideal_detections(BOARD, LENS, rig.view_at(pose)[None], rng, noise_px=0.3)
    assert seen[0] is not None
    more = rig.data(
        np.concatenate([data.base_T_gripper, pose[None]]), [*data.detections["camera"], *seen]
    )
    after = solve(more)
    was, is_now = (r.figures["gripper_T_camera.std_mm"] for r in (before, after))
    assert before.figures["next_pose_std_mm"] < was
    assert is_now == pytest.approx(before.figures["next_pose_std_mm"], rel=0.4)
