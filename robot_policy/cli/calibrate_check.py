"""`robot-policy calibrate check`: how far a stored calibration is off by now."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tyro.conf import FlagCreatePairsOff, Positional

from calibration.board import Board
from calibration.hand_eye.data import HandEyeData
from calibration.hand_eye.drift import (
    Drift,
    Tolerance,
    Verdict,
    measure_drift,
    stored_camera,
)
from calibration.lens import Lens
from calibration.result import CalibrationResult
from calibration.sample_checks import check_clocks, check_joint_units
from calibration.samples import CAMERA, load_samples
from robot_policy.capture.folder import CaptureFolder, CaptureSettings
from robot_policy.cli.calibrate_capture import check_motion, take
from robot_policy.cli.calibration_inputs import (
    camera_of,
    find_board,
    read_lens,
    require_lens_fits,
    with_poses,
)
from robot_policy.cli.capture_arms import (
    ArmChoice,
    Via,
    choose_cameras,
    choose_via,
    opened,
    silence,
)
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import write_json
from robot_policy.core.robot import load_robot

_STATUS = {Verdict.HOLDS: 0, Verdict.DRIFTED: 1, Verdict.UNDECIDED: 3}
_SILENT = 4
_FEWEST = 5


@dataclass(frozen=True)
class CheckConfig:
    """Measure how far a stored hand-eye calibration is off by now, from a few poses.

    Exit status: 0 if it holds, 1 if the camera has moved by more than the tolerance, 3 if the poses
    do not tell it well enough, 2 on bad input, 4 if the arm falls silent.
    """

    calibration: Positional[Path]
    """Result of `calibrate hand-eye`."""
    board: Path
    """Board, as `calibrate board` wrote it (YAML)."""
    folder: Path | None = None
    """Samples to check with; by default the arm takes them now."""
    intrinsics: Path | None = None
    """Result of `calibrate intrinsics`, or ROS's camera info; by default what the camera says."""
    tolerance_mm: float = Tolerance().shift_mm
    """How far the camera may have moved [mm]."""
    tolerance_deg: float = Tolerance().turn_deg
    """How far it may have turned [deg]."""
    robot: str = "panda_twin_joint"
    """Robot description, name or YAML file, of the arm that takes the samples."""
    camera: str | None = None
    """Camera of the description, or of the samples where these have several."""
    poses: int = 8
    """Samples that the arm takes."""
    via: str = ""
    """twin, nodes or ros; see `calibrate capture`."""
    keep: Path | None = None
    """Folder for the samples that the arm takes; by default they are thrown away."""
    speed: float = 0.5
    """Part of the fastest motion that a capture makes, up to 1."""
    gripper: float | None = None
    """What the gripper is commanded; see `calibrate capture`."""
    image_size: tuple[int, int] = (480, 640)
    """Height and width of pictures in the twin [px]."""
    seed: int = 0
    """Of the poses, and of the twin's start."""
    domain: int | None = None
    """ROS domain; see `calibrate capture`."""
    verbose: FlagCreatePairsOff[bool] = False
    """Show what the twin's node logs."""
    json: Path | None = None
    """Also write what was found to this file."""


def run(config: CheckConfig) -> int:
    """Takes samples, or reads them, compares, prints, and returns the verdict as status."""
    _check(config)
    start_s = time.perf_counter()
    stored = CalibrationResult.load(config.calibration)
    board = Board.load(config.board)
    via = choose_via(load_robot(config.robot), config.via)
    try:
        with _samples(config, stored, board) as (folder, lens):
            data = _data(config, stored, board, folder, lens)
    except silence(Via.TWIN if config.folder is not None else via) as error:
        print(f"robot-policy: {error}", file=sys.stderr)
        return _SILENT
    drift = measure_drift(
        stored,
        data,
        Tolerance(config.tolerance_mm, config.tolerance_deg),
        rng=np.random.default_rng(config.seed),
    )
    seconds = time.perf_counter() - start_s
    if config.json is not None:
        write_json(config.json, {**asdict(drift), "seconds": round(seconds, 2)})
    _show(config, drift)
    return _STATUS[drift.verdict]


