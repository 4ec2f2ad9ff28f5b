"""`robot-policy calibrate board`: a board to print, at true scale."""

from dataclasses import dataclass
from pathlib import Path

from calibration.board import Board, BoardKind
from calibration.board_sheet import title, write_sheet
from robot_policy.core.errors import UnknownNameError
from robot_policy.core.files import new_folder


@dataclass(frozen=True)
class BoardConfig:
    """Make a board to print: board.pdf at true scale, and board.yaml for the other commands."""

    output: Path
    """New folder."""
    kind: str = BoardKind.CHARUCO.value
    """charuco (may be partly hidden), checkerboard, or apriltag (a grid of tags)."""
    columns: int = 5
    """Squares, or tags, in a row; of a checkerboard the squares too, not the inner corners."""
    rows: int = 7
    """Squares, or tags, in a column."""
    square: float = 0.035
    """Side of a square, or distance from one tag to the next [m]."""
    marker: float | None = None
    """Side of a marker or tag [m]; by default 0.75 of the square."""
    dictionary: str | None = None
    """Markers, by OpenCV's name; by default 5X5_100, for tags APRILTAG_36H11."""
    paper: str = "a4"
    """a0 to a4, letter or tabloid."""


def run(config: BoardConfig) -> int:
    """Writes both files."""
    board = _board(config)
    with new_folder(config.output) as folder:
        write_sheet(folder / "board.pdf", board, paper=config.paper)
        board.save(folder / "board.yaml")
    print(
        f"{config.output / 'board.pdf'}: {title(board)}\n"
        "Print it at 100 %, measure the ruler and a square, glue it onto something flat. If a "
        f"square is not {1000 * board.square_m:g} mm, write what it is into "
        f"{config.output / 'board.yaml'}."
    )
    return 0


def _board(config: BoardConfig) -> Board:
    try:
        kind = BoardKind(config.kind)
    except ValueError as error:
        raise UnknownNameError.of("board", config.kind, list(BoardKind), where="--kind") from error
    if kind is BoardKind.CHECKERBOARD:
        marker_m, dictionary = config.marker or 0.0, config.dictionary or ""
        return Board(kind, config.columns, config.rows, config.square, marker_m, dictionary)
    usual = "APRILTAG_36H11" if kind is BoardKind.APRILTAG else "5X5_100"
    marker_m = round(0.75 * config.square, 5) if config.marker is None else config.marker
    dictionary = config.dictionary or usual
    return Board(kind, config.columns, config.rows, config.square, marker_m, dictionary)
