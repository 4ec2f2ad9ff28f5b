"""Calibration boards: what they are, where their corners lie, and their files."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.result import read_yaml
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.files import replacing

type Array = NDArray[np.floating]

_LARGEST_SQUARE_M = 0.5
_SMALLEST_SQUARE_M = 0.001


class BoardKind(StrEnum):
    """Kinds of boards.

    CHARUCO: a checkerboard with a marker in every white square; may be partly hidden.
    CHECKERBOARD: all of it must be seen.
    APRILTAG: a grid of tags; may be partly hidden.
    """

    CHARUCO = "charuco"
    CHECKERBOARD = "checkerboard"
    APRILTAG = "apriltag"


@dataclass(frozen=True, slots=True)
class Board:
    """A flat board. Its frame: origin at the upper left corner, x right, y down, z into it.

    Attributes:
        kind: See `BoardKind`.
        columns: Squares, or tags, in a row.
        rows: Squares, or tags, in a column.
        square_m: Side of a square, or distance from one tag to the next [m].
        marker_m: Side of a marker or tag, its black border included [m]; 0 for a checkerboard.
        dictionary: Name of the markers, OpenCV's without ``DICT_``; "" for a checkerboard.
    """

    kind: BoardKind
    columns: int
    rows: int
    square_m: float
    marker_m: float = 0.0
    dictionary: str = ""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the pattern [m]."""
        gap_m = self.square_m - self.marker_m if self.kind is BoardKind.APRILTAG else 0.0
        return self.columns * self.square_m - gap_m, self.rows * self.square_m - gap_m

    @property
    def points(self) -> Array:
        """(n, 3) corners in the board frame [m], indexed by corner id."""
        if self.kind is BoardKind.APRILTAG:
            corners = self.marker_m * np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
            flat = (self.marker_corners[:, None, :] + corners).reshape(-1, 2)
        else:
            x, y = np.meshgrid(np.arange(1, self.columns), np.arange(1, self.rows))
            flat = self.square_m * np.stack([x.ravel(), y.ravel()], axis=-1)
        return np.concatenate([flat, np.zeros((len(flat), 1))], axis=-1)

    @property
    def marker_corners(self) -> Array:
        """(markers, 2) upper left corner of every marker [m], indexed by marker id."""
        x, y = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        cells = np.stack([x.ravel(), y.ravel()], axis=-1)
        match self.kind:
            case BoardKind.APRILTAG:
                return self.square_m * cells
            case BoardKind.CHARUCO:
                white = cells[(cells.sum(axis=1) % 2) == 1]
                return self.square_m * white + (self.square_m - self.marker_m) / 2
            case BoardKind.CHECKERBOARD:
                return np.zeros((0, 2))

    def marker_dictionary(self) -> cv2.aruco.Dictionary:
        """Returns OpenCV's dictionary of the markers."""
        return cv2.aruco.getPredefinedDictionary(DICTIONARIES[self.dictionary])

    def save(self, path: Path) -> None:
        """Writes it as YAML, whole or not at all."""
        import yaml

        data = asdict(self) | {"kind": self.kind.value}
        with replacing(path) as temporary:
            temporary.write_text(yaml.safe_dump(data, sort_keys=False))

    @classmethod
    def load(cls, path: Path) -> "Board":
        """Reads what `save` wrote.

        Raises:
            DataError: If the file is missing or not YAML.
            ConfigError: Names the entry that is wrong.
        """
        return _parse(read_yaml(path), path)


DICTIONARIES: dict[str, int] = {
    name.removeprefix("DICT_"): getattr(cv2.aruco, name)
    for name in sorted(vars(cv2.aruco))
    if name.startswith("DICT_") and name.isupper()
}
"""Names of the marker dictionaries that boards may use."""


def _parse(data: Any, path: Path) -> Board:
    if not isinstance(data, dict):
        raise ConfigError("not a board", where=path, expected="a YAML mapping")
    try:
        kind = BoardKind(str(data.get("kind")))
    except ValueError as error:
        kinds = [k.value for k in BoardKind]
        raise UnknownNameError.of("board", str(data.get("kind")), kinds, where=path) from error
    try:
        return Board(**{**data, "kind": kind})
    except (TypeError, ValueError) as error:
        raise ConfigError("not a board", where=path, got=error) from error


def _check(board: Board) -> None:
    for name in ("square_m", "marker_m"):
        value = getattr(board, name)
        if value > _LARGEST_SQUARE_M:
            raise ConfigError(
                f"a board with {name} over {_LARGEST_SQUARE_M} m",
                got=value,
                hint=f"in millimetres? then {name} is {value / 1000:g}",
            )
    if board.square_m < _SMALLEST_SQUARE_M:
        raise ConfigError(
            "squares under a millimetre", expected="square_m in metres", got=board.square_m
        )
    smallest = 1 if board.kind is BoardKind.APRILTAG else 3
    if min(board.columns, board.rows) < smallest:
        raise ConfigError(
            "too small a board",
            expected=f"at least {smallest} columns and rows",
            got=f"{board.columns} x {board.rows}",
        )
    if board.kind is BoardKind.CHECKERBOARD:
        _check_checkerboard(board)
    else:
        _check_markers(board)


def _check_checkerboard(board: Board) -> None:
    # Turned by 180 degrees, such a board looks the same: its origin would jump between images.
    if board.columns % 2 == board.rows % 2:
        raise ConfigError(
            "a checkerboard that looks the same upside down",
            expected="an odd and an even number of squares",
            got=f"{board.columns} x {board.rows}",
            hint="columns and rows count squares, not inner corners",
        )
    if board.marker_m or board.dictionary:
        raise ConfigError(
            "a checkerboard has no markers", expected="neither marker_m nor dictionary"
        )


def _check_markers(board: Board) -> None:
    if board.dictionary not in DICTIONARIES:
        raise UnknownNameError.of("dictionary", board.dictionary, DICTIONARIES)
    if not 0 < board.marker_m < board.square_m:
        raise ConfigError(
            "markers must be smaller than what they stand in",
            expected=f"marker_m between 0 and {board.square_m:g}",
            got=board.marker_m,
        )
    available = len(board.marker_dictionary().bytesList)
    if len(board.marker_corners) > available:
        raise ConfigError(
            "more markers than the dictionary has",
            where=board.dictionary,
            expected=f"at most {available}",
            got=len(board.marker_corners),
        )
