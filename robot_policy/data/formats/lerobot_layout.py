"""What all versions of LeRobot's format share: bookkeeping, and features in info.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.errors import DataError, SpecError
from robot_policy.core.files import read_json
from robot_policy.core.observation import ACTION, STATE, TASK
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.video import video_info
from robot_policy.data.recording import STRING, Description, Feature

INFO = "meta/info.json"
SPEC = "meta/robot_policy.json"
"""Units, bounds and action space, which info.json has no place for. LeRobot does not look at it."""
STAGING = ".partial"
"""Files being written. A folder of its own, because LeRobot reads every file under data/."""

BOOKKEEPING = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Columns that every LeRobot dataset has, each of shape (1,)."""

_METADATA = "metadata"
_MOST_AXES = 5
_DEPTH = ("is_depth_map", "video.is_depth_map")
_KNOWN_INFO = {
    "codebase_version",
    "robot_type",
    "total_episodes",
    "total_frames",
    "total_tasks",
    "total_videos",
    "total_chunks",
    "chunks_size",
    "data_files_size_in_mb",
    "video_files_size_in_mb",
    "fps",
    "splits",
    "data_path",
    "video_path",
    "features",
}


def whole_rate(rate_hz: float) -> int | float:
    """Frames per second, an int where it is whole, as LeRobot expects."""
    return round(rate_hz) if abs(rate_hz - round(rate_hz)) < 1e-6 * rate_hz else rate_hz


def is_video(feature: Feature) -> bool:
    """Whether images go into a video file; the others are embedded one by one, without loss."""
    return feature.is_image and not feature.lossless


def features_json(description: Description) -> dict[str, dict[str, Any]]:
    """Features of info.json.

    Raises:
        SpecError: If a feature cannot be stored.
    """
    features: dict[str, dict[str, Any]] = {}
    for key, feature in description.features.items():
        reason = refuses(key, feature)
        if reason is not None:
            raise SpecError(reason, where=key)
        if key == TASK:
            continue  # it is in task_index
        features[key] = (
            _image_json(feature, description.rate_hz)
            if feature.is_image
            else _column_json(key, feature)
        )
    for key, dtype in BOOKKEEPING.items():
        features[key] = {"dtype": dtype, "shape": [1], "names": None}
    return features


def refuses(key: str, feature: Feature) -> str | None:
    """Says why a feature cannot be stored, None if it can."""
    if key in BOOKKEEPING or "/" in key:
        return "no name for a feature of LeRobot's format"
    if feature.is_image:
        known = (feature.dtype, feature.shape[2:]) in (("uint8", (3,)), ("uint16", (1,)))
        return None if known else f"images of {feature.dtype} {feature.shape} cannot be stored"
    if len(feature.shape) > _MOST_AXES:
        return f"features of more than {_MOST_AXES} axes cannot be stored"
    if feature.dtype == STRING and feature.shape != (1,):
        return "more than one text per frame cannot be stored"
    return None


def _image_json(feature: Feature, rate_hz: float) -> dict[str, Any]:
    json: dict[str, Any] = {
        "dtype": "video" if is_video(feature) else "image",
        "shape": list(feature.shape),
        "names": ["height", "width", "channels"],
    }
    height, width = feature.shape[:2]
    if is_video(feature):
        json["info"] = dict(feature.info) or video_info(height, width, whole_rate(rate_hz))
    elif feature.is_depth:
        json["info"] = {**feature.info, "is_depth_map": True}
    return json


def _column_json(key: str, feature: Feature) -> dict[str, Any]:
    names: list[str] | None = list(feature.names)
    if not names:
        scalar = feature.shape == (1,) and feature.dtype != "float32"
        plain = len(feature.shape) == 1 and not scalar and not key.startswith("next.")
        names = [f"{key}_{i}" for i in range(feature.shape[0])] if plain else None
    return {"dtype": feature.dtype, "shape": list(feature.shape), "names": names}


def read_info(root: Path, *, versions: Sequence[str]) -> dict[str, Any]:
    """Reads info.json.

    Args:
        root: Dataset.
        versions: Of the format that are read.

    Raises:
        DataError: If it is missing, damaged, of another version or lacks what is needed.
    """
    path = root / INFO
    info = read_json(path)
    if not isinstance(info, dict):
        raise DataError("not a dataset description", where=path)
    version = info.get("codebase_version")
    if version not in versions:
        raise DataError(
            "another version of the format",
            where=path,
            expected=" or ".join(versions),
            got=version,
        )
    for key, kind in (("fps", (int, float)), ("features", dict), ("total_episodes", int)):
        if not isinstance(info.get(key), kind) or isinstance(info[key], bool):
            raise DataError(f"{key} is missing or of a wrong type", where=path, got=info.get(key))
    if not 0 < info["fps"] < 1e6 or info["total_episodes"] < 0:
        raise DataError("fps and total_episodes must be positive", where=path)
    return info


