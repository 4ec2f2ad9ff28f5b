"""What a person should do about a calibration, told from its figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calibration.result import CalibrationResult

type Figures = Mapping[str, float]

_FEW_POSES, _FEW_FRAMES = 15, 20
_LITTLE_DIVERSITY = 0.6
_WEAK_MM, _WEAK_DEG = 1.0, 0.1
_NOISY_PX = 0.5
_NOISY_ARM_MM, _NOISY_ARM_DEG = 1.0, 0.15
_MANY_DROPPED = 0.1
_LITTLE_COVERAGE = 0.6
_WEAK_FOCAL_PERCENT = 0.2
_OVERFITTED = 1.3
_SLOW_DEG_S = 15.0
_WEAK_MS = 1.0
_GOOD_AGREEMENT = 0.7


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence to a person.

    Attributes:
        text: What was found, and what to do.
        urgent: Whether the result should not be used before that.
    """

    text: str
    urgent: bool = False


def advise(result: CalibrationResult) -> list[Advice]:
    """Returns what would improve a result, the most urgent first; empty if nothing is wrong."""
    rules = _RULES.get(result.kind, ())
    found = [advice for rule in rules if (advice := rule(result.figures)) is not None]
    return sorted(found, key=lambda advice: not advice.urgent)


def _few_poses(f: Figures) -> Advice | None:
    if f["poses"] >= _FEW_POSES:
        return None
    return Advice(f"Only {f['poses']:.0f} poses were used: 15 to 25 make it surer.")


def _little_turning(f: Figures) -> Advice | None:
    if f["diversity"] >= _LITTLE_DIVERSITY:
        return None
    return Advice(
        f"The gripper turns by {f['weakest_turn_deg']:.0f} degrees about the axis it turns least "
        "about. Turns of 30 degrees and more, about two axes, are what tells position and "
        "orientation of the camera; moving without turning is not."
    )


def _unsure_pose(f: Figures) -> Advice | None:
    mm = max((v for k, v in f.items() if k.endswith(".std_mm")), default=0.0)
    deg = max((v for k, v in f.items() if k.endswith(".std_deg")), default=0.0)
    if mm <= _WEAK_MM and deg <= _WEAK_DEG:
        return None
    more = ""
    if "next_pose_std_mm" in f:
        more = (
            f" The pose `next_base_T_gripper` in the result would bring it to "
            f"{f['next_pose_std_mm']:.2f} mm and {f['next_pose_std_deg']:.3f} degrees."
        )
    return Advice(f"The camera is only known to {mm:.2f} mm and {deg:.3f} degrees.{more}")


def _dropped(f: Figures) -> Advice | None:
    share = f["dropped"] / max(f["dropped"] + f["poses"], 1.0)
    if share <= _MANY_DROPPED:
        return None
    return Advice(
        f"{f['dropped']:.0f} poses contradict the others and were left out. Wait longer until the "
        "arm is at rest, and look at their pictures for blur and reflections.",
        urgent=share > 0.3,
    )


def _arm_disagrees(f: Figures) -> Advice | None:
    if f["arm_noise_mm"] <= _NOISY_ARM_MM and f["arm_noise_deg"] <= _NOISY_ARM_DEG:
        return None
    return Advice(
        f"The arm's poses scatter by {f['arm_noise_mm']:.1f} mm and {f['arm_noise_deg']:.2f} "
        "degrees. If its joints may be off their zeros, try `--refine-joints`; a loose mount of "
        "camera or board, or intrinsics of another day, look the same."
    )


def _noisy_corners(f: Figures) -> Advice | None:
    if f["corner_noise_px"] <= _NOISY_PX:
        return None
    return Advice(
        f"Corners scatter by {f['corner_noise_px']:.2f} px where 0.1 to 0.3 are usual: more "
        "light, a shorter exposure, a flat board, and intrinsics of this very camera."
    )


def _print_off(f: Figures) -> Advice | None:
    off = f.get("board_scale", 1.0) - 1.0
    if abs(off) < 0.003:
        return None
    return Advice(
        f"By the arm's motions the board is {100 * abs(off):.1f} % "
        f"{'larger' if off > 0 else 'smaller'} than stated: measure the print."
    )


def _few_frames(f: Figures) -> Advice | None:
    if f["frames"] >= _FEW_FRAMES:
        return None
    return Advice(f"Only {f['frames']:.0f} pictures were used: 20 to 40 make it surer.")


def _little_coverage(f: Figures) -> Advice | None:
    if f["coverage"] >= _LITTLE_COVERAGE:
        return None
    return Advice(
        f"Corners were seen in {100 * f['coverage']:.0f} % of the picture. What the lens does in "
        "the rest is a guess: show the board in the corners too."
    )


def _weak_focal(f: Figures) -> Advice | None:
    worst = max(f["fx_std_percent"], f["fy_std_percent"])
    if worst <= _WEAK_FOCAL_PERCENT:
        return None
    return Advice(
        f"The focal length is only known to {worst:.2f} %: tilt the board by 30 to 45 degrees in "
        "different directions."
    )


def _overfitted(f: Figures) -> Advice | None:
    if f["held_out_px"] <= _OVERFITTED * f["reprojection_px"]:
        return None
    return Advice(
        f"Pictures that the lens was not fitted to are {f['held_out_px']:.2f} px off, the others "
        f"{f['reprojection_px']:.2f}: take more pictures, or a lens model with fewer coefficients."
    )


def _slow_motion(f: Figures) -> Advice | None:
    if f["turning_deg_s"] >= _SLOW_DEG_S:
        return None
    return Advice(
        f"The arm turns at {f['turning_deg_s']:.0f} degrees/s: faster turns, at changing speed, "
        "tell time better."
    )


def _unsure_time(f: Figures) -> Advice | None:
    if f["std_ms"] <= _WEAK_MS:
        return None
    return Advice(f"The offset is only known to {f['std_ms']:.1f} ms: record a longer motion.")


def _hidden_robot(f: Figures) -> Advice | None:
    if f["agreement"] >= _GOOD_AGREEMENT:
        return None
    return Advice(
        f"Only {100 * f['agreement']:.0f} % of the robot's surface was found where it should be: "
        "something hides it, or joints, meshes or depth are not right."
    )


def _weak_alignment(f: Figures) -> Advice | None:
    if f["sd_mm"] <= 3.0 and f["sd_deg"] <= 0.3:
        return None
    return Advice(
        f"The camera is only known to {f['sd_mm']:.1f} mm and {f['sd_deg']:.2f} degrees: let more "
        "of the arm be seen, and in more different places."
    )


_RULES: Mapping[str, tuple[Callable[[Figures], Advice | None], ...]] = {
    "hand_eye": (
        _dropped,
        _little_turning,
        _unsure_pose,
        _few_poses,
        _arm_disagrees,
        _noisy_corners,
        _print_off,
    ),
    "intrinsics": (_little_coverage, _weak_focal, _overfitted, _few_frames, _noisy_corners),
    "time_offset": (_unsure_time, _slow_motion, _arm_disagrees),
    "depth_refinement": (_hidden_robot, _weak_alignment),
}