def _check(config: CheckConfig) -> None:
    for name in ("tolerance_mm", "tolerance_deg"):
        value = getattr(config, name)
        if not value > 0.0:
            raise ConfigError(
                "not positive", where=f"--{name.replace('_', '-')}", expected="> 0", got=value
            )
    if config.poses < _FEWEST:
        raise ConfigError("too small", where="--poses", expected=f">= {_FEWEST}", got=config.poses)
    if config.folder is not None and config.keep is not None:
        raise ConfigError("give one of both", where="--folder, --keep")
    check_motion(config.speed, config.gripper)


@contextmanager
def _samples(
    config: CheckConfig, stored: CalibrationResult, board: Board
) -> Iterator[tuple[Path, Lens | None]]:
    """Yields the folder of the samples, and the lens that the camera states."""
    given = None if config.intrinsics is None else read_lens(config.intrinsics)[0]
    if config.folder is not None:
        if given is None:
            raise ConfigError("samples need intrinsics", expected="--intrinsics FILE")
        yield config.folder, given
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = config.keep or Path(temporary) / "samples"
        yield folder, _captured(config, stored, board, folder, given)


def _captured(
    config: CheckConfig,
    stored: CalibrationResult,
    board: Board,
    folder: Path,
    lens: Lens | None,
) -> Lens:
    robot = load_robot(config.robot)
    mounting, _, parent_T_camera = stored_camera(stored, _stored_name(config, stored))
    asked = () if config.camera is None else (config.camera,)
    choice = ArmChoice(
        robot=robot,
        name=config.robot,
        via=choose_via(robot, config.via),
        cameras=choose_cameras(robot, asked, mounting),
        board=board,
        board_file=config.board,
        mounting=mounting,
        image_size=config.image_size,
        seed=config.seed,
        domain=config.domain,
        verbose=config.verbose,
    )
    settings = CaptureSettings.of(robot, mounting.value, choice.cameras, board)
    into = CaptureFolder(folder, settings)
    with opened(choice) as arm:
        take(
            choice,
            arm,
            into,
            lens=lens,
            known=parent_T_camera,
            poses=config.poses,
            speed=config.speed,
            gripper=config.gripper,
        )
    return read_lens(folder / f"{choice.cameras[0]}.yaml")[0]


def _stored_name(config: CheckConfig, stored: CalibrationResult) -> str:
    """What the camera is called in the stored calibration: by its name, or just ``camera``."""
    names = [name.partition("_T_")[2] for name in stored.values if "_T_" in name]
    return config.camera if config.camera in names and config.camera is not None else CAMERA


def _data(
    config: CheckConfig,
    stored: CalibrationResult,
    board: Board,
    folder: Path,
    lens: Lens | None,
) -> HandEyeData:
    found = load_samples(folder)
    asked = config.camera if config.camera in found.cameras else None
    camera = camera_of(found, asked)
    samples = [sample for sample in with_poses(found) if camera in sample.images]
    check_joint_units(samples, where=folder)
    check_clocks(samples, where=folder)
    pictures = find_board(board, [folder / s.images[camera] for s in samples], where=folder)
    assert lens is not None
    require_lens_fits(lens, pictures.size, where=config.intrinsics or folder)
    name = _stored_name(config, stored)
    mounting, _, _ = stored_camera(stored, name)
    poses = [s.base_T_gripper for s in samples if s.base_T_gripper is not None]
    return HandEyeData(
        mounting, board, {name: lens}, np.stack(poses), {name: pictures.seen}, pictures.labels
    )


def _show(config: CheckConfig, drift: Drift) -> None:
    words = {
        Verdict.HOLDS: "the calibration holds",
        Verdict.DRIFTED: "the camera has moved: calibrate again",
        Verdict.UNDECIDED: "these poses do not tell: take more, or turn further between them",
    }
    print(
        f"{config.calibration}: {words[drift.verdict]}\n"
        f"  camera off by {drift.shift_mm:.2f} mm (std {drift.std_mm:.2f}) and "
        f"{drift.turn_deg:.3f} degrees (std {drift.std_deg:.3f}); tolerance "
        f"{config.tolerance_mm:g} mm, {config.tolerance_deg:g} degrees\n"
        f"  where it sees the board: {drift.at_board_mm:.2f} mm; probability by chance "
        f"{drift.chance:.2g}; {drift.poses} poses, left out one by one "
        f"{drift.leave_one_out_mm:.2f} mm apart",
        file=sys.stdout,
    )
