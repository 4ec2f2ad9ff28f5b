"""Lenses: from a point in front of the camera to a pixel, and back, with derivatives."""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]


class LensModel(StrEnum):
    """How a lens bends rays, by ROS's names.

    PLUMB_BOB: pinhole with k1 k2 p1 p2 k3.
    RATIONAL: pinhole with k1 k2 p1 p2 k3 k4 k5 k6.
    FISHEYE: equidistant, k1 k2 k3 k4 (Kannala and Brandt 2006).
    """

    PLUMB_BOB = "plumb_bob"
    RATIONAL = "rational_polynomial"
    FISHEYE = "equidistant"


_COEFFICIENTS = {
    LensModel.PLUMB_BOB: ("k1", "k2", "p1", "p2", "k3"),
    LensModel.RATIONAL: ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    LensModel.FISHEYE: ("k1", "k2", "k3", "k4"),
}
_LINEAR = ("fx_px", "fy_px", "cx_px", "cy_px")


@dataclass(frozen=True, slots=True)
class Lens:
    """Intrinsics of one camera. Pixel centres have whole numbers, as in OpenCV and ROS.

    Attributes:
        model: Distortion model.
        width: Image width [px].
        height: Image height [px].
        parameters: fx, fy, cx, cy [px], then the coefficients of the model.
    """

    model: LensModel
    width: int
    height: int
    parameters: Array

    def __post_init__(self) -> None:
        names = parameter_names(self.model)
        if np.shape(self.parameters) != (len(names),):
            raise DataError(
                "wrong number of lens parameters",
                where=self.model.value,
                expected=", ".join(names),
                got=np.shape(self.parameters),
            )

    @property
    def matrix(self) -> Array:
        """(3, 3) camera matrix [px]."""
        fx, fy, cx, cy = self.parameters[:4]
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    @property
    def distortion(self) -> Array:
        """Coefficients in OpenCV's order."""
        return self.parameters[4:]

    def project(self, points: Array) -> Array:
        """Pixels (n, 2) of points (n, 3) in the camera frame [m], z forward."""
        return self.project_with_jacobians(points)[0]

    def project_with_jacobians(self, points: Array) -> tuple[Array, Array, Array]:
        """Projects, and says how pixels change with points and parameters.

        Args:
            points: (n, 3) in the camera frame [m].

        Returns:
            Pixels (n, 2), d pixels / d points (n, 2, 3), d pixels / d parameters (n, 2, p).
        """
        n = len(points)
        still = np.zeros(3)
        source = np.ascontiguousarray(points, dtype=np.float64).reshape(-1, 1, 3)
        # With the camera at the origin, the derivative by a translation is the one by the point.
        if self.model is LensModel.FISHEYE:
            project, by_point, by_lens = cv2.fisheye.projectPoints, slice(11, 14), slice(0, 8)
        else:
            project, by_point = cv2.projectPoints, slice(3, 6)
            by_lens = slice(6, 10 + len(self.distortion))
        pixels, found = project(source, still, still, self.matrix, self.distortion)
        full = np.asarray(found, dtype=np.float64).reshape(n, 2, -1)
        flat = np.asarray(pixels, dtype=np.float64).reshape(n, 2)
        return flat, full[..., by_point], full[..., by_lens]

    def rays(self, pixels: Array) -> Array:
        """Points (n, 2) at distance 1 in front of the camera that are seen at pixels (n, 2)."""
        source = np.ascontiguousarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        if self.model is LensModel.FISHEYE:
            found = cv2.fisheye.undistortPoints(source, self.matrix, self.distortion)
        else:
            stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
            found = cv2.undistortPointsIter(
                source, self.matrix, self.distortion, np.eye(3), np.eye(3), stop
            )
        return np.asarray(found, dtype=np.float64).reshape(-1, 2)


def parameter_names(model: LensModel) -> tuple[str, ...]:
    """Names of `Lens.parameters`, units in them."""
    return (*_LINEAR, *_COEFFICIENTS[model])
