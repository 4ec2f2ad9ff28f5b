"""Boards are what they say: against OpenCV's own drawings, on paper to 10 micrometres."""

import re
import zlib
from base64 import a85decode
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.board_pattern import black_rectangles, board_texture
from calibration.board_sheet import write_sheet
from robot_policy.core.errors import ConfigError, RobotPolicyError

CHARUCO = Board(BoardKind.CHARUCO, 5, 7, 0.03, 0.024, "4X4_50")
CHECKERBOARD = Board(BoardKind.CHECKERBOARD, 9, 6, 0.025)
TAGS = Board(BoardKind.APRILTAG, 4, 3, 0.05, 0.04, "APRILTAG_36H11")


def test_a_charuco_board_is_opencvs() -> None:
    board = Board(BoardKind.CHARUCO, 5, 7, 0.03, 0.018, "4X4_50")
    peer = cv2.aruco.CharucoBoard((5, 7), 0.03, 0.018, board.marker_dictionary())
    np.testing.assert_allclose(board.points, peer.getChessboardCorners(), atol=1e-7)
    # 10 pixels a module, so that every edge lies between two pixels.
    ours = board_texture(board, pixels_per_m=500 / 0.15, margin_m=0.0)
    np.testing.assert_array_equal(ours, peer.generateImage((500, 700)))


def test_a_tag_grid_is_opencvs() -> None:
    peer = cv2.aruco.GridBoard((4, 3), 0.04, 0.01, TAGS.marker_dictionary())
    np.testing.assert_allclose(TAGS.points, np.concatenate(peer.getObjPoints()), atol=1e-7)
    assert TAGS.size_m == pytest.approx(peer.getRightBottomCorner()[:2])


@pytest.mark.parametrize(("board", "ruler_mm"), [(CHARUCO, 190), (CHECKERBOARD, 280), (TAGS, 190)])
def test_the_sheet_has_true_scale(board: Board, ruler_mm: int, tmp_path: Path) -> None:
    """What stands in the PDF, in points of 1/72 inch, is what the board says in metres."""
    write_sheet(tmp_path / "board.pdf", board, paper="a4")
    pdf = (tmp_path / "board.pdf").read_bytes()
    stream = re.search(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL)
    assert stream is not None
    drawn = zlib.decompress(
        a85decode(stream[1].strip(), adobe=False)
        if b"~>" not in stream[1]
        else a85decode(b"<~" + stream[1].strip(), adobe=True)
    ).decode("latin-1")
    matrix = re.search(r"([\d.]+) 0 0 ([\d.]+) 0 0 cm", drawn[drawn.index("cm") + 2 :])
    assert matrix is not None
    mm_per_unit = float(matrix[1]) * 25.4 / 72
    boxes = np.array(re.findall(r"n ([-\d.]+) ([-\d.]+) ([-\d.]+) ([-\d.]+) re f", drawn), float)
    boxes = boxes * mm_per_unit / 1000
    expected = black_rectangles(board)
    left, top = boxes[:, 0].min() - expected[:, 0].min(), (boxes[:, 1] + boxes[:, 3]).max()
    ours = np.stack([boxes[:, 0] - left, top - boxes[:, 1] - boxes[:, 3], *boxes[:, 2:].T], axis=-1)
    np.testing.assert_allclose(ours, expected - [0, expected[:, 1].min(), 0, 0], atol=1e-5)
    assert f"the ruler must measure {ruler_mm} mm" in drawn


def test_a_board_comes_back_from_its_file(tmp_path: Path) -> None:
    for board in (CHARUCO, CHECKERBOARD, TAGS):
        board.save(tmp_path / "board.yaml")
        assert Board.load(tmp_path / "board.yaml") == board


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: charuko\n", "unknown board 'charuko'.*did you mean 'charuco'"),
        ("[1]\n", "not a board"),
        ("kind: charuco\ncolumns: 5\n", "not a board"),
        ("kind: charuco\ncolumns: 5\nrows: 7\nsize_m: 1\nsquare_m: 1\n", "not a board"),
    ],
)
def test_a_file_that_is_no_board_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "board.yaml").write_text(text)
    with pytest.raises(RobotPolicyError, match=message) as raised:
        Board.load(tmp_path / "board.yaml")
    assert "board.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((BoardKind.CHECKERBOARD, 9, 6, 25.0), "in millimetres. then square_m is 0.025"),
        ((BoardKind.CHARUCO, 5, 7, 0.03, 22.0, "4X4_50"), "then marker_m is 0.022"),
        ((BoardKind.CHECKERBOARD, 9, 6, 1e-5), "square_m in metres"),
        ((BoardKind.CHECKERBOARD, 8, 6, 0.025), "the same upside down.*not inner corners"),
        ((BoardKind.CHECKERBOARD, 9, 2, 0.025), "too small a board"),
        ((BoardKind.CHARUCO, 5, 7, 0.03, 0.03, "4X4_50"), "markers must be smaller"),
        ((BoardKind.CHARUCO, 5, 7, 0.03, 0.02, "4X4_51"), "did you mean '4X4_50'"),
        ((BoardKind.CHARUCO, 15, 17, 0.03, 0.02, "4X4_50"), "at most 50; got 127"),
        ((BoardKind.CHECKERBOARD, 9, 6, 0.03, 0.02, "4X4_50"), "has no markers"),
    ],
)
def test_impossible_boards_are_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Board(*arguments)


def test_a_board_that_does_not_fit_the_paper_says_which_would(tmp_path: Path) -> None:
    board = Board(BoardKind.CHECKERBOARD, 9, 6, 0.04)
    with pytest.raises(ConfigError, match=r"does not fit a4.*fits: a3"):
        write_sheet(tmp_path / "board.pdf", board, paper="a4")
    with pytest.raises(ConfigError, match="unknown paper 'a7'; valid: a4"):
        write_sheet(tmp_path / "board.pdf", board, paper="a7")
    assert list(tmp_path.iterdir()) == []
