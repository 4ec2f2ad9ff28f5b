"""`robot-policy calibrate hand-eye`: where a camera sits on an arm, or beside it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tyro.conf import FlagCreatePairsOff, Positional

from calibration.board import Board
from calibration.detection import Detection
from calibration.hand_eye.arm import Arm
from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.joint_offsets import OffsetJoints
from calibration.kinematics import load_chain
from calibration.provenance import digest_of_files
from calibration.report.views import CameraViews, views_of
from calibration.result import CalibrationResult
from calibration.sample_checks import check_clocks, check_joint_units
from calibration.samples import POSES, Sample, load_samples
from robot_policy.cli.calibration_inputs import (
    cameras_of,
    find_board,
    lens_paths,
    read_lens,
    require_lens_fits,
    require_new_file,
    require_page,
    today,
    with_poses,
)
from robot_policy.cli.calibration_output import save_report, save_result
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import inverse


@dataclass(frozen=True)
class HandEyeConfig:
    """Find where cameras sit on an arm, or beside it, from pictures of a board at many poses."""

    folder: Positional[Path]
    """Samples: poses.jsonl with base_T_gripper, and pictures."""
    mounting: str
    """eye_in_hand: the camera is on the gripper and the board stands still; eye_to_hand: the camera
    stands still and the gripper holds the board."""
    board: Path
    """Board, as `calibrate board` wrote it (YAML)."""
    intrinsics: tuple[str, ...]
    """Result of `calibrate intrinsics`, or ROS's camera info; camera=FILE for each of several."""
    output: Path
    """Result (YAML or JSON)."""
    cameras: tuple[str, ...] = ()
    """Which cameras; all of the samples if none is named."""
    refine_intrinsics: FlagCreatePairsOff[bool] = False
    """Refine the intrinsics too. Those that say how uncertain they are, are refined anyway, within
    that."""
    refine_joints: FlagCreatePairsOff[bool] = False
    """Find the zeros of the joints too, except for the first and the last; needs --urdf, --tip."""
    urdf: Path | None = None
    """The arm (URDF)."""
    tip: str | None = None
    """Link of the gripper in the URDF."""
    base: str = ""
    """Link of the base; the root by default."""
    keep_all: FlagCreatePairsOff[bool] = False
    """Leave out no pose, however much it contradicts the others."""
    seed: int = 0
    """Of the sets of poses that first guesses are made from."""
    json: Path | None = None
    """Also write the result to this file."""
    report: Path | None = None
    """Also write a page that shows it (HTML)."""


def run(config: HandEyeConfig) -> int:
    """Detects, calibrates, writes and prints."""
    if config.mounting not in list(Mounting):
        raise UnknownNameError.of("mounting", config.mounting, list(Mounting), where="--mounting")
    if config.refine_joints and not (config.urdf and config.tip):
        raise ConfigError("--refine-joints needs the arm", expected="--urdf FILE --tip LINK")
    require_new_file(config.output)
    require_page(config.report)
    board = Board.load(config.board)
    found = load_samples(config.folder)
    cameras = config.cameras or cameras_of(found)
    samples = with_poses(found)
    check_joint_units(samples, where=config.folder)
    check_clocks(samples, where=config.folder)
    data, covariances = _data(config, samples, cameras, board)
    options = HandEyeOptions(
        arm=_arm(config, samples, data),
        lens_covariances=covariances,
        refine_lenses=config.refine_intrinsics,
        drop_outliers=not config.keep_all,
    )
    pictures = [config.folder / s.images[c] for c in cameras for s in samples if c in s.images]
    result = calibrate_hand_eye(
        data,
        options,
        rng=np.random.default_rng(config.seed),
        date=today(),
        inputs_sha256=digest_of_files([config.folder / POSES, config.board, *pictures]),
    )
    save_result(result, config.output, json=config.json)
    if config.report is not None:
        save_report(config.report, result, views=_views(config, samples, data, result))
    return 0


def _views(
    config: HandEyeConfig, samples: list[Sample], data: HandEyeData, result: CalibrationResult
) -> list[CameraViews]:
    """The pictures, and where arm and calibration together put the board in them."""
    used = set(result.values["used"])
    board = result.transform(f"{data.mounting.board_parent}_T_board")
    views: list[CameraViews] = []
    for camera in data.cameras:
        pose = result.transform(f"{data.mounting.camera_parent}_T_{camera}")
        views.append(
            views_of(
                camera,
                data.board,
                data.lenses[camera],
                labels=data.labels,
                paths=[
                    config.folder / s.images[camera] if camera in s.images else None
                    for s in samples
                ],
                seen=data.detections[camera],
                camera_T_board=list(
                    inverse(pose) @ data.mounting.seen_through(data.base_T_gripper) @ board
                ),
                used=[label in used for label in data.labels],
            )
        )
    return views


def _data(
    config: HandEyeConfig, samples: list[Sample], cameras: tuple[str, ...], board: Board
) -> tuple[HandEyeData, dict[str, np.ndarray]]:
    lenses, covariances = {}, {}
    detections: dict[str, list[Detection | None]] = {}
    for camera, path in lens_paths(config.intrinsics, cameras).items():
        rows = [i for i, sample in enumerate(samples) if camera in sample.images]
        if not rows:
            valid = {name for sample in samples for name in sample.images}
            raise UnknownNameError.of("camera", camera, valid, where=config.folder)
        lens, covariance = read_lens(path)
        files = [config.folder / samples[i].images[camera] for i in rows]
        pictures = find_board(board, files, where=config.folder)
        require_lens_fits(lens, pictures.size, where=path)
        lenses[camera] = lens
        if covariance is not None:
            covariances[camera] = covariance
        detections[camera] = [None] * len(samples)
        for i, seen in zip(rows, pictures.seen, strict=True):
            detections[camera][i] = seen
    poses = [s.base_T_gripper for s in samples if s.base_T_gripper is not None]
    labels = tuple(next(iter(s.images.values()), f"sample {i}") for i, s in enumerate(samples))
    data = HandEyeData(
        Mounting(config.mounting), board, lenses, np.stack(poses), detections, labels
    )
    return data, covariances


def _arm(config: HandEyeConfig, samples: list[Sample], data: HandEyeData) -> Arm | None:
    if not config.refine_joints or config.urdf is None or config.tip is None:
        return None
    chain = load_chain(config.urdf, tip=config.tip, base=config.base)
    positions = chain.positions([sample.joints for sample in samples], where=config.folder)
    return OffsetJoints(chain, positions, data.base_T_gripper)
