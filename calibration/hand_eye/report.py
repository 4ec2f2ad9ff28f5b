"""What a person is told of a hand-eye calibration: values, errors, notes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.arm import KnownArm
from calibration.hand_eye.data import HandEyeData
from calibration.hand_eye.diversity import Diversity
from calibration.hand_eye.linearised import corners_of
from calibration.hand_eye.next_pose import next_pose, worst_std
from calibration.hand_eye.refine import Refined, refine
from calibration.hand_eye.starts import Start
from calibration.hand_eye.unknowns import Layout
from calibration.result import CalibrationResult
from calibration.rigid import apply, step_between
from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

_SCALE_DOUBT, _SCALE_WRONG, _SCALE_SIGMAS = 0.003, 0.03, 4.0


@dataclass(frozen=True, slots=True)
class Solved:
    """A calibration that came to an end.

    Attributes:
        data: Poses with the board in sight, the arm's unknowns applied.
        found: Where the refinement ended.
        layout: What was solved for.
        spread: How much the poses that were used turn the gripper.
    """

    data: HandEyeData
    found: Refined
    layout: Layout
    spread: Diversity


def hand_eye_result(
    solved: Solved, starts: Mapping[str, Start], *, suggest: bool
) -> CalibrationResult:
    """Builds the result, without provenance.

    Args:
        solved: The calibration.
        starts: First guess of every camera.
        suggest: Whether to look for the next pose worth adding.
    """
    data, found, layout = solved.data, solved.found, solved.layout
    values, figures = _cameras(solved, starts)
    shift_mm, turn_deg = left_out_errors(data, found)
    figures |= _figures(solved, shift_mm, turn_deg)
    notes = _dropped(solved, shift_mm, turn_deg)
    figures["board_scale"], scale_note = _board_scale(solved)
    notes += scale_note
    if suggest and (suggestion := next_pose(data, found, layout)) is not None:
        values["next_base_T_gripper"] = suggestion.base_T_gripper
        figures["next_pose_std_mm"] = suggestion.std_mm
        figures["next_pose_std_deg"] = suggestion.std_deg
    if not found.converged:
        notes.append("the refinement did not come to rest; judge by the leave-one-out error")
    return CalibrationResult(
        kind="hand_eye",
        values=values,
        parameters=layout.names,
        covariance=found.covariance,
        residuals={
            "reprojection_px": found.at.rms_px,
            "leave_one_out_mm": shift_mm,
            "leave_one_out_deg": turn_deg,
        },
        figures=figures,
        notes=tuple(notes),
    )


def left_out_errors(data: HandEyeData, found: Refined) -> tuple[Array, Array]:
    """How far each picture puts the middle of the board from where the other poses put it.

    Returns:
        (n,) [mm] and (n,) [deg].
    """
    middle = np.array([[*data.board.size_m, 0.0]]) / 2
    on_parent = apply(found.unknowns.parent_T_board, middle)
    in_gripper = np.broadcast_to(on_parent, (len(data.labels), 3))
    if data.mounting.board_parent == "base":
        G = data.mounting.seen_through(data.base_T_gripper)
        in_gripper = np.array([apply(gripper_T_base, on_parent)[0] for gripper_T_base in G])
    turn, shift = found.left_out[:, :3], found.left_out[:, 3:]
    away = np.linalg.norm(np.cross(turn, in_gripper) + shift, axis=-1)
    return 1000 * away, np.rad2deg(np.linalg.norm(turn, axis=-1))


def _cameras(
    solved: Solved, starts: Mapping[str, Start]
) -> tuple[dict[str, Any], dict[str, float]]:
    data, unknowns, layout = solved.data, solved.found.unknowns, solved.layout
    active = solved.found.active
    values: dict[str, Any] = {"mounting": data.mounting.value, "cameras": list(data.cameras)}
    figures: dict[str, float] = {}
    for k, camera in enumerate(data.cameras):
        name = f"{data.mounting.camera_parent}_T_{camera}"
        values[name] = unknowns.parent_T_cameras[k]
        block = slice(6 * k, 6 * k + 6)
        std_deg, std_m = worst_std(solved.found.covariance[block, block])
        figures[f"{name}.std_mm"], figures[f"{name}.std_deg"] = 1000 * std_m, std_deg
        step = step_between(unknowns.parent_T_cameras[k], starts[camera].parent_T_camera)
        figures[f"{name}.start_differs_mm"] = 1000 * float(np.linalg.norm(step[3:]))
        if layout.lenses:
            values[f"{camera}.lens_model"] = unknowns.lenses[k].model.value
            values[f"{camera}.lens_parameters"] = unknowns.lenses[k].parameters
    values[f"{data.mounting.board_parent}_T_board"] = unknowns.parent_T_board
    values |= {n: float(v) for n, v in zip(layout.arm, unknowns.arm, strict=True)}
    values["poses"] = list(data.labels)
    values["used"] = [label for label, a in zip(data.labels, active, strict=True) if a]
    values["dropped"] = [label for label, a in zip(data.labels, active, strict=True) if not a]
    return values, figures


def _figures(solved: Solved, shift_mm: Array, turn_deg: Array) -> dict[str, float]:
    found, active = solved.found, solved.found.active
    return {
        "poses": float(active.sum()),
        "dropped": float((~active).sum()),
        "leave_one_out_mm": float(np.sqrt((shift_mm[active] ** 2).mean())),
        "leave_one_out_deg": float(np.sqrt((turn_deg[active] ** 2).mean())),
        "worst_leave_one_out_mm": float(shift_mm[active].max()),
        "worst_leave_one_out_deg": float(turn_deg[active].max()),
        "reprojection_px": float(np.sqrt((found.at.rms_px[active] ** 2).mean())),
        "corner_noise_px": found.noise.corner_px,
        "arm_noise_mm": 1000 * found.noise.arm_m,
        "arm_noise_deg": float(np.rad2deg(found.noise.arm_rad)),
        "weakest_turn_deg": solved.spread.weakest_turn_deg,
        "diversity": solved.spread.score,
    }


def _dropped(solved: Solved, shift_mm: Array, turn_deg: Array) -> list[str]:
    return [
        f"{label}: left out, {shift_mm[i]:.1f} mm and {turn_deg[i]:.2f} degrees from what the "
        "other poses say: was the arm at rest, and the board read right?"
        for i, label in enumerate(solved.data.labels)
        if not solved.found.active[i]
    ]


def _board_scale(solved: Solved) -> tuple[float, list[str]]:
    """Size of the board by the arm over the stated one, and a note if they differ.

    Raises:
        DataError: If they differ so much that the result would be wrong.
    """
    data, found = solved.data, solved.found
    freed = refine(
        corners_of(data),
        KnownArm(data.base_T_gripper),
        replace(found.unknowns, arm=np.zeros(0)),
        Layout(data.mounting, data.cameras, board_scale=True),
        active=found.active,
        noise=found.noise,
        drop=False,
    )
    scale, std = freed.unknowns.board_scale, float(np.sqrt(freed.covariance[-1, -1]))
    if abs(scale - 1) < max(_SCALE_DOUBT, _SCALE_SIGMAS * std):
        return scale, []
    given = 1000 * data.board.square_m
    if abs(scale - 1) > max(_SCALE_WRONG, 2 * _SCALE_SIGMAS * std):
        raise DataError(
            "board and arm disagree on what a metre is",
            expected=f"squares of {given:.2f} mm, as stated",
            got=f"{given * scale:.2f} mm by the arm's motions",
            hint="measure the print; or the intrinsics are those of another camera",
        )
    return scale, [
        f"by the arm's motions the squares are {given * scale:.2f} mm, within "
        f"{2 * given * std:.2f}, stated are {given:.2f}: measure the print"
    ]
