"""`robot-policy calibrate intrinsics`: what a lens does to pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tyro.conf import Positional

from calibration.board import Board
from calibration.board_pose import board_pose
from calibration.camera_info import write_camera_info
from calibration.intrinsics.calibrate import Frames, calibrate_intrinsics, lens_of
from calibration.intrinsics.coverage_picture import coverage_picture
from calibration.lens import LensModel
from calibration.provenance import digest_of_files
from calibration.report.views import CameraViews, views_of
from calibration.result import CalibrationResult
from calibration.samples import CAMERA, write_image
from robot_policy.cli.calibration_inputs import (
    Pictures,
    find_board,
    picture_files,
    require_new_file,
    require_page,
    today,
)
from robot_policy.cli.calibration_output import save_report, save_result
from robot_policy.core.errors import UnknownNameError


@dataclass(frozen=True)
class IntrinsicsConfig:
    """Find the intrinsics of a camera from pictures of a board."""

    folder: Positional[Path]
    """Pictures, or samples (poses.jsonl); poses are not needed."""
    board: Path
    """Board, as `calibrate board` wrote it (YAML)."""
    output: Path
    """Result (YAML or JSON)."""
    model: str = LensModel.PLUMB_BOB.value
    """plumb_bob, rational_polynomial, or equidistant for a fisheye."""
    camera: str | None = None
    """Which camera, where the samples have several."""
    frames: int = 40
    """Number of pictures to use; they are chosen for coverage."""
    camera_info: Path | None = None
    """Also write it as ROS's camera info (YAML)."""
    coverage: Path | None = None
    """Also draw where corners were seen, and how far off they are (PNG)."""
    json: Path | None = None
    """Also write the result to this file."""
    report: Path | None = None
    """Also write a page that shows it (HTML)."""


def run(config: IntrinsicsConfig) -> int:
    """Detects, calibrates, writes and prints."""
    if config.model not in list(LensModel):
        raise UnknownNameError.of("lens model", config.model, list(LensModel), where="--model")
    require_new_file(config.output)
    require_page(config.report)
    board = Board.load(config.board)
    paths = picture_files(config.folder, config.camera)
    pictures = find_board(board, paths, where=config.folder)
    result = calibrate_intrinsics(
        Frames(board, pictures.size, pictures.seen, pictures.labels),
        LensModel(config.model),
        at_most=config.frames,
        date=today(),
        inputs_sha256=digest_of_files([config.board, *paths]),
    )
    save_result(result, config.output, json=config.json)
    if config.camera_info is not None:
        write_camera_info(config.camera_info, lens_of(result), camera=config.camera or CAMERA)
    if config.coverage is not None:
        write_image(config.coverage, _coverage(board, pictures, result))
    if config.report is not None:
        save_report(config.report, result, views=[_views(config, board, pictures, result)])
    return 0


def _views(
    config: IntrinsicsConfig, board: Board, pictures: Pictures, result: CalibrationResult
) -> CameraViews:
    """The pictures, and where the lens puts the board in them."""
    lens, used = lens_of(result), set(result.values["used"])
    poses = [None if d is None else board_pose(board, lens, d) for d in pictures.seen]
    return views_of(
        config.camera or CAMERA,
        board,
        lens,
        labels=pictures.labels,
        paths=pictures.paths,
        seen=pictures.seen,
        camera_T_board=[None if pose is None else pose.camera_T_board for pose in poses],
        used=[label in used for label in pictures.labels],
    )


def _coverage(
    board: Board, pictures: Pictures, result: CalibrationResult
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    lens = lens_of(result)
    used = set(result.values["used"])
    shown = [
        (seen, pose.residuals_px)
        for seen, label in zip(pictures.seen, pictures.labels, strict=True)
        if seen is not None
        and label in used
        and (pose := board_pose(board, lens, seen)) is not None
    ]
    return coverage_picture([s for s, _ in shown], [r for _, r in shown], pictures.size)
