"""What the `calibrate` commands read: pictures, boards in them, intrinsics, where results go."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.camera_info import read_camera_info
from calibration.detection import Detection, detect, to_gray
from calibration.intrinsics.calibrate import lens_of
from calibration.lens import Lens
from calibration.misdetection import no_board, same_size
from calibration.result import CalibrationResult, read_yaml
from calibration.samples import POSES, Sample, SampleSet, load_samples, read_image
from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError

type Array = NDArray[np.floating]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_DEPTH = ".depth"
_RESULTS = (".yaml", ".yml", ".json")
_PAGES = (".html",)
_KEPT = 12


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of one camera, and the board in them.

    Attributes:
        paths: Files.
        size: Width and height of all of them [px].
        seen: One per file, None where the board was not found.
    """

    paths: tuple[Path, ...]
    size: tuple[int, int]
    seen: tuple[Detection | None, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the files."""
        return tuple(path.name for path in self.paths)


def picture_files(folder: Path, camera: str | None) -> tuple[Path, ...]:
    """Pictures of one camera, out of a folder of samples or of nothing but pictures.

    Raises:
        DataError: If there are none.
    """
    if (folder / POSES).is_file():
        samples = load_samples(folder)
        return samples.image_paths(camera_of(samples, camera))
    if not folder.is_dir():
        raise DataError("no such folder", where=folder)
    paths = tuple(p for p in sorted(folder.iterdir()) if p.suffix.lower() in _PICTURES)
    if not paths:
        raise DataError(
            "no pictures here", where=folder, expected=f"{POSES}, or {', '.join(_PICTURES)} files"
        )
    return paths


def cameras_of(samples: SampleSet) -> tuple[str, ...]:
    """Names of the cameras that take colour or grey pictures."""
    return tuple(name for name in samples.cameras if not name.endswith(_DEPTH))


def camera_of(samples: SampleSet, camera: str | None) -> str:
    """The camera called `camera`, or the only one.

    Raises:
        ConfigError: If there are several and none is named, or there is none.
        UnknownNameError: If there is none of that name.
    """
    cameras = cameras_of(samples)
    if camera is not None:
        if camera not in cameras:
            raise UnknownNameError.of("camera", camera, cameras, where=samples.folder)
        return camera
    if len(cameras) != 1:
        what = "several cameras: name one" if cameras else "no pictures in the samples"
        raise ConfigError(what, where=samples.folder, valid=cameras)
    return cameras[0]


def find_board(board: Board, paths: Sequence[Path], *, where: object) -> Pictures:
    """Looks for the board in every picture.

    Raises:
        DataError: If a picture cannot be read, they are of several sizes, or none shows the board.
    """
    seen: list[Detection | None] = []
    sizes: list[tuple[int, int]] = []
    with progress_bar("looking for the board", len(paths)) as advance:
        for path in paths:
            gray = to_gray(read_image(path))
            sizes.append((gray.shape[1], gray.shape[0]))
            seen.append(detect(board, gray))
            advance(f"{sum(d is not None for d in seen)} found")
    size = same_size(sizes, [path.name for path in paths], where=where)
    if all(d is None for d in seen):
        rows = np.unique(np.linspace(0, len(paths) - 1, _KEPT).astype(int))
        raise no_board(board, [to_gray(read_image(paths[i])) for i in rows], where=where)
    return Pictures(tuple(paths), size, tuple(seen))


def read_lens(path: Path) -> tuple[Lens, Array | None]:
    """Reads intrinsics: a result of `calibrate intrinsics`, or a ROS camera-info file.

    Returns:
        The lens and the covariance of its parameters, None where nothing is known of it.

    Raises:
        DataError: If it is neither.
    """
    data = read_yaml(path)  # JSON is YAML
    if isinstance(data, dict) and "camera_matrix" in cast("dict[str, object]", data):
        return read_camera_info(path), None
    result = CalibrationResult.load(path)
    return lens_of(result), result.covariance


def require_lens_fits(lens: Lens, size: tuple[int, int], *, where: Path) -> None:
    """Refuses intrinsics of another resolution.

    Raises:
        DataError: If the sizes differ.
    """
    if (lens.width, lens.height) != size:
        raise DataError(
            "intrinsics of another resolution",
            where=where,
            expected=f"{size[0]} x {size[1]} px, as the pictures",
            got=f"{lens.width} x {lens.height} px",
        )


def lens_paths(given: Sequence[str], cameras: Sequence[str]) -> Mapping[str, Path]:
    """Reads ``--intrinsics``: one file, or ``camera=file`` for each of several.

    Raises:
        ConfigError: If a camera has none, or there is no such camera.
    """
    if len(given) == 1 and "=" not in given[0] and len(cameras) == 1:
        return {cameras[0]: Path(given[0])}
    paths: dict[str, Path] = {}
    for text in given:
        camera, found, path = text.partition("=")
        if not found:
            raise ConfigError("several cameras", where="--intrinsics", expected="camera=FILE")
        if camera not in cameras:
            raise UnknownNameError.of("camera", camera, cameras, where="--intrinsics")
        paths[camera] = Path(path)
    for camera in cameras:
        if camera not in paths:
            raise ConfigError(f"no intrinsics of camera {camera!r}", where="--intrinsics")
    return paths


def with_poses(samples: SampleSet) -> list[Sample]:
    """Samples that have a pose of the arm.

    Raises:
        DataError: If none has.
    """
    kept = [sample for sample in samples.samples if sample.base_T_gripper is not None]
    if not kept:
        raise DataError(
            "no sample has a pose of the arm", where=samples.folder, expected="base_T_gripper"
        )
    return kept


def require_new_file(path: Path, *, endings: Sequence[str] = _RESULTS) -> None:
    """Refuses an output file that is there already, or that is of no known format.

    Raises:
        ConfigError: Says which.
    """
    if path.suffix not in endings:
        raise ConfigError("cannot tell the format from the name", where=path, valid=endings)
    if path.exists():
        raise ConfigError(
            "the output file exists and will not be overwritten",
            where=path,
            hint="choose another --output or remove it",
        )


def require_page(path: Path | None) -> None:
    """Refuses a page that is no HTML file, or is there already; None is no page.

    Raises:
        ConfigError: Says which.
    """
    if path is not None:
        require_new_file(path, endings=_PAGES)


def today() -> str:
    """Date and time that go into results, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
