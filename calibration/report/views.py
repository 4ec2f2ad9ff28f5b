"""What a page shows of the pictures that a calibration was computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import Detection
from calibration.lens import Lens
from calibration.rigid import apply
from calibration.samples import read_image

type Array = NDArray[np.floating]
type Rgb = NDArray[np.uint8]

_SEEN, _PREDICTED = (255, 190, 40), (40, 220, 90)
_WIDTH_PX = 640
_AXIS_SQUARES = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class CameraViews:
    """One camera's pictures of a board, and where the calibration puts the board in them.

    Attributes:
        camera: Name.
        board: The board.
        lens: The lens.
        labels: (n,) what each picture is called.
        paths: (n,) files, or None where there are none.
        seen: (n,) what was detected.
        camera_T_board: (n, 4, 4) by the calibration and the arm; by the picture alone for
            intrinsics.
        used: (n,) False for what was left out.
    """

    camera: str
    board: Board
    lens: Lens
    labels: tuple[str, ...]
    paths: tuple[Path | None, ...]
    seen: tuple[Detection, ...]
    camera_T_board: Array
    used: tuple[bool, ...]

    @property
    def residuals(self) -> list[Array]:
        """Per picture (m, 2), where the calibration puts corners minus where they are seen [px]."""
        return [
            self.lens.project(apply(pose, self.board.points[d.ids])) - d.pixels
            for pose, d in zip(self.camera_T_board, self.seen, strict=True)
        ]

    @property
    def rms_px(self) -> Array:
        """(n,) root mean square of `residuals` [px]."""
        return np.array([np.sqrt((r**2).sum(axis=-1).mean()) for r in self.residuals])

    def telling(self, count: int) -> list[int]:
        """Rows of pictures to show: the best, the median and the worst of those used, then others.

        Args:
            count: How many at most.
        """
        order = np.argsort(self.rms_px)
        shown = [int(i) for i in order if self.paths[i] is not None]
        used = [i for i in shown if self.used[i]]
        middle = [used[0], used[len(used) // 2], used[-1]] if used else []
        left_out = [i for i in shown if not self.used[i]]
        return list(dict.fromkeys([*middle, *left_out]))[:count]


def draw_corners(views: CameraViews, row: int) -> Rgb:
    """Draws a picture with the corners as detected (orange) and as predicted (green crosses).

    The axes of the board are where the calibration puts them: x red, y green, z blue.

    Returns:
        (h, w, 3) RGB, at most 640 px wide.

    Raises:
        DataError: If the file cannot be read.
    """
    path = views.paths[row]
    assert path is not None
    image = _rgb8(read_image(path))
    scale = min(1.0, _WIDTH_PX / image.shape[1])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pose, detection = views.camera_T_board[row], views.seen[row]
    length = _AXIS_SQUARES * views.board.square_m
    axes = views.lens.project(apply(pose, np.vstack([np.zeros(3), length * np.eye(3)])))
    start, *ends = (_point(pixel, scale) for pixel in axes)
    for end, colour in zip(ends, ((235, 60, 60), (60, 200, 60), (70, 110, 245)), strict=True):
        cv2.line(image, start, end, colour, 2, cv2.LINE_AA)
    predicted = views.lens.project(apply(pose, views.board.points[detection.ids]))
    for seen, there in zip(detection.pixels, predicted, strict=True):
        cv2.circle(image, _point(seen, scale), 5, _SEEN, 1, cv2.LINE_AA)
        cv2.drawMarker(image, _point(there, scale), _PREDICTED, cv2.MARKER_CROSS, 8, 1, cv2.LINE_AA)
    return np.asarray(image, dtype=np.uint8)


def _rgb8(image: NDArray[np.generic]) -> Rgb:
    if image.dtype == np.uint16:
        image = (image.astype(np.float64) / 257.0).astype(np.uint8)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image, dtype=np.uint8)


def _point(pixel: Array, scale: float) -> tuple[int, int]:
    x, y = np.clip((pixel + 0.5) * scale - 0.5, -10_000, 10_000)
    return round(float(x)), round(float(y))


def views_of(
    camera: str,
    board: Board,
    lens: Lens,
    *,
    labels: Sequence[str],
    paths: Sequence[Path | None],
    seen: Sequence[Detection | None],
    camera_T_board: Sequence[Array | None],
    used: Sequence[bool],
) -> CameraViews:
    """Builds the views out of those rows whose board was seen and has a pose."""
    rows = [
        i
        for i, (detection, pose) in enumerate(zip(seen, camera_T_board, strict=True))
        if detection is not None and pose is not None
    ]
    return CameraViews(
        camera,
        board,
        lens,
        tuple(labels[i] for i in rows),
        tuple(paths[i] for i in rows),
        tuple(d for i in rows if (d := seen[i]) is not None),
        np.array([camera_T_board[i] for i in rows], dtype=np.float64).reshape(-1, 4, 4),
        tuple(bool(used[i]) for i in rows),
    )