def read_description(
    root: Path, info: Mapping[str, Any], *, several_tasks: bool
) -> tuple[Description, list[str]]:
    """Returns what info.json and the spec beside it say, and the features that are not read.

    Args:
        root: Dataset.
        info: Content of info.json.
        several_tasks: Whether an episode has more than one task.

    Raises:
        DataError: If either is damaged or not understood.
    """
    features: dict[str, Feature] = {}
    left_out: list[str] = []
    for key, entry in info["features"].items():
        if key in BOOKKEEPING:
            continue
        try:
            feature = _feature(entry)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, SpecError) as error:
            raise DataError(
                "features not understood", where=f"{root / INFO}, {key}", got=error
            ) from error
        if feature is None:
            left_out.append(f"{key}: of type {entry['dtype']!r}, which is not read")
        else:
            features[key] = feature
    if several_tasks:
        features[TASK] = Feature(STRING, (1,))
    spec, metadata = _read_spec(root)
    if spec is not None:
        _check_spec(spec, features, 1.0 / info["fps"], where=root / SPEC)
    others = {key: value for key, value in info.items() if key not in _KNOWN_INFO}
    splits = info.get("splits")
    if splits != {"train": f"0:{info['total_episodes']}"} and splits:
        others["splits"] = splits
    return Description(
        robot=info.get("robot_type") or "unknown",
        rate_hz=float(info["fps"]),
        features=features,
        spec=spec,
        metadata=metadata | ({"info": others} if others else {}),
    ), left_out


def _feature(entry: Mapping[str, Any]) -> Feature | None:
    dtype, shape = entry["dtype"], tuple(int(n) for n in entry["shape"]) or (1,)
    if dtype in ("video", "image"):
        info = dict(entry.get("info") or {})
        depth = any(info.get(key) for key in _DEPTH)
        size = _image_size(shape, entry.get("names") or ())
        return Feature(
            dtype="uint16" if depth else "uint8",
            shape=(*size, 1 if depth else 3),
            is_image=True,
            lossless=dtype == "image",
            info=info if dtype == "video" else {k: v for k, v in info.items() if k not in _DEPTH},
        )
    if dtype == STRING:
        return Feature(STRING, shape) if shape == (1,) else None
    try:
        kind = np.dtype(dtype)
    except TypeError:
        return None
    if kind.kind not in "biuf":
        return None
    return Feature(kind.name, shape, _names(entry.get("names"), shape))


def _image_size(shape: tuple[int, ...], names: Any) -> tuple[int, int]:
    """(height, width) of an image feature; older datasets put the channels first."""
    first = names[0] if len(names) == 3 else None
    channels_first = str(first).startswith("channel") if first else shape[0] in (1, 3)
    return (shape[1], shape[2]) if channels_first else (shape[0], shape[1])


def _names(names: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    if isinstance(names, Mapping):
        # Some datasets group them, {"motors": [...]}; others map each name to its place.
        groups = list(names.values())
        names = groups[0] if len(groups) == 1 and isinstance(groups[0], list) else list(names)
    labels = tuple(str(name) for name in names or ())
    return labels if shape == (len(labels),) else ()


def _check_spec(
    spec: PolicySpec, features: Mapping[str, Feature], dt_s: float, *, where: Path
) -> None:
    for key, array in ((STATE, spec.state), (ACTION, spec.action)):
        if key in features and features[key].shape != array.shape:
            raise DataError(
                f"{key.rpartition('.')[2]} differs from info.json",
                where=where,
                expected=features[key].shape,
                got=array.shape,
            )
    if abs(spec.dt_s - dt_s) > 1e-6:
        raise DataError("dt_s differs from info.json", where=where, expected=dt_s, got=spec.dt_s)


def spec_json(description: Description) -> dict[str, Any]:
    """Content of the file beside info.json: the spec, and the metadata of the dataset."""
    spec = {} if description.spec is None else description.spec.to_json()
    return spec | ({_METADATA: dict(description.metadata)} if description.metadata else {})


def _read_spec(root: Path) -> tuple[PolicySpec | None, dict[str, Any]]:
    path = root / SPEC
    if not path.exists():
        return None, {}
    data = read_json(path)
    try:
        metadata = dict(data.pop(_METADATA, {}))
        return (PolicySpec.from_json(data) if data else None), metadata
    except (KeyError, TypeError, ValueError, AttributeError, SpecError) as error:
        raise DataError("not a spec", where=path, got=error) from error
