"""Hand-eye calibration: from poses and detected corners to a result that says how wrong it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.arm import Arm, KnownArm
from calibration.hand_eye.data import HandEyeData
from calibration.hand_eye.diversity import Diversity, require_diverse
from calibration.hand_eye.linearised import corners_of
from calibration.hand_eye.next_pose import worst_std
from calibration.hand_eye.noise import Noise
from calibration.hand_eye.refine import Prior, Refined, refine
from calibration.hand_eye.report import Solved, hand_eye_result
from calibration.hand_eye.sights import Sights, find_sights
from calibration.hand_eye.starts import Start, best_starts
from calibration.hand_eye.suspects import find_suspect
from calibration.hand_eye.unknowns import Layout, unknowns_from
from calibration.provenance import digest_of_arrays, provenance
from calibration.result import CalibrationResult
from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

_ROUGH = Noise(corner_px=0.5, arm_rad=2e-3, arm_m=1e-3)
_DOUBTFUL = 60.0
"""Score of the best start above which a usual mistake is looked for."""
_HOPELESS_RAD, _HOPELESS_M = np.deg2rad(8.0), 0.08
_HOPELESS_PX = 20.0
"""A refinement that diverges may blame the corners instead of the arm; no detector is that bad."""
_LARGEST_STD_DEG, _LARGEST_STD_M = 1.5, 0.015
_OFFSET_STD_RAD = np.deg2rad(3.0)


@dataclass(frozen=True, slots=True)
class HandEyeOptions:
    """What else is solved for.

    Attributes:
        arm: An arm with unknowns of its own (joint offsets); the poses as they are if None.
        lens_covariances: By camera, of `Lens.parameters`. Where all cameras have one, intrinsics
            are refined within it, and their uncertainty becomes part of the result's.
        refine_lenses: Refine the intrinsics even without.
        drop_outliers: Leave out poses that do not agree with the others.
        suggest_pose: Look for the next pose worth adding.
    """

    arm: Arm | None = None
    lens_covariances: Mapping[str, Array] = field(default_factory=dict[str, Array])
    refine_lenses: bool = False
    drop_outliers: bool = True
    suggest_pose: bool = True


def calibrate_hand_eye(
    given: HandEyeData,
    options: HandEyeOptions | None = None,
    *,
    rng: np.random.Generator,
    date: str = "",
    inputs_sha256: str = "",
) -> CalibrationResult:
    """Finds where the cameras sit, and where the board is.

    Args:
        given: Poses and detections.
        options: What else is solved for.
        rng: Draws the sets of poses that the first guesses are made from.
        date: Written into the result.
        inputs_sha256: Digest of the files; of the arrays if "".

    Raises:
        DataError: If the motions cannot determine the answer, or poses and pictures do not fit
            each other; says what is missing or which mistake is likely.
    """
    options = options or HandEyeOptions()
    sights = find_sights(given)
    data = sights.data
    require_diverse(data.mounting, data.base_T_gripper)
    starts = {camera: _start(sights, camera, rng) for camera in data.cameras}
    arm = (options.arm or KnownArm(given.base_T_gripper)).chosen(sights.rows)
    layout = _layout(data, arm, options)
    found = _refine(sights, starts, arm, layout, options)
    poses, _ = arm.poses(found.unknowns.arm)
    data = replace(data, base_T_gripper=poses)
    solved = Solved(data, found, layout, _require_determined(data, found))
    result = hand_eye_result(solved, starts, suggest=options.suggest_pose)
    return replace(
        result,
        notes=(*sights.notes, *result.notes),
        provenance=provenance(inputs_sha256 or _digest(given), date=date),
    )


def _digest(given: HandEyeData) -> str:
    """Of everything the numbers are computed from."""
    arrays = [given.base_T_gripper, given.board.points]
    for camera in given.cameras:
        arrays.append(given.lenses[camera].parameters)
        for seen in given.detections[camera]:
            arrays += [] if seen is None else [seen.ids, seen.pixels]
    return digest_of_arrays(arrays)


def _start(sights: Sights, camera: str, rng: np.random.Generator) -> Start:
    data, seen = sights.data, sights.by_camera[camera]
    rows = [i for i, sight in enumerate(seen) if sight is not None]
    require_diverse(data.mounting, data.base_T_gripper[rows], where=camera)
    kept = [sight for sight in seen if sight is not None]
    starts = best_starts(data.mounting, data.base_T_gripper[rows], kept, rng)
    score = starts[0].score if starts else np.inf
    if score > _DOUBTFUL:
        suspect = find_suspect(data.chosen(rows), camera, score, rng)
        if suspect is not None:
            raise DataError(
                "poses and pictures do not fit each other", got=suspect.cause, hint=suspect.hint
            )
    if not starts:
        raise DataError("no solver finds a start", where=camera)
    return starts[0]


def _layout(data: HandEyeData, arm: Arm, options: HandEyeOptions) -> Layout:
    known = all(camera in options.lens_covariances for camera in data.cameras)
    lenses = tuple(data.lenses[c] for c in data.cameras)
    return Layout(
        data.mounting,
        data.cameras,
        lenses if known or options.refine_lenses else (),
        arm.names,
    )


def _refine(
    sights: Sights,
    starts: Mapping[str, Start],
    arm: Arm,
    layout: Layout,
    options: HandEyeOptions,
) -> Refined:
    data = sights.data
    best = min(starts.values(), key=lambda start: start.score)
    cameras = np.array([starts[c].parent_T_camera for c in data.cameras])
    poses = len(data.labels)
    guess = unknowns_from(
        (cameras, best.parent_T_board),
        [data.lenses[c] for c in data.cameras],
        poses=poses,
        arm=len(arm.names),
    )
    found = refine(
        corners_of(data),
        arm,
        guess,
        layout,
        active=_trusted(sights, starts) if options.drop_outliers else np.ones(poses, dtype=bool),
        noise=_ROUGH,
        prior=_prior(data, layout, options),
        drop=options.drop_outliers,
    )
    noise = found.noise
    limits = (_HOPELESS_RAD, _HOPELESS_M, _HOPELESS_PX)
    if not all(np.array((noise.arm_rad, noise.arm_m, noise.corner_px)) <= limits):
        raise DataError(
            "poses and pictures do not fit each other",
            expected="poses that agree within a degree and a few millimetres",
            got=f"{np.rad2deg(noise.arm_rad):.1f} degrees, {1000 * noise.arm_m:.0f} mm, corners "
            f"{noise.corner_px:.1f} px off",
            hint="base_T_gripper in another frame or unit (degrees?), joints and pictures of "
            "different moments, or intrinsics of another camera",
        )
    return found


def _trusted(sights: Sights, starts: Mapping[str, Start]) -> NDArray[np.bool_]:
    """Poses that every camera's start agrees with."""
    trusted = np.ones(len(sights.data.labels), dtype=bool)
    for camera, start in starts.items():
        rows = [i for i, sight in enumerate(sights.by_camera[camera]) if sight is not None]
        usual = float(np.median(start.distances))
        trusted[rows] &= start.distances <= max(4.0 * usual, 30.0)
    return trusted


