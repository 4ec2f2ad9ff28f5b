"""Where LeRobot v3.0 keeps what, and how its features translate to a `PolicySpec`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from robot_policy.core.errors import DataError, SpecError
from robot_policy.core.files import read_json
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, IMAGES, STATE, image_key
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.formats.video import video_info

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
SPEC = "meta/robot_policy.json"
"""Units, bounds and action space, which info.json has no place for. LeRobot does not look at it."""
STAGING = ".partial"
"""Files being written. A folder of its own, because LeRobot reads every file under data/."""

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"

REWARD, DONE, SUCCESS = "next.reward", "next.done", "next.success"
STAMP = "observation.stamp_ns"
BOOKKEEPING = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}
"""Columns that every LeRobot dataset has, each of shape (1,)."""


def place(index: int) -> dict[str, int]:
    """Chunk and file number of the `index`-th file."""
    chunk, file = divmod(index, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def rate_hz(spec: PolicySpec) -> int | float:
    """Frames per second, an int where it is whole, as LeRobot expects."""
    rate = 1.0 / spec.dt_s
    return round(rate) if abs(rate - round(rate)) < 1e-6 * rate else rate


def features_of(spec: PolicySpec) -> dict[str, dict[str, Any]]:
    """Features of info.json for datasets written here."""
    vectors = {STATE: spec.state, ACTION: spec.action}
    if spec.environment_state is not None:
        vectors[ENVIRONMENT_STATE] = spec.environment_state
    features: dict[str, dict[str, Any]] = {}
    for key, array in vectors.items():
        if len(array.shape) != 1 or array.dtype != "float32":
            raise SpecError(
                "cannot be stored",
                where=key,
                expected="1-D float32",
                got=(array.shape, array.dtype),
            )
        names = list(array.names) or [f"{key}_{i}" for i in range(array.size)]
        features[key] = {"dtype": "float32", "shape": list(array.shape), "names": names}
    for camera, image in spec.cameras.items():
        features[image_key(camera)] = {
            "dtype": "video",
            "shape": list(image.shape),
            "names": ["height", "width", "channels"],
            "info": video_info(image.shape[0], image.shape[1], rate_hz(spec)),
        }
    scalars = {STAMP: "int64", REWARD: "float32", DONE: "bool", SUCCESS: "bool", **BOOKKEEPING}
    for key, dtype in scalars.items():
        features[key] = {"dtype": dtype, "shape": [1], "names": None}
    return features


def info_of(spec: PolicySpec, *, episodes: int, frames: int, tasks: int) -> dict[str, Any]:
    """Content of info.json."""
    return {
        "codebase_version": VERSION,
        "robot_type": spec.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": rate_hz(spec),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if spec.cameras else None,
        "features": features_of(spec),
    }


def arrow_schema(spec: PolicySpec) -> pa.Schema:
    """Columns of the data files; videos have none."""
    fields: list[tuple[str, pa.DataType]] = []
    for key, feature in features_of(spec).items():
        if feature["dtype"] == "video":
            continue
        scalar = pa.bool_() if feature["dtype"] == "bool" else getattr(pa, feature["dtype"])()
        size = feature["shape"][0]
        fields.append((key, scalar if size == 1 else pa.list_(scalar, size)))
    return pa.schema(fields)


def read_info(root: Path) -> dict[str, Any]:
    """Reads info.json.

    Raises:
        DataError: If it is missing, damaged, of another version or lacks what is needed.
    """
    path = root / INFO
    info = read_json(path)
    if not isinstance(info, dict):
        raise DataError("not a dataset description", where=path)
    version = info.get("codebase_version")
    if version != VERSION:
        raise DataError("another version of the format", where=path, expected=VERSION, got=version)
    for key, kind in (("fps", (int, float)), ("features", dict), ("total_episodes", int)):
        if not isinstance(info.get(key), kind):
            raise DataError(f"{key} is missing or of a wrong type", where=path, got=info.get(key))
    if info["fps"] <= 0 or info["total_episodes"] < 0:
        raise DataError("fps and total_episodes must be positive", where=path)
    return info


def read_spec(root: Path, info: Mapping[str, Any]) -> PolicySpec:
    """Returns the spec written beside info.json, or what info.json tells of it.

    Raises:
        DataError: If either is damaged, the two disagree, or state or action are missing.
    """
    try:
        told = _spec_of_features(info)
    except (KeyError, TypeError, ValueError, IndexError, SpecError) as error:
        raise DataError("features not understood", where=root / INFO, got=error) from error
    path = root / SPEC
    if not path.exists():
        return told
    try:
        spec = PolicySpec.from_json(read_json(path))
    except (KeyError, TypeError, ValueError, SpecError) as error:
        raise DataError("not a spec", where=path, got=error) from error
    for label in ("state", "action"):
        here, there = getattr(spec, label).shape, getattr(told, label).shape
        if here != there:
            raise DataError(f"{label} differs from info.json", where=path, expected=there, got=here)
    if abs(spec.dt_s - told.dt_s) > 1e-6:
        raise DataError("dt_s differs from info.json", where=path, expected=told.dt_s)
    return spec


def camera_keys(info: Mapping[str, Any]) -> dict[str, str]:
    """Camera name to feature key, for colour cameras."""
    keys: dict[str, str] = {}
    for key, feature in info["features"].items():
        details = feature.get("info") or {}
        depth = details.get("is_depth_map") or details.get("video.is_depth_map")
        if feature["dtype"] in ("video", "image") and not depth:
            keys[key.removeprefix(f"{IMAGES}.").rpartition("/")[2]] = key
    return keys


def image_size(feature: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) of an image feature; older datasets put the channels first."""
    shape = tuple(int(n) for n in feature["shape"])
    names = feature.get("names") or []
    first = names[0] if len(names) == 3 else None
    channels_first = str(first).startswith("channel") if first else shape[0] == 3
    return (shape[1], shape[2]) if channels_first else (shape[0], shape[1])


def _spec_of_features(info: Mapping[str, Any]) -> PolicySpec:
    features = info["features"]
    for key in (STATE, ACTION):
        if key not in features:
            raise DataError(f"no feature {key!r}", where=INFO, valid=features)
    cameras = {
        camera: image_spec(*image_size(features[key])) for camera, key in camera_keys(info).items()
    }
    privileged = features.get(ENVIRONMENT_STATE)
    return PolicySpec(
        robot=info.get("robot_type") or "unknown",
        state=_vector_spec(features[STATE]),
        action=_vector_spec(features[ACTION]),
        # LeRobot's own robots command joint positions, and info.json does not say.
        action_space=ActionSpace.JOINT_POSITION,
        dt_s=1.0 / info["fps"],
        environment_state=None if privileged is None else _vector_spec(privileged),
        cameras=cameras,
    )


def _vector_spec(feature: Mapping[str, Any]) -> ArraySpec:
    shape = tuple(int(n) for n in feature["shape"])
    if len(shape) != 1:
        raise SpecError("only 1-D states and actions are read", got=shape)
    names = feature.get("names") or ()
    if isinstance(names, Mapping):
        # Some datasets group them, {"motors": [...]}; others map each name to its place.
        groups = list(names.values())
        names = groups[0] if len(groups) == 1 and isinstance(groups[0], list) else list(names)
    labels = tuple(str(name) for name in names)
    return ArraySpec(shape=shape, names=labels if len(labels) == shape[0] else ())
