"""Where a fixed depth camera is, from the robot that it sees: no board, the joints suffice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.depth_image import points_of
from calibration.meshes import Mesh
from calibration.moving_pixels import FEWEST_IMAGES, moving_pixels
from calibration.plane_equations import covariance, deviations, rms
from calibration.pose_difference import pose_difference
from calibration.provenance import digest_of_arrays, provenance
from calibration.ray_caster import RayCaster
from calibration.result import CalibrationResult, transform_parameters
from calibration.surface_alignment import (
    AlignedView,
    FineAlignment,
    align_finely,
    align_roughly,
)
from robot_policy.core.errors import ConfigError, DataError

type Array = NDArray[np.floating]

KIND = "depth_refinement"

_GRID_M = 0.012
_GATE_M = (0.008, 0.03)
_LEAST_AGREEMENT = 0.3
_GOOD_AGREEMENT = 0.7
_WEAK_MM, _WEAK_DEG = 3.0, 0.3


@dataclass(frozen=True, slots=True, eq=False)
class DepthView:
    """One depth image, and the robot as it stood then.

    Attributes:
        depth_m: (h, w) along the optical axis [m], 0 where nothing was measured.
        intrinsics: (3, 3) [px], of an image without distortion.
        robot: Surface of the robot in its base frame, at the joints of that moment.
    """

    depth_m: NDArray[np.float32]
    intrinsics: Array
    robot: Mesh


def refine_from_depth(
    views: Sequence[DepthView],
    base_T_camera: Array,
    *,
    with_scale: bool = False,
    date: str = "",
) -> CalibrationResult:
    """Aligns what the camera measured with the robot at its joint angles.

    A first guess some centimetres and degrees off is good enough. The uncertainty is that of
    estimates from views drawn anew (a sandwich with one cluster per view), so that what a view
    has in common, an error of its joint angles for example, is counted.

    Args:
        views: Of one camera that stood still; three or more with the arm in different places
            tell robot and background apart, and eight are plenty.
        base_T_camera: First guess, (4, 4) of the optical frame [m].
        with_scale: Also estimate a common factor on the measured depth.
        date: For the result, ISO 8601.

    Returns:
        ``base_T_camera`` and, if asked for, ``depth_scale``, of kind `KIND`.

    Raises:
        ConfigError: If there is no view, or their sizes differ.
        DataError: If no robot is seen, too little of it, or something else where it should be.
    """
    _check(views)
    prepared = _prepared(views)
    _check_in_view(prepared, base_T_camera)
    rough = align_roughly(prepared, base_T_camera)
    gate_m = _gate(prepared, rough)
    fine = align_finely(prepared, rough, gate_m=gate_m, with_scale=with_scale)
    agreement = _agreement(fine, gate_m)
    if not agreement >= _LEAST_AGREEMENT:
        raise DataError(
            "what is seen where the robot should be is something else",
            where="depth",
            expected=f"at least {_LEAST_AGREEMENT:.0%} of it within {1e3 * gate_m:.0f} mm",
            got=f"{agreement:.0%}",
            hint="wrong joint angles, another robot, or a first guess too far off",
        )
    spread = covariance(fine.views, fine.base_T_camera, fewest=FEWEST_IMAGES)
    parameters = transform_parameters("base_T_camera")
    figures = _figures(prepared, fine, base_T_camera, spread, gate_m, with_scale=with_scale)
    values: dict[str, Any] = {"base_T_camera": fine.base_T_camera}
    if with_scale:
        values["depth_scale"] = fine.depth_scale
        parameters = (*parameters, "depth_scale")
    return CalibrationResult(
        kind=KIND,
        values=values,
        parameters=parameters,
        covariance=spread,
        residuals={"surface_mm": np.array([1e3 * rms([view]) for view in fine.views])},
        figures=figures,
        notes=_notes(len(views), figures),
        provenance=provenance(_digest(views, base_T_camera), date=date),
    )


def _check(views: Sequence[DepthView]) -> None:
    if not views:
        raise ConfigError("no depth image", where="views", expected=">= 1")
    size = views[0].depth_m.shape
    for number, view in enumerate(views):
        if view.depth_m.shape != size:
            raise ConfigError(
                "another size than the first",
                where=f"view {number}",
                expected=size,
                got=view.depth_m.shape,
            )


def _prepared(views: Sequence[DepthView]) -> list[AlignedView]:
    masks = moving_pixels([view.depth_m for view in views])
    return [
        AlignedView(
            xyz=_thinned(points_of(view.depth_m, view.intrinsics, mask=mask).xyz),
            depth_m=view.depth_m,
            intrinsics=view.intrinsics,
            robot=RayCaster(view.robot),
        )
        for view, mask in zip(views, masks, strict=True)
    ]


def _thinned(xyz: Array) -> Array:
    """Keeps one point per cube of a grid, so that what is near does not count for more."""
    cells = np.floor(xyz / _GRID_M).astype(np.int64)
    _, first = np.unique(cells, axis=0, return_index=True)
    return xyz[np.sort(first)]


def _check_in_view(views: Sequence[AlignedView], base_T_camera: Array) -> None:
    for view in views:
        height, width = view.depth_m.shape
        seen = view.robot.look(base_T_camera, view.intrinsics, height=height, width=width, step=8)
        if len(seen):
            return
    raise DataError(
        "from where the camera is believed to be, no part of the robot is in view",
        where="base_T_camera",
        hint="is it the optical frame (z forward, x right), in the robot's base?",
    )


def _gate(views: Sequence[AlignedView], pose: Array) -> float:
    """Residual at which a point is no longer the robot: four times their robust deviation [m]."""
    parts = align_finely(views, pose, gate_m=_GATE_M[1], steps=0).views
    near = np.concatenate([part.residuals_m[part.weights > 0.0] for part in parts])
    deviation = 1.4826 * float(np.median(np.abs(near))) if near.size else 0.0
    return float(np.clip(4.0 * deviation, *_GATE_M))


def _agreement(fine: FineAlignment, gate_m: float) -> float:
    """Share of the pixels that should show the robot which do."""
    total = sum(len(view.residuals_m) for view in fine.views)
    return sum(view.used for view in fine.views) / max(total, 1)


def _figures(
    views: Sequence[AlignedView],
    fine: FineAlignment,
    guess: Array,
    spread: Array,
    gate_m: float,
    *,
    with_scale: bool,
) -> dict[str, float]:
    moved_mm, moved_deg = pose_difference(guess, fine.base_T_camera)
    figures = {
        "surface_rms_mm": 1e3 * rms(fine.views),
        "agreement": _agreement(fine, gate_m),
        "points": float(sum(view.used for view in fine.views)),
        "views": float(len(views)),
        "moved_mm": moved_mm,
        "moved_deg": moved_deg,
    }
    figures |= deviations(spread)
    if len(views) >= 2 * FEWEST_IMAGES:
        a, b = (
            align_finely(half, fine.base_T_camera, gate_m=gate_m, with_scale=with_scale)
            for half in (views[::2], views[1::2])
        )
        halves_mm, halves_deg = pose_difference(a.base_T_camera, b.base_T_camera)
        # Each half lies sqrt(2) further from the truth than the whole, their difference twice.
        figures |= {"halves_mm": halves_mm / 2.0, "halves_deg": halves_deg / 2.0}
    return figures


def _notes(views: int, figures: dict[str, float]) -> tuple[str, ...]:
    notes: list[str] = []
    if views < FEWEST_IMAGES:
        notes.append(
            f"{views} view{'s' if views > 1 else ''}: the uncertainty only counts the noise of "
            f"the pixels; take {FEWEST_IMAGES} or more with the arm in different places"
        )
    if figures["sd_mm"] > _WEAK_MM or figures["sd_deg"] > _WEAK_DEG:
        notes.append("weak: let more of the arm be seen, and in more different places")
    if figures["agreement"] < _GOOD_AGREEMENT:
        notes.append(
            f"only {figures['agreement']:.0%} of the robot's surface was found where it should "
            "be: something hides it, or joints, meshes or depth are not right"
        )
    return tuple(notes)


def _digest(views: Sequence[DepthView], base_T_camera: Array) -> str:
    arrays: list[NDArray] = [base_T_camera]
    for view in views:
        arrays += [view.depth_m, view.intrinsics, view.robot.vertices, view.robot.triangles]
    return digest_of_arrays(arrays)
