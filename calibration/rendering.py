"""Pictures of a board as a lens sees it, so that tests and benchmarks know the truth.

The board is drawn at high resolution and looked up along every ray, several rays a pixel. Nothing
of the detector or of the solvers is used, except for the lens model that all of them share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.board_pattern import board_texture
from calibration.lens import Lens, LensModel
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]

_RAYS = 3
"""Rays along each side of a pixel."""
_MARGIN_SQUARES = 0.75
"""White paper around the pattern."""


@dataclass(frozen=True, slots=True)
class PhotoSettings:
    """What the sensor does to the light.

    Attributes:
        background: Grey behind the board, 0 to 255.
        black: Grey of black ink.
        white: Grey of white paper.
        blur_px: Standard deviation of the optics' blur [px].
        noise: Standard deviation of the grey values.
    """

    background: float = 110.0
    black: float = 25.0
    white: float = 220.0
    blur_px: float = 0.6
    noise: float = 2.0


@dataclass(frozen=True, slots=True)
class BoardPhotographer:
    """Takes pictures of one board through one lens; keeps what is the same for all of them."""

    board: Board
    lens: Lens
    settings: PhotoSettings = field(default_factory=PhotoSettings)

    def take(self, camera_T_board: Array, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Returns the picture (height, width) of a board at a pose [m]."""
        settings = self.settings
        picture = np.full((self.lens.height, self.lens.width), settings.background, np.float32)
        area = self._area(camera_T_board)
        if area is not None:
            picture[area] = self._board_in(area, camera_T_board)
        if settings.blur_px > 0:
            picture = cv2.GaussianBlur(picture, (0, 0), settings.blur_px)
        noisy = picture + settings.noise * rng.standard_normal(picture.shape, np.float32)
        return np.clip(np.round(noisy), 0, 255).astype(np.uint8)

    def _area(self, camera_T_board: Array) -> tuple[slice, slice] | None:
        """Rows and columns that the paper can be seen in."""
        margin_m = _MARGIN_SQUARES * self.board.square_m
        width_m, height_m = self.board.size_m
        x = np.linspace(-margin_m, width_m + margin_m, 9)
        y = np.linspace(-margin_m, height_m + margin_m, 9)
        points = np.stack([*np.meshgrid(x, y), np.zeros((9, 9))], axis=-1).reshape(-1, 3)
        points = points @ camera_T_board[:3, :3].T + camera_T_board[:3, 3]
        if points[:, 2].min() <= 0.01:
            return np.s_[:, :]
        pixels = self.lens.project(points)
        low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 2, 0, None)
        high = np.ceil(pixels.max(axis=0)).astype(int) + 3
        if low[0] >= self.lens.width or low[1] >= self.lens.height or high.min() <= 0:
            return None
        return np.s_[
            low[1] : min(high[1], self.lens.height), low[0] : min(high[0], self.lens.width)
        ]

    def _board_in(self, area: tuple[slice, slice], camera_T_board: Array) -> Array:
        rays = _ray_grid(self.lens.model, self.lens.width, self.lens.height, *self._lens_key())
        rows = slice(*(_RAYS * i for i in area[0].indices(self.lens.height)[:2]))
        columns = slice(*(_RAYS * i for i in area[1].indices(self.lens.width)[:2]))
        seen = np.ascontiguousarray(rays[rows, columns])
        texture, per_m, margin_m = self._texture(camera_T_board)
        # A ray d meets the board at eye + depth R d, depth = -eye_z / (R d)_z: a homography of d.
        board_T_camera = inverse(camera_T_board)
        R, eye = board_T_camera[:3, :3], board_T_camera[:3, 3]
        H = np.stack([*(np.outer(eye[:2], R[2]) - eye[2] * R[:2]), R[2]])
        to_texture = np.array(
            [[per_m, 0, margin_m * per_m - 0.5], [0, per_m, margin_m * per_m - 0.5], [0, 0, 1]]
        )
        where = cv2.perspectiveTransform(seen, to_texture @ H)
        down = R[2].astype(np.float32)
        in_front = (seen[..., 0] * down[0] + seen[..., 1] * down[1] + down[2]) * eye[2] < 0
        if not in_front.all():
            where[~in_front] = -1e6
        s = self.settings
        ink = s.black + (s.white - s.black) / 255.0 * texture
        light = cv2.remap(
            ink.astype(np.float32),
            where[..., 0],
            where[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=s.background,
        )
        size = (light.shape[1] // _RAYS, light.shape[0] // _RAYS)
        return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)

    def _texture(self, camera_T_board: Array) -> tuple[NDArray[np.uint8], float, float]:
        """A texture about as fine as the rays fall on the board, so that it does not alias."""
        centre = camera_T_board @ np.array([*np.array(self.board.size_m) / 2, 0.0, 1.0])
        needed = 1.5 * _RAYS * float(self.lens.parameters[0]) / max(centre[2], 0.05)
        per_m = float(2.0 ** (np.round(2 * np.log2(needed)) / 2))
        margin_m = _MARGIN_SQUARES * self.board.square_m
        return _cached_texture(self.board, per_m, margin_m), per_m, margin_m

    def _lens_key(self) -> tuple[float, ...]:
        return tuple(map(float, self.lens.parameters))


@lru_cache(maxsize=24)
def _cached_texture(board: Board, pixels_per_m: float, margin_m: float) -> NDArray[np.uint8]:
    return board_texture(board, pixels_per_m=pixels_per_m, margin_m=margin_m)


@lru_cache(maxsize=2)
def _ray_grid(model: LensModel, width: int, height: int, *parameters: float) -> Array:
    """(height * rays, width * rays, 2) directions at z = 1, pixel centres at whole numbers."""
    lens = Lens(model, width, height, np.array(parameters))
    u = (np.arange(width * _RAYS) + 0.5) / _RAYS - 0.5
    v = (np.arange(height * _RAYS) + 0.5) / _RAYS - 0.5
    pixels = np.stack(np.meshgrid(u, v), axis=-1)
    rays = lens.rays(pixels.reshape(-1, 2)).reshape(*pixels.shape).astype(np.float32)
    return np.where(np.isfinite(rays), rays, np.float32(1e6))  # seen from nowhere


def corners_in_picture(lens: Lens, pixels: Array, *, border_px: float = 3.0) -> NDArray[np.bool_]:
    """Says which pixels (n, 2) lie inside the picture."""
    limits = np.array([lens.width, lens.height]) - 1 - border_px
    return np.all((pixels >= border_px) & (pixels <= limits), axis=-1)


def board_truth(board: Board, lens: Lens, camera_T_board: Array) -> Mapping[int, Array]:
    """Pixel of every corner that lies inside the picture, by corner id."""
    points = board.points @ camera_T_board[:3, :3].T + camera_T_board[:3, 3]
    pixels = lens.project(points)
    inside = corners_in_picture(lens, pixels) & (points[:, 2] > 0)
    return {int(i): pixels[i] for i in np.flatnonzero(inside)}
