"""The time offset between a camera and an arm, from a motion in front of a board."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.board_pose import BoardPose, board_pose
from calibration.detection import Detection
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.diversity import require_diverse
from calibration.hand_eye.linearised import corners_of
from calibration.hand_eye.noise import Noise
from calibration.hand_eye.refine import Refined, refine
from calibration.hand_eye.starts import best_starts
from calibration.hand_eye.unknowns import Layout, unknowns_from
from calibration.lens import Lens
from calibration.provenance import digest_of_arrays, provenance
from calibration.result import CalibrationResult
from calibration.time_offset.arm_path import ArmPath, ShiftedArm, Stamps
from calibration.time_offset.turning import RoughOffset, rough_offset
from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

_FEWEST = 30
_SPAN = 4
_MOST = 240
"""Frames that the refinement uses, spread over the motion."""
_FOR_START = 40
_SLOWEST_RAD_S = np.deg2rad(5.0)
_CLEARLY = 1.2
_MARGIN_S = 0.05
_BLOCKS = 12
_ROUGH = Noise(corner_px=0.5, arm_rad=3e-3, arm_m=2e-3)


@dataclass(frozen=True, slots=True)
class Motion:
    """Pictures and poses of an arm that moves, on two clocks.

    Attributes:
        mounting: Where the camera is.
        board: What it looks at.
        lens: Its intrinsics.
        image_stamps_ns: (n,) when the pictures were taken, by their clock [ns].
        seen: (n,) what they show, None where there is no board.
        pose_stamps_ns: (m,) when the arm was where, by its clock [ns].
        base_T_gripper: (m, 4, 4) where [m].
    """

    mounting: Mounting
    board: Board
    lens: Lens
    image_stamps_ns: Stamps
    seen: Sequence[Detection | None]
    pose_stamps_ns: Stamps
    base_T_gripper: Array


def calibrate_time_offset(
    motion: Motion,
    *,
    rng: np.random.Generator,
    largest_s: float = 0.5,
    date: str = "",
    inputs_sha256: str = "",
) -> CalibrationResult:
    """Finds the offset: stamp of a picture + offset_s = stamp of the joints that it shows.

    First the angles that camera and arm turn by are compared, which needs nothing else; then the
    reprojection error is refined over the offset together with a hand-eye calibration.

    Args:
        motion: What was recorded.
        rng: Draws the sets of poses that first guesses are made from.
        largest_s: How far the clocks may be apart [s].
        date: Written into the result.
        inputs_sha256: Digest of the files; of the arrays if "".

    Raises:
        DataError: If the clocks have nothing to do with each other, or the motion does not tell.
    """
    path = ArmPath(motion.pose_stamps_ns, motion.base_T_gripper)
    rows, sights = _sights(motion)
    times_s = path.seconds(motion.image_stamps_ns[rows])
    _require_one_clock(path, times_s, largest_s)
    rough = rough_offset(
        path,
        times_s,
        np.array([sight.camera_T_board[:3, :3] for sight in sights]),
        span=_SPAN,
        largest_s=largest_s,
    )
    _require_clear(rough, largest_s)
    assert rough is not None
    usable = np.flatnonzero(path.covers(times_s + rough.offset_s, margin_s=_MARGIN_S))
    if len(usable) < _FEWEST:
        raise DataError(
            "too few pictures while the arm's poses were recorded",
            expected=f"at least {_FEWEST}",
            got=len(usable),
        )
    chosen = usable[np.linspace(0, len(usable) - 1, min(_MOST, len(usable))).astype(int)]
    found = _refine(motion, path, rows[chosen], [sights[i] for i in chosen], rough, rng)
    result = _result(found, rough, len(motion.seen))
    digest = inputs_sha256 or _digest(motion)
    return replace(result, provenance=provenance(digest, date=date))


def _sights(motion: Motion) -> tuple[NDArray[np.int64], list[BoardPose]]:
    if len(motion.image_stamps_ns) > 1 and (np.diff(motion.image_stamps_ns) <= 0).any():
        raise DataError("the stamps of the pictures do not ascend")
    found = [
        (i, pose)
        for i, seen in enumerate(motion.seen)
        if seen is not None and (pose := board_pose(motion.board, motion.lens, seen)) is not None
    ]
    if len(found) < _FEWEST:
        raise DataError(
            "too few pictures with the board in sight",
            expected=f"at least {_FEWEST}, better some hundreds",
            got=f"{len(found)} of {len(motion.seen)}",
        )
    return np.array([i for i, _ in found]), [pose for _, pose in found]


def _require_one_clock(path: ArmPath, times_s: Array, largest_s: float) -> None:
    apart = max(times_s[0] - path.duration_s, -times_s[-1], 0.0)
    if apart > largest_s:
        first = times_s[0]
        raise DataError(
            "pictures and joints were stamped by different clocks",
            expected=f"stamps at most {largest_s:g} s apart",
            got=f"the first picture {abs(first):.3g} s {'after' if first > 0 else 'before'} "
            "the first joints",
            hint="one of them counts from the start of the machine, or from another machine's time",
        )


def _require_clear(rough: RoughOffset | None, largest_s: float) -> None:
    if rough is None:
        raise DataError(
            "pictures and joints overlap too little",
            expected="the same motion in both",
            hint=f"clocks more than {largest_s:g} s apart?",
        )
    if rough.speed_rad_s < _SLOWEST_RAD_S:
        raise DataError(
            "the arm hardly turns, which tells nothing of time",
            expected="30 degrees to and fro in a second or two, about two axes, at changing speed",
            got=f"{np.rad2deg(rough.speed_rad_s):.1f} degrees/s",
        )
    if rough.rival_misfit_rad < _CLEARLY * rough.misfit_rad:
        raise DataError(
            "several offsets fit the motion equally well",
            got=f"{rough.offset_s:.3f} s for one",
            hint="the motion repeats itself, or pictures and joints are of different motions; "
            "change speed and direction at random",
        )


def _refine(
    motion: Motion,
    path: ArmPath,
    rows: NDArray[np.int64],
    sights: Sequence[BoardPose],
    rough: RoughOffset,
    rng: np.random.Generator,
) -> Refined:
    times_s = path.seconds(motion.image_stamps_ns[rows]) + rough.offset_s
    poses = path.at(times_s)
    require_diverse(motion.mounting, poses)
    few = np.linspace(0, len(rows) - 1, min(_FOR_START, len(rows))).astype(int)
    starts = best_starts(
        motion.mounting,
        poses[few],
        [sights[i] for i in few],
        rng,
        solvers=("park", "shah"),
    )
    if not starts:
        raise DataError("no solver finds a start")
    data = HandEyeData(
        motion.mounting,
        motion.board,
        {"camera": motion.lens},
        poses,
        {"camera": [motion.seen[i] for i in rows]},
        ("",) * len(rows),
    )
    arm = ShiftedArm(path, times_s)
    start = (starts[0].parent_T_camera[None], starts[0].parent_T_board)
    return refine(
        corners_of(data),
        arm,
        unknowns_from(start, [motion.lens], poses=len(rows), arm=1),
        Layout(motion.mounting, ("camera",), arm=arm.names),
        active=np.ones(len(rows), dtype=bool),
        noise=_ROUGH,
    )


def _result(found: Refined, rough: RoughOffset, pictures: int) -> CalibrationResult:
    offset_s = rough.offset_s + float(found.unknowns.arm[0])
    std_s = offset_std(found)
    figures = {
        "offset_ms": 1e3 * offset_s,
        "std_ms": 1e3 * std_s,
        "rough_offset_ms": 1e3 * rough.offset_s,
        "pictures": float(pictures),
        "used": float(found.active.sum()),
        "turning_deg_s": float(np.rad2deg(rough.speed_rad_s)),
        "reprojection_px": float(np.sqrt((found.at.rms_px[found.active] ** 2).mean())),
        "arm_noise_mm": 1e3 * found.noise.arm_m,
        "arm_noise_deg": float(np.rad2deg(found.noise.arm_rad)),
    }
    dropped = int((~found.active).sum())
    notes = [f"{dropped} pictures that do not fit the motion were left out"] if dropped else []
    return CalibrationResult(
        kind="time_offset",
        values={"offset_s": offset_s},
        parameters=("offset_s",),
        covariance=np.array([[std_s**2]]),
        residuals={"reprojection_px": found.at.rms_px},
        figures=figures,
        notes=tuple(notes),
    )


def offset_std(found: Refined) -> float:
    """Standard deviation of the offset [s].

    The larger of what independent errors give and what blocks of the motion scatter: the errors
    of a moving arm last for many pictures.
    """
    column = len(found.covariance) - 1
    W = np.linalg.inv(found.noise.covariance(found.at.information))
    left = found.at.slip * found.active[:, None]
    pull = np.einsum("nji,njk,nk->ni", found.at.slip_by_step, W, left, optimize=True)
    influence = pull @ found.covariance[:, column]
    blocks = np.array([part.sum() for part in np.array_split(influence, _BLOCKS)])
    scattered = float((blocks**2).sum() * _BLOCKS / (_BLOCKS - 1))
    return float(np.sqrt(max(found.covariance[column, column], scattered)))


def _digest(motion: Motion) -> str:
    arrays = [
        motion.image_stamps_ns,
        motion.pose_stamps_ns,
        motion.base_T_gripper,
        motion.board.points,
        motion.lens.parameters,
    ]
    for seen in motion.seen:
        arrays += [] if seen is None else [seen.ids, seen.pixels]
    return digest_of_arrays(arrays)