def _prior(data: HandEyeData, layout: Layout, options: HandEyeOptions) -> Prior:
    precision = np.zeros((layout.size, layout.size))
    for k, camera in enumerate(data.cameras[: len(layout.lenses)]):
        if camera in options.lens_covariances:
            block = layout.lens_columns(k)
            precision[block, block] = _inverse(options.lens_covariances[camera])
    for column in range(*layout.arm_columns.indices(layout.size)):
        precision[column, column] = 1.0 / _OFFSET_STD_RAD**2
    return Prior(np.zeros(layout.size), precision)


def _inverse(covariance: Array) -> Array:
    scale = 1.0 / np.sqrt(np.diag(covariance))
    correlation = covariance * np.outer(scale, scale)
    return np.outer(scale, scale) * np.linalg.inv(correlation + 1e-9 * np.eye(len(scale)))


def _require_determined(data: HandEyeData, found: Refined) -> Diversity:
    """Refuses what the poses that are left do not determine."""
    spread = require_diverse(data.mounting, data.base_T_gripper[found.active])
    for k, camera in enumerate(data.cameras):
        std_deg, std_m = worst_std(found.covariance[6 * k : 6 * k + 6, 6 * k : 6 * k + 6])
        if std_deg > _LARGEST_STD_DEG or std_m > _LARGEST_STD_M:
            raise DataError(
                "these motions do not determine where the camera is",
                where=camera,
                expected=f"to {1000 * _LARGEST_STD_M:.0f} mm and {_LARGEST_STD_DEG:g} degrees",
                got=f"to {1000 * std_m:.0f} mm and {std_deg:.1f} degrees",
                hint="turn the gripper further between the poses: typically "
                f"{spread.weakest_turn_deg:.0f} degrees about the weakest axis; and add poses",
            )
    return spread
