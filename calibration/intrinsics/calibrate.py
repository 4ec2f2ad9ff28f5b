"""Intrinsics of a camera from pictures of a board, with a held-out error and an uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.board_pose import board_pose
from calibration.detection import Detection
from calibration.intrinsics.bundle import Bundle, adjust
from calibration.intrinsics.frame_choice import choose_frames, coverage
from calibration.lens import Lens, LensModel, parameter_names
from calibration.provenance import digest_of_arrays, provenance
from calibration.result import CalibrationResult
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

MINIMUM_FRAMES = 6
_FOLDS = 5
_WORSE = 4.0
"""Times the typical error above which a frame is left out."""
_WORST_FOCAL = 0.02
_GOOD_COVERAGE = 0.6
_LARGEST_RMS_PX = 5.0


@dataclass(frozen=True, slots=True)
class Frames:
    """Pictures of a board by one camera.

    Attributes:
        board: The board.
        size: Width and height of all pictures [px].
        seen: (n,) what was detected, None where the board was not found.
        labels: (n,) what to call them.
    """

    board: Board
    size: tuple[int, int]
    seen: Sequence[Detection | None]
    labels: tuple[str, ...]


def calibrate_intrinsics(
    frames: Frames,
    model: LensModel,
    *,
    at_most: int = 40,
    date: str = "",
    inputs_sha256: str = "",
) -> CalibrationResult:
    """Finds the intrinsics.

    Args:
        frames: What was seen.
        model: How the lens bends rays.
        at_most: Number of frames to use; they are chosen for coverage. The others still count in
            the held-out error.
        date: Written into the result.
        inputs_sha256: Digest of the files; of the corners if "".

    Raises:
        DataError: If there are too few frames, or they do not determine the focal length.
    """
    usable = [i for i, d in enumerate(frames.seen) if d is not None]
    if len(usable) < MINIMUM_FRAMES:
        raise DataError(
            "too few pictures with the board in sight",
            expected=f"at least {MINIMUM_FRAMES}, better 20 to 40",
            got=f"{len(usable)} of {len(frames.seen)}",
        )
    seen = [d for d in frames.seen if d is not None]
    chosen = choose_frames(seen, frames.size, at_most=at_most)
    bundle, kept, notes = _fit(frames, seen, model, chosen)
    _require_determined(bundle)
    held_out = held_out_rms_px(frames.board, seen, bundle, kept)
    result = _result(frames, bundle, [usable[i] for i in kept], held_out, notes)
    digest = inputs_sha256 or _digest(frames)
    return replace(result, provenance=provenance(digest, date=date))


def lens_of(result: CalibrationResult) -> Lens:
    """The lens that a result of `calibrate_intrinsics` holds.

    Raises:
        DataError: If it holds none.
    """
    try:
        values = result.values
        return Lens(
            LensModel(values["lens_model"]),
            int(values["width"]),
            int(values["height"]),
            values["lens_parameters"],
        )
    except (KeyError, ValueError) as error:
        raise DataError("holds no intrinsics", where=result.kind, got=error) from error


def start_with_opencv(
    board: Board, seen: Sequence[Detection], size: tuple[int, int], model: LensModel
) -> tuple[Lens, Array]:
    """OpenCV's own calibration: the lens and camera_T_board (n, 4, 4).

    Raises:
        DataError: If it finds none.
    """
    points = [board.points[d.ids].astype(np.float32)[:, None] for d in seen]
    pixels = [d.pixels.astype(np.float32)[:, None] for d in seen]
    try:
        if model is LensModel.FISHEYE:
            flags = cv2.fisheye.CALIB_RECOMPUTE_EXTRINSIC | cv2.fisheye.CALIB_FIX_SKEW
            K, D = np.eye(3), np.zeros(4)
            _, K, D, turns, shifts = cv2.fisheye.calibrate(
                [p.astype(np.float64) for p in points],
                [p.astype(np.float64) for p in pixels],
                size,
                K,
                D,
                flags=flags,
            )
        else:
            flags = cv2.CALIB_RATIONAL_MODEL if model is LensModel.RATIONAL else 0
            unknown: Any = None
            _, K, D, turns, shifts = cv2.calibrateCamera(
                points, pixels, size, unknown, unknown, flags=flags
            )
    except cv2.error as error:
        raise DataError(
            "OpenCV finds no lens that fits",
            where=model.value,
            got=str(error).split(":")[-1].strip(),
        ) from error
    count = len(parameter_names(model)) - 4
    linear = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    parameters = np.concatenate([linear, np.ravel(D)[:count]]).astype(np.float64)
    turn, shift = (np.array(x, dtype=np.float64).reshape(-1, 3) for x in (turns, shifts))
    poses = transform(matrix_from_rotvec(turn), shift)
    return Lens(model, *size, parameters), poses


def held_out_rms_px(
    board: Board, seen: Sequence[Detection], bundle: Bundle, kept: NDArray[np.int64]
) -> float:
    """Reprojection error of frames that the lens was not fitted to [px], by five-fold division.

    Only the pose of the board is fitted to a frame that was held out.

    Args:
        board: The board.
        seen: What the frames show.
        bundle: The fit to the frames `kept`.
        kept: (k,) their rows in `seen`.
    """
    errors: list[float] = []
    for fold in range(_FOLDS):
        out = np.arange(len(kept)) % _FOLDS == fold
        if out.any() and (~out).any():
            train = [seen[i] for i in kept[~out]]
            lens = adjust(board, train, bundle.lens, bundle.camera_T_board[~out]).lens
            errors += _squares(board, lens, [seen[i] for i in kept[out]])
    return float(np.sqrt(np.mean(errors)))


def _squares(board: Board, lens: Lens, seen: Sequence[Detection]) -> list[float]:
    squares: list[float] = []
    for detection in seen:
        pose = board_pose(board, lens, detection)
        if pose is not None:
            squares += (pose.residuals_px**2).sum(axis=-1).tolist()
    return squares


def _fit(
    frames: Frames, seen: Sequence[Detection], model: LensModel, chosen: NDArray[np.int64]
) -> tuple[Bundle, NDArray[np.int64], list[str]]:
    """Fits, leaves out frames that do not fit the rest, and fits again until none is left."""
    labels = [label for label, d in zip(frames.labels, frames.seen, strict=True) if d is not None]
    kept, notes = chosen, list[str]()
    while True:
        kept_seen = [seen[i] for i in kept]
        lens, poses = start_with_opencv(frames.board, kept_seen, frames.size, model)
        bundle = adjust(frames.board, kept_seen, lens, poses)
        rms = bundle.frame_rms_px
        good = rms <= max(_WORSE * float(np.median(rms)), 0.05)
        if good.all():
            return bundle, kept, notes
        if good.sum() < MINIMUM_FRAMES:
            raise DataError(
                "too few pictures that agree with each other",
                expected=f"at least {MINIMUM_FRAMES}",
                got=int(good.sum()),
            )
        notes += [
            f"{labels[kept[i]]}: left out, {rms[i]:.1f} px where {np.median(rms):.2f} are usual"
            for i in np.flatnonzero(~good)
        ]
        kept = kept[good]


def _require_determined(bundle: Bundle) -> None:
    if bundle.rms_px > _LARGEST_RMS_PX:
        raise DataError(
            "no lens explains the corners",
            expected="under a pixel",
            got=f"{bundle.rms_px:.1f} px",
            hint="another board than the one named (rows and columns swapped?), or another lens "
            "model: a wide lens needs equidistant",
        )
    relative = np.sqrt(np.diag(bundle.covariance)[:2]) / bundle.lens.parameters[:2]
    if relative.max() > _WORST_FOCAL:
        raise DataError(
            "the pictures do not determine the focal length",
            expected=f"to {100 * _WORST_FOCAL:g} %",
            got=f"{100 * relative.max():.1f} %",
            hint="tilt the board by 30 to 45 degrees in different directions",
        )


def _result(
    frames: Frames, bundle: Bundle, used: Sequence[int], held_out: float, notes: list[str]
) -> CalibrationResult:
    kept = [d for i in used if (d := frames.seen[i]) is not None]
    covered = coverage(kept, frames.size)
    lens = bundle.lens
    values: dict[str, Any] = {
        "lens_model": lens.model.value,
        "width": lens.width,
        "height": lens.height,
        "lens_parameters": lens.parameters,
        "used": [frames.labels[i] for i in used],
    }
    std = np.sqrt(np.diag(bundle.covariance))
    figures = {
        "frames": float(len(kept)),
        "reprojection_px": bundle.rms_px,
        "held_out_px": held_out,
        "corner_noise_px": bundle.corner_px,
        "coverage": covered,
        "fx_std_percent": 100 * float(std[0] / lens.parameters[0]),
        "fy_std_percent": 100 * float(std[1] / lens.parameters[1]),
        "cx_std_px": float(std[2]),
        "cy_std_px": float(std[3]),
    }
    if covered < _GOOD_COVERAGE:
        notes = [
            *notes,
            f"only {100 * covered:.0f} % of the picture was covered: distortion at the edges is a "
            "guess; show the board in the corners too",
        ]
    return CalibrationResult(
        kind="intrinsics",
        values=values,
        parameters=parameter_names(lens.model),
        covariance=bundle.covariance,
        residuals={"reprojection_px": bundle.frame_rms_px},
        figures=figures,
        notes=tuple(notes),
    )


def _digest(frames: Frames) -> str:
    arrays = [frames.board.points, np.array(frames.size)]
    for d in frames.seen:
        arrays += [] if d is None else [d.ids, d.pixels]
    return digest_of_arrays(arrays)
