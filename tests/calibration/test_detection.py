"""Corners are found where rendered pictures have them, and what is not there is not found."""

import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.board_pose import board_pose
from calibration.detection import Detection, detect
from calibration.lens import Lens, LensModel
from calibration.misdetection import no_board, same_size
from calibration.rendering import BoardPhotographer, board_truth
from calibration.simulated_rig import diverse_views
from robot_policy.core.errors import DataError

LENS = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600, 602, 322, 236, -0.2, 0.1, 1e-3, 0, 0]))
SMALL = Lens(LensModel.PLUMB_BOB, 320, 240, LENS.parameters * [*[0.5] * 4, *[1] * 5])
CHARUCO = Board(BoardKind.CHARUCO, 7, 5, 0.03, 0.022, "5X5_50")
CHECKERBOARD = Board(BoardKind.CHECKERBOARD, 8, 5, 0.03)
TAGS = Board(BoardKind.APRILTAG, 4, 3, 0.05, 0.038, "APRILTAG_36H11")


def photos(board: Board, count: int, *, lens: Lens = LENS) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(4)
    photographer = BoardPhotographer(board, lens)
    views = diverse_views(board, count, rng, roll_rad=3.0, aside=0.05)
    return [(view, photographer.take(view, rng)) for view in views]


@pytest.mark.parametrize(
    ("board", "limit_px"), [(CHARUCO, 0.08), (CHECKERBOARD, 0.05), (TAGS, 0.06)]
)
def test_corners_are_where_they_are(board: Board, limit_px: float) -> None:
    errors: list[np.ndarray] = []
    for view, picture in photos(board, 2):
        seen = detect(board, picture)
        assert seen is not None
        truth = board_truth(board, LENS, view)
        errors += [p - truth[i] for i, p in zip(seen.ids.tolist(), seen.pixels, strict=True)]
    assert len(errors) >= 2 * 0.8 * len(board.points)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02  # OpenCV 4.13's ChArUco: 0.5
    assert np.sqrt(np.mean(np.square(errors))) < limit_px


@pytest.mark.parametrize("board", [CHARUCO, TAGS])
def test_boards_with_markers_may_be_partly_hidden(board: Board) -> None:
    view, picture = photos(board, 1)[0]
    hidden = picture.copy()
    hidden[:, :300] = 128
    seen = detect(board, hidden)
    assert seen is not None
    assert 6 <= len(seen.ids) < len(board.points)
    truth = board_truth(board, LENS, view)
    assert (
        max(np.abs(p - truth[int(i)]).max() for i, p in zip(seen.ids, seen.pixels, strict=True))
        < 0.3
    )


def test_an_empty_picture_shows_no_board() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    for board in (CHARUCO, CHECKERBOARD, TAGS):
        assert detect(board, noise) is None


def test_why_no_board_was_found_is_said() -> None:
    charuco = [picture for _, picture in photos(CHARUCO, 2, lens=SMALL)]
    mirrored = [np.ascontiguousarray(p[:, ::-1]) for p in charuco]
    empty = [np.full((240, 320), 90, np.uint8)]
    cases = [
        (CHARUCO, mirrored, "mirrored pictures"),
        (Board(BoardKind.CHARUCO, 7, 5, 0.03, 0.022, "4X4_50"), charuco, "markers of 5X5_50"),
        (CHECKERBOARD, charuco, "markers of 5X5_50: a ChArUco board or a tag grid"),
        (
            Board(BoardKind.CHECKERBOARD, 9, 6, 0.03),
            [picture for _, picture in photos(CHECKERBOARD, 2, lens=SMALL)],
            "got a checkerboard of 8 x 5 squares",
        ),
        (CHARUCO, empty, "1 pictures without a board; too far away"),
    ]
    for board, pictures, message in cases:
        error = no_board(board, pictures, where="images")
        assert message in str(error)
        assert "images: the board is in none of the pictures" in str(error)


def test_pictures_of_several_sizes_are_refused() -> None:
    assert same_size([(4, 3), (4, 3)], ["a", "b"], where="x") == (4, 3)
    with pytest.raises(DataError, match="expected 4 x 3 px; got 8 x 6 px in 1, c for one"):
        same_size([(4, 3), (4, 3), (8, 6)], ["a", "b", "c"], where="x")


def test_corners_that_no_plane_explains_are_no_board_in_sight() -> None:
    """OpenCV then answers with no pose and without errors; seen where a lens bends rays back."""
    lens = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600, 600, 320, 240, 0, 0, 0, 0, 0.0]))
    board = Board(BoardKind.CHARUCO, 5, 7, 0.035, 0.026, "5X5_100")
    x = np.array([0.41606, 0.49729, 0.43132, 0.44564, 0.46105, 0.47721, 0.49342])
    y = np.array([-0.01016, -0.02454, 0.06327, 0.13787, 0.21552, 0.29582, 0.37921])
    pixels = 600 * np.stack([x, y], axis=-1) + [320, 240]
    ids = np.array([0, 1, 4, 8, 12, 16, 20])
    assert board_pose(board, lens, Detection(ids, pixels)) is None
