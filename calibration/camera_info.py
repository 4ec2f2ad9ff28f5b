"""ROS's camera-info YAML, as camera_info_manager and camera_calibration write it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.lens import Lens, LensModel, parameter_names
from calibration.result import read_yaml
from robot_policy.core.errors import DataError
from robot_policy.core.files import replacing


def write_camera_info(path: Path, lens: Lens, *, camera: str) -> None:
    """Writes it whole or not at all."""
    import yaml

    K = lens.matrix
    data = {
        "image_width": lens.width,
        "image_height": lens.height,
        "camera_name": camera,
        "camera_matrix": _matrix(K),
        "distortion_model": lens.model.value,
        "distortion_coefficients": _matrix(lens.distortion[None]),
        "rectification_matrix": _matrix(np.eye(3)),
        "projection_matrix": _matrix(np.concatenate([K, np.zeros((3, 1))], axis=1)),
    }
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None)
    with replacing(path) as temporary:
        temporary.write_text(text)


def read_camera_info(path: Path) -> Lens:
    """Reads what `write_camera_info` or ROS's own tools wrote.

    Raises:
        DataError: If the file is missing or damaged, or the camera is skewed or of a model that is
            not known here.
    """
    data = read_yaml(path)
    try:
        name = str(data["distortion_model"])
        # Kalibr and older drivers call the same lens by this name.
        model = LensModel("equidistant" if name == "fisheye" else name)
        K = _read(data["camera_matrix"])
        given = _read(data["distortion_coefficients"]).ravel()
        width, height = int(data["image_width"]), int(data["image_height"])
    except (KeyError, TypeError, ValueError) as error:
        valid = [m.value for m in LensModel]
        raise DataError("not a camera info", where=path, got=repr(error), valid=valid) from error
    if K.shape != (3, 3) or not np.isfinite(K).all() or min(K[0, 0], K[1, 1]) <= 0:
        raise DataError(
            "not calibrated", where=path, expected="a 3 x 3 camera_matrix", got=K.tolist()
        )
    if K[0, 1] != 0:
        raise DataError("a skewed camera is not known here", where=path, got=K[0, 1])
    wanted = len(parameter_names(model)) - 4
    if len(given) > wanted and np.any(given[wanted:]):
        raise DataError(
            "too many distortion coefficients", where=path, expected=wanted, got=len(given)
        )
    distortion = np.zeros(wanted)
    distortion[: min(len(given), wanted)] = given[:wanted]
    linear = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return Lens(model, width, height, np.concatenate([linear, distortion]))


def _matrix(values: NDArray[np.floating]) -> dict[str, Any]:
    rows, columns = values.shape
    return {"rows": rows, "cols": columns, "data": values.ravel().tolist()}


def _read(entry: Any) -> NDArray[np.floating]:
    shape = (int(entry["rows"]), int(entry["cols"]))
    return np.array(entry["data"], dtype=np.float64).reshape(shape)
