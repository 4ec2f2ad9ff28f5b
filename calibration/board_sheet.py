"""A board to print: PDF at true scale, with a ruler to check the print by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibration.board import Board, BoardKind
from calibration.board_pattern import black_rectangles
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import replacing

PAPERS_MM: Mapping[str, tuple[float, float]] = {
    "a4": (210.0, 297.0),
    "a3": (297.0, 420.0),
    "a2": (420.0, 594.0),
    "a1": (594.0, 841.0),
    "a0": (841.0, 1189.0),
    "letter": (215.9, 279.4),
    "tabloid": (279.4, 431.8),
}
_EDGE_MM = 8.0
_FOOT_MM = 20.0
_POINTS_PER_MM = 72.0 / 25.4


def write_sheet(path: Path, board: Board, *, paper: str) -> None:
    """Writes the PDF, whole or not at all.

    Raises:
        ConfigError: If the paper is unknown or the board does not fit it.
    """
    from reportlab.pdfgen.canvas import Canvas

    page_mm = page_for(board, paper=paper)
    with replacing(path) as temporary:
        size = (page_mm[0] * _POINTS_PER_MM, page_mm[1] * _POINTS_PER_MM)
        # invariant: the same board gives the same bytes, whatever the time.
        canvas = Canvas(str(temporary), pagesize=size, invariant=1)
        canvas.setTitle(title(board))
        canvas.scale(_POINTS_PER_MM, _POINTS_PER_MM)
        _draw_board(canvas, board, page_mm)
        _draw_ruler(canvas, board, page_mm)
        canvas.save()


def page_for(board: Board, *, paper: str) -> tuple[float, float]:
    """Width and height of the page [mm], turned so that the board fits.

    Raises:
        ConfigError: If the paper is unknown or the board fits neither way.
    """
    if paper not in PAPERS_MM:
        raise ConfigError(f"unknown paper {paper!r}", valid=PAPERS_MM)
    needed = _needed_mm(board)
    short, long = PAPERS_MM[paper]
    for page in ((short, long), (long, short)):
        if all(n <= p for n, p in zip(needed, page, strict=True)):
            return page
    larger = [name for name, sides in PAPERS_MM.items() if _fits(needed, sides)]
    raise ConfigError(
        f"the board does not fit {paper}",
        expected=f"at most {short:g} x {long:g} mm",
        got=f"{needed[0]:.1f} x {needed[1]:.1f} mm with its margins",
        hint=f"fits: {', '.join(larger)}" if larger else "make the squares smaller",
    )


def title(board: Board) -> str:
    """One line that tells everything needed to use a print."""
    what = "tags" if board.kind is BoardKind.APRILTAG else "squares"
    line = f"{board.kind.value} {board.columns} x {board.rows} {what} of {_mm(board.square_m)} mm"
    if board.dictionary:
        line += f", markers {_mm(board.marker_m)} mm, {board.dictionary}"
    return line


def _needed_mm(board: Board) -> tuple[float, float]:
    width, height = (1000 * side for side in board.size_m)
    return max(width, 100.0) + 2 * _EDGE_MM, height + _FOOT_MM + 2 * _EDGE_MM


def _fits(needed: tuple[float, float], sides: tuple[float, float]) -> bool:
    return any(needed[0] <= a and needed[1] <= b for a, b in (sides, (sides[1], sides[0])))


def _mm(length_m: float) -> str:
    return f"{1000 * length_m:g}"


def _draw_board(canvas: Any, board: Board, page_mm: tuple[float, float]) -> None:
    width_mm, height_mm = (1000 * side for side in board.size_m)
    left = (page_mm[0] - width_mm) / 2
    top = page_mm[1] - (page_mm[1] - _FOOT_MM - height_mm) / 2  # a page counts from below
    canvas.setFillGray(0)
    for x, y, w, h in 1000 * black_rectangles(board):
        canvas.rect(left + x, top - y - h, w, h, stroke=0, fill=1)


def _draw_ruler(canvas: Any, board: Board, page_mm: tuple[float, float]) -> None:
    length = 10 * int((page_mm[0] - 2 * _EDGE_MM) // 10)
    left, base = (page_mm[0] - length) / 2, _EDGE_MM + 8.0
    canvas.setLineWidth(0.2)
    canvas.setFont("Helvetica", 3)
    canvas.line(left, base, left + length, base)
    for mm in range(length + 1):
        tick = 4.0 if mm % 10 == 0 else 2.8 if mm % 5 == 0 else 1.8
        canvas.line(left + mm, base, left + mm, base - tick)
        if mm % 10 == 0:
            canvas.drawCentredString(left + mm, base - 7.0, str(mm))
    note = f"{title(board)}. Print at 100 %; the ruler must measure {length} mm."
    canvas.drawString(left, base + 2.0, note)
