"""`robot-policy calibrate time-offset`: how far the clocks of camera and arm are apart."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from calibration.board import Board
from calibration.hand_eye.data import Mounting
from calibration.kinematics import load_chain
from calibration.provenance import digest_of_files
from calibration.sample_checks import check_joint_units
from calibration.samples import POSES, Sample, SampleSet, load_samples
from calibration.time_offset.calibrate import Motion, calibrate_time_offset
from robot_policy.cli.calibration_inputs import (
    camera_of,
    find_board,
    read_lens,
    require_lens_fits,
    require_new_file,
    require_page,
    today,
    with_poses,
)
from robot_policy.cli.calibration_output import save_report, save_result
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError


@dataclass(frozen=True)
class TimeOffsetConfig:
    """Find the time offset between camera and joints from a motion in front of a board.

    Stamp of a picture + offset = stamp of the joints that the picture shows.
    """

    folder: Positional[Path]
    """Samples: pictures, and joints or poses, each with their stamps; need not be on one line."""
    mounting: str
    """eye_in_hand or eye_to_hand."""
    board: Path
    """Board, as `calibrate board` wrote it (YAML)."""
    intrinsics: Path
    """Result of `calibrate intrinsics`, or ROS's camera info."""
    output: Path
    """Result (YAML or JSON)."""
    camera: str | None = None
    """Which camera, where the samples have several."""
    urdf: Path | None = None
    """The arm (URDF), where the samples have joints but no poses; with --tip."""
    tip: str | None = None
    """Link of the gripper in the URDF."""
    base: str = ""
    """Link of the base; the root by default."""
    largest: float = 0.5
    """How far the clocks may be apart [s]."""
    seed: int = 0
    """Of the sets of poses that first guesses are made from."""
    json: Path | None = None
    """Also write the result to this file."""
    report: Path | None = None
    """Also write a page that shows it (HTML)."""


def run(config: TimeOffsetConfig) -> int:
    """Detects, calibrates, writes and prints."""
    if config.mounting not in list(Mounting):
        raise UnknownNameError.of("mounting", config.mounting, list(Mounting), where="--mounting")
    require_new_file(config.output)
    require_page(config.report)
    board = Board.load(config.board)
    found = load_samples(config.folder)
    check_joint_units(found.samples, where=config.folder)
    camera = camera_of(found, config.camera)
    shown = sorted((s for s in found.samples if camera in s.images), key=lambda s: s.stamp_ns)
    files = [config.folder / sample.images[camera] for sample in shown]
    lens, _ = read_lens(config.intrinsics)
    pictures = find_board(board, files, where=config.folder)
    require_lens_fits(lens, pictures.size, where=config.intrinsics)
    stamps_ns, poses = _path(config, found)
    result = calibrate_time_offset(
        Motion(
            mounting=Mounting(config.mounting),
            board=board,
            lens=lens,
            image_stamps_ns=np.array([sample.stamp_ns for sample in shown]),
            seen=pictures.seen,
            pose_stamps_ns=stamps_ns,
            base_T_gripper=poses,
        ),
        rng=np.random.default_rng(config.seed),
        largest_s=config.largest,
        date=today(),
        inputs_sha256=digest_of_files([config.folder / POSES, config.board, *files]),
    )
    save_result(result, config.output, json=config.json)
    if config.report is not None:
        save_report(config.report, result)
    return 0


def _path(config: TimeOffsetConfig, found: SampleSet) -> tuple[np.ndarray, np.ndarray]:
    """Stamps (n,) [ns] and base_T_gripper (n, 4, 4) of the arm, ascending, each stamp once."""
    if config.urdf is None:
        samples = _ascending(with_poses(found))
        poses = np.stack([s.base_T_gripper for s in samples if s.base_T_gripper is not None])
    else:
        if config.tip is None:
            raise ConfigError("--urdf needs --tip")
        chain = load_chain(config.urdf, tip=config.tip, base=config.base)
        samples = _ascending([sample for sample in found.samples if sample.joints])
        if not samples:
            raise DataError("no sample has joints", where=config.folder)
        poses = chain.forward(chain.positions([s.joints for s in samples], where=config.folder))
    return np.array([sample.pose_stamp_ns for sample in samples]), poses


def _ascending(samples: list[Sample]) -> list[Sample]:
    """By the stamp of the joints; where one stamp comes twice, it is the same reading."""
    return list(
        {s.pose_stamp_ns: s for s in sorted(samples, key=lambda s: s.pose_stamp_ns)}.values()
    )
