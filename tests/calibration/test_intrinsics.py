"""Intrinsics of lenses that are known, and what is refused."""

import cv2
import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.detection import Detection
from calibration.intrinsics.calibrate import Frames, calibrate_intrinsics, lens_of
from calibration.intrinsics.coverage_picture import coverage_picture
from calibration.intrinsics.frame_choice import CELLS, cell_counts, choose_frames, coverage
from calibration.lens import Lens, LensModel
from calibration.rigid import apply
from calibration.simulated_rig import diverse_views, ideal_detections
from robot_policy.core.errors import DataError

BOARD = Board(BoardKind.CHARUCO, 8, 6, 0.03, 0.022, "5X5_50")
SIZE = (640, 480)
PARAMETERS = {
    LensModel.PLUMB_BOB: [600, 603, 325, 238, -0.25, 0.1, 1e-3, -5e-4, 0.01],
    LensModel.RATIONAL: [600, 603, 325, 238, 0.1, -0.2, 1e-3, -5e-4, 0.01, 0.3, -0.1, 0.02],
    LensModel.FISHEYE: [300, 301, 322, 243, 0.02, -0.01, 3e-3, -5e-4],
}


def frames_of(
    lens: Lens, count: int, *, seed: int = 0, aside: float = 0.35, tilt: float = 0.7
) -> Frames:
    rng = np.random.default_rng(seed)
    close = lens.parameters[0] / 600
    views = diverse_views(
        BOARD,
        count,
        rng,
        distance_m=(0.3 * close, 0.6 * close),
        tilt_rad=(0.0, tilt),
        aside=aside / close,
    )
    seen = ideal_detections(BOARD, lens, views, rng, noise_px=0.1)
    return Frames(BOARD, SIZE, seen, tuple(f"{i}.png" for i in range(count)))


@pytest.mark.parametrize("model", LensModel)
def test_the_lens_is_found_and_its_uncertainty_is_true(model: LensModel) -> None:
    lens = Lens(model, *SIZE, np.array(PARAMETERS[model], dtype=float))
    frames = frames_of(lens, 24)
    result = calibrate_intrinsics(frames, model)
    found = lens_of(result)
    assert np.abs(found.parameters[:2] / lens.parameters[:2] - 1).max() < 5e-3
    off = found.parameters[:4] - lens.parameters[:4]
    assert np.abs(off / np.sqrt(np.diag(result.covariance)[:4])).max() < 3.5
    assert result.figures["held_out_px"] == pytest.approx(0.1 * np.sqrt(2), rel=0.1)
    assert result.notes == ()


def test_frames_that_do_not_fit_are_named_and_left_out() -> None:
    lens = Lens(LensModel.PLUMB_BOB, *SIZE, np.array(PARAMETERS[LensModel.PLUMB_BOB]))
    frames = frames_of(lens, 14)
    seen = list(frames.seen)
    moved = seen[3]
    assert moved is not None
    noise = 3 * np.random.default_rng(0).normal(size=moved.pixels.shape)
    seen[3] = Detection(moved.ids, moved.pixels + noise)
    result = calibrate_intrinsics(Frames(BOARD, SIZE, seen, frames.labels), LensModel.PLUMB_BOB)
    assert result.notes[0].startswith("3.png: left out")
    assert "3.png" not in result.values["used"]
    assert abs(result.values["lens_parameters"][0] / 600 - 1) < 4e-3


def test_what_the_pictures_do_not_tell_is_refused_or_said() -> None:
    lens = Lens(LensModel.PLUMB_BOB, *SIZE, np.array(PARAMETERS[LensModel.PLUMB_BOB]))
    with pytest.raises(DataError, match=r"too few pictures.*at least 6.*got 4 of 4"):
        calibrate_intrinsics(frames_of(lens, 4), LensModel.PLUMB_BOB)
    flat = frames_of(lens, 8, tilt=0.01)
    with pytest.raises(DataError, match=r"do not determine the focal length.*tilt the board"):
        calibrate_intrinsics(flat, LensModel.PLUMB_BOB)
    swapped = Board(BoardKind.CHARUCO, 6, 8, 0.03, 0.022, "5X5_50")
    wrong = Frames(swapped, SIZE, flat.seen, flat.labels)
    with pytest.raises(DataError, match=r"no lens explains the corners|pictures that agree"):
        calibrate_intrinsics(wrong, LensModel.PLUMB_BOB)
    middle = calibrate_intrinsics(frames_of(lens, 12, aside=0.02), LensModel.PLUMB_BOB)
    assert "of the picture was covered" in middle.notes[-1]


def test_frames_are_chosen_for_coverage() -> None:
    lens = Lens(LensModel.PLUMB_BOB, *SIZE, np.array(PARAMETERS[LensModel.PLUMB_BOB]))
    seen = [d for d in frames_of(lens, 40).seen if d is not None]
    chosen = choose_frames(seen, SIZE, at_most=10)
    assert len(set(chosen.tolist())) == 10
    best = coverage([seen[i] for i in chosen], SIZE)
    rng = np.random.default_rng(0)
    others = [coverage([seen[i] for i in rng.choice(40, 10, False)], SIZE) for _ in range(20)]
    assert best >= max(others)
    assert cell_counts(seen, SIZE).sum() == sum(len(d.ids) for d in seen)


def test_the_coverage_picture_shows_what_is_missing() -> None:
    lens = Lens(LensModel.PLUMB_BOB, *SIZE, np.array(PARAMETERS[LensModel.PLUMB_BOB]))
    view = diverse_views(BOARD, 1, np.random.default_rng(0), aside=0.0)[0]
    pixels = lens.project(apply(view, BOARD.points))
    seen = Detection(np.arange(len(pixels)), pixels)
    picture = coverage_picture([seen], [np.zeros_like(pixels)], SIZE)
    assert picture.shape == (480, 640, 3)
    empty = np.all(picture == (255, 205, 195), axis=-1)
    cells = cell_counts([seen], SIZE)
    step = (480 // CELLS[1], 640 // CELLS[0])
    for row, column in np.ndindex(cells.shape):
        corner = empty[row * step[0] + 2, column * step[1] + 2]
        assert corner == (cells[row, column] == 0)


@pytest.mark.slow
def test_held_out_error_is_no_worse_than_opencvs() -> None:
    lens = Lens(LensModel.PLUMB_BOB, *SIZE, np.array(PARAMETERS[LensModel.PLUMB_BOB]))
    frames = frames_of(lens, 20)
    test = [d for d in frames_of(lens, 20, seed=9).seen if d is not None]
    seen = [d for d in frames.seen if d is not None]
    points = [BOARD.points[d.ids].astype(np.float32)[:, None] for d in seen]
    pixels = [d.pixels.astype(np.float32)[:, None] for d in seen]
    _, K, D, _, _ = cv2.calibrateCamera(points, pixels, SIZE, None, None)  # type: ignore[call-overload]
    peer = Lens(
        LensModel.PLUMB_BOB, *SIZE, np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *D.ravel()[:5]])
    )
    ours = lens_of(calibrate_intrinsics(frames, LensModel.PLUMB_BOB))

    def error(of: Lens) -> float:
        from calibration.board_pose import board_pose

        poses = [board_pose(BOARD, of, d) for d in test]
        return float(np.mean([p.rms_px**2 for p in poses if p is not None]) ** 0.5)

    assert error(ours) <= 1.02 * error(peer)
