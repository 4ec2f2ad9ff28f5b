"""Why a board was not found: another board, mirrored pictures, or none at all."""

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.board import DICTIONARIES, Board, BoardKind
from calibration.detection import Gray, detect, find_checkerboard, markers_in
from robot_policy.core.errors import DataError

_LOOKED_AT = 12
_FEWEST_MARKERS = 3
_EVERY = 3
_SMALLEST = 3
_TRIED = 3


def no_board(board: Board, pictures: Sequence[Gray], *, where: object) -> DataError:
    """Builds the error for pictures that show no board, with the likely cause.

    Args:
        board: The board that was looked for.
        pictures: Grey pictures (h, w); a dozen of them is looked at.
        where: Folder or camera.
    """
    rows = np.unique(np.linspace(0, len(pictures) - 1, _LOOKED_AT).astype(int))
    chosen = [pictures[i] for i in rows]
    cause = _mirrored(board, chosen) or _other_board(board, chosen)
    return DataError(
        "the board is in none of the pictures",
        where=where,
        expected=_name(board),
        got=cause or f"{len(pictures)} pictures without a board",
        hint=None
        if cause
        else "too far away, blurred, too dark, or not all of a checkerboard in sight",
    )


def _mirrored(board: Board, pictures: Sequence[Gray]) -> str | None:
    if board.kind is BoardKind.CHECKERBOARD:
        return None  # a mirrored checkerboard is a checkerboard
    if any(detect(board, np.ascontiguousarray(p[:, ::-1])) is not None for p in pictures):
        return "mirrored pictures: the board is found in their mirror images"
    return None


def _other_board(board: Board, pictures: Sequence[Gray]) -> str | None:
    if board.kind is BoardKind.CHECKERBOARD:
        return _markers_on_checkerboard(pictures) or _other_checkerboard(board, pictures)
    own = np.unique(np.concatenate([markers_in(board, p) for p in pictures]))
    if len(own) >= _FEWEST_MARKERS:
        return (
            f"markers of {board.dictionary} with ids {own.min()} to {own.max()}, which do not lie "
            "as on this board: other numbers of columns and rows?"
        )
    other = _best_dictionary(pictures)
    if other is not None:
        return f"markers of {other}"
    return _other_checkerboard(board, pictures)


def _best_dictionary(pictures: Sequence[Gray]) -> str | None:
    """The dictionary that most markers are read with; the smallest one of its family.

    OpenCV's small dictionaries are the beginnings of the large ones.
    """
    names = sorted(DICTIONARIES, key=_size, reverse=True)
    largest = {name.rpartition("_")[0] if name[1] == "X" else name: name for name in names[::-1]}
    found: dict[str, list[int]] = {}
    for name in largest.values():
        detector = cv2.aruco.ArucoDetector(_dictionary(name))
        ids = [detector.detectMarkers(p)[1] for p in pictures[::_EVERY]]
        found[name] = [int(i) for one in ids if one is not None for i in one.ravel()]
    best = max(found, key=lambda name: len(found[name]))
    if len(found[best]) < _FEWEST_MARKERS:
        return None
    family = [n for n in names if n[:4] == best[:4] and best[1] == "X"] or [best]
    return min((n for n in family if _size(n) > max(found[best])), key=_size)


def _dictionary(name: str) -> cv2.aruco.Dictionary:
    return cv2.aruco.getPredefinedDictionary(DICTIONARIES[name])


def _size(name: str) -> int:
    return len(_dictionary(name).bytesList)


def _markers_on_checkerboard(pictures: Sequence[Gray]) -> str | None:
    name = _best_dictionary(pictures)
    return None if name is None else f"markers of {name}: a ChArUco board or a tag grid"


def _other_checkerboard(board: Board, pictures: Sequence[Gray]) -> str | None:
    """Tries the usual slips: columns and rows swapped, inner corners counted, one miscounted."""
    c, r = board.columns, board.rows
    sizes = [(r, c), (c + 1, r + 1), (c - 1, r - 1), (c + 1, r), (c, r + 1), (c - 1, r), (c, r - 1)]
    for columns, rows in sizes:
        if (columns, rows) == (c, r) and board.kind is BoardKind.CHECKERBOARD:
            continue
        if min(columns, rows) >= _SMALLEST and any(
            find_checkerboard(p, (columns - 1, rows - 1)) is not None for p in pictures[:_TRIED]
        ):
            return f"a checkerboard of {columns} x {rows} squares"
    return None


def _name(board: Board) -> str:
    size = f"{board.columns} x {board.rows}"
    return f"a {board.kind.value} board of {size}" + (
        f" with markers of {board.dictionary}" if board.dictionary else ""
    )


def same_size(
    sizes: Sequence[tuple[int, int]], labels: Sequence[str], *, where: object
) -> tuple[int, int]:
    """The one size (width, height) that all pictures have.

    Raises:
        DataError: If they have several.
    """
    kinds: dict[tuple[int, int], list[str]] = {}
    for size, label in zip(sizes, labels, strict=True):
        kinds.setdefault(size, []).append(label)
    if len(kinds) > 1:
        rare = min(kinds, key=lambda size: len(kinds[size]))
        usual = max(kinds, key=lambda size: len(kinds[size]))
        raise DataError(
            "pictures of different sizes",
            where=where,
            expected=f"{usual[0]} x {usual[1]} px",
            got=f"{rare[0]} x {rare[1]} px in {len(kinds[rare])}, {kinds[rare][0]} for one",
            hint="intrinsics hold for one resolution",
        )
    return next(iter(kinds))
