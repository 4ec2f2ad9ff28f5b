"""HDF5 files of robomimic and robosuite that this project did not write."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.core.specs import ActionSpace
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.frames import load_frames

FORMAT = FORMATS["robomimic_hdf5"]
LENGTHS = (5, 3)
ENV_ARGS = {
    "env_name": "Lift",
    "type": 1,
    "env_kwargs": {
        "robots": ["Panda"],
        "control_freq": 10,
        "controller_configs": {
            "type": "OSC_POSE",
            "input_max": 1,
            "input_min": -1,
            "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
            "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
            "control_delta": True,
        },
    },
}


def demo(data: h5py.Group, number: int, length: int, *, channels_first: bool = False) -> None:
    rng = np.random.default_rng(number)
    group = data.create_group(f"demo_{number}")
    group.attrs["num_samples"] = length
    group.attrs["model_file"] = f"<mujoco number='{number}'/>"
    group["actions"] = rng.uniform(-1, 1, (length, 7))
    group["actions_abs"] = rng.normal(size=(length, 7))
    group["rewards"] = (np.arange(length) == length - 1).astype(float)
    group["dones"] = (np.arange(length) == length - 1).astype(np.int64)
    group["states"] = rng.normal(size=(length, 32))
    image = rng.integers(0, 256, (length, 12, 16, 3), dtype=np.uint8)
    observations: dict[str, Any] = {
        "robot0_eef_pos": rng.normal(size=(length, 3)),
        "robot0_eef_quat": rng.normal(size=(length, 4)),
        "robot0_gripper_qpos": rng.normal(size=(length, 2)),
        "robot0_proprio-state": rng.normal(size=(length, 9)),
        "object": rng.normal(size=(length, 10)),
        "agentview_image": image.transpose(0, 3, 1, 2) if channels_first else image,
        "agentview_depth": rng.random((length, 12, 16, 1)).astype(np.float32),
    }
    for name, values in observations.items():
        group[f"obs/{name}"] = values
        group[f"next_obs/{name}"] = np.roll(values, -1, axis=0)


@pytest.fixture(params=[False, True], ids=["HWC", "CHW"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "low_dim.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(LENGTHS)
        data.attrs["env_args"] = json.dumps(ENV_ARGS)
        # Ten would come before two by name.
        for number, length in zip((2, 10), LENGTHS, strict=True):
            demo(data, number, length, channels_first=request.param)
        file["mask/train"] = np.array(["demo_2"], dtype="S8")
        file["mask/valid"] = np.array(["demo_10"], dtype="S8")
    return path


def test_a_file_of_robomimic(path: Path) -> None:
    assert detect_format(path) is FORMAT
    reader = FORMAT.open(path)
    description = reader.description
    assert (description.robot, description.rate_hz) == ("Panda", 10.0)
    assert description.metadata["env_args"] == ENV_ARGS
    assert list(description.features) == [
        "observation.state",
        "action",
        "actions_abs",
        "next.done",
        "observation.agentview_depth",
        "observation.images.agentview",
        "observation.environment_state",
        "observation.robot0_proprio-state",
        "next.reward",
        "states",
    ]
    assert description.features["observation.state"].names == (
        *(f"robot0_eef_pos.{i}" for i in range(3)),
        *(f"robot0_eef_quat.{i}" for i in range(4)),
        *(f"robot0_gripper_qpos.{i}" for i in range(2)),
    )
    assert description.spec is not None
    assert description.spec.action_space == ActionSpace.EE_DELTA_POSE
    assert set(description.spec.action.units) == {"controller"}
    assert reader.left_out == ["next_obs: the observation after the last action"]
    assert len(reader) == 2
    with h5py.File(path) as file:
        for position, name in enumerate(("demo_2", "demo_10")):
            theirs: Any = file[f"data/{name}"]
            ours = reader.recording(position)
            assert ours.metadata["masks"] == [["train"], ["valid"]][position]
            assert ours.metadata["model_file"] == theirs.attrs["model_file"]
            assert ours.metadata["demo"] == name
            assert ours.success is Success.YES
            for key, source in {
                "action": "actions",
                "actions_abs": "actions_abs",
                "states": "states",
                "observation.environment_state": "obs/object",
                "observation.agentview_depth": "obs/agentview_depth",
            }.items():
                assert ours.columns[key].dtype == theirs[source].dtype
                np.testing.assert_array_equal(ours.columns[key], theirs[source][()])
            np.testing.assert_array_equal(
                ours.columns["observation.state"][:, 3:7], theirs["obs/robot0_eef_quat"][()]
            )
            image = load_frames(ours.frames["observation.images.agentview"], where="test")
            expected = theirs["obs/agentview_image"][()]
            if expected.shape[1] == 3:
                expected = expected.transpose(0, 2, 3, 1)
            np.testing.assert_array_equal(image, expected)


def test_actions_in_si_units(path: Path) -> None:
    raw = FORMAT.open(path).recording(0).columns["action"]
    reader = FORMAT.open(path, SourceOptions(si_actions=True, task="lift it"))
    recording = reader.recording(0)
    assert recording.task == "lift it"
    si = recording.columns["action"]
    np.testing.assert_allclose(si[:, :3], raw[:, :3] * 0.05, rtol=1e-6)
    np.testing.assert_allclose(si[:, 3:6], raw[:, 3:6] * 0.5, rtol=1e-6)
    np.testing.assert_allclose(si[:, 6], (raw[:, 6] + 1) / 2, rtol=1e-6)
    spec = reader.description.spec
    assert spec is not None
    assert spec.action.units == ("m", "m", "m", "rad", "rad", "rad", "1")
    assert spec.action.high == (0.05, 0.05, 0.05, 0.5, 0.5, 0.5, 1.0)


@pytest.mark.parametrize("composite", [False, True])
def test_absolute_actions_are_in_si_units_already(path: Path, composite: bool) -> None:
    config: dict[str, Any] = dict(ENV_ARGS["env_kwargs"]["controller_configs"])  # pyright: ignore
    if composite:
        del config["control_delta"]
        config = {"type": "BASIC", "body_parts": {"right": config | {"input_type": "absolute"}}}
    else:
        config["control_delta"] = False
    with h5py.File(path, "r+") as file:
        kwargs = {**ENV_ARGS["env_kwargs"], "controller_configs": config}  # pyright: ignore
        file["data"].attrs["env_args"] = json.dumps({**ENV_ARGS, "env_kwargs": kwargs})
    raw = FORMAT.open(path).recording(0).columns["action"]
    reader = FORMAT.open(path, SourceOptions(si_actions=True))
    assert reader.description.spec is not None
    assert reader.description.spec.action_space == ActionSpace.EE_POSE
    si = reader.recording(0).columns["action"]
    np.testing.assert_allclose(si[:, :6], raw[:, :6].astype(np.float32))
    np.testing.assert_allclose(si[:, 6], (raw[:, 6] + 1) / 2, rtol=1e-6)


def test_actions_of_an_unknown_controller_are_left_alone_or_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["data"].attrs["env_args"] = json.dumps({"env_name": "Gym", "type": 2})
    assert FORMAT.open(path).description.spec is None
    with pytest.raises(DataError, match="does not say how its controller takes actions"):
        FORMAT.open(path, SourceOptions(si_actions=True)).recording(0)


WRONG = {
    "another shape": ("obs/object", np.zeros((3, 4)), r"observation\.environment_state differs"),
    "missing": ("rewards", None, "no dataset 'rewards'"),
    "too short": (
        "states",
        np.zeros((2, 32)),
        r"states: wrong number of frames; expected 3; got 2",
    ),
}


@pytest.mark.parametrize(("name", "values", "message"), WRONG.values(), ids=WRONG)
def test_demonstrations_that_differ_from_the_first_are_named(
    path: Path, name: str, values: Any, message: str
) -> None:
    with h5py.File(path, "r+") as file:
        second: Any = file["data/demo_10"]
        del second[name]
        if values is not None:
            second[name] = values
    reader = FORMAT.open(path)
    assert len(reader.recording(0)) == LENGTHS[0]
    with pytest.raises(DataError, match=rf"demo_10.*{message}"):
        reader.recording(1)


def test_a_raw_recording_of_robosuite_has_states_and_actions(tmp_path: Path) -> None:
    path = tmp_path / "demo.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env"] = "Lift"
        data.attrs["env_info"] = json.dumps({"env_name": "Lift", "robots": ["Panda"]})
        first = data.create_group("demo_1")
        first.attrs["model_file"] = "<mujoco/>"
        first["states"] = np.zeros((4, 32))
        first["actions"] = np.zeros((4, 7))
    reader = FORMAT.open(path)
    assert list(reader.description.features) == ["action", "states"]
    assert reader.description.metadata["env_info"]["env_name"] == "Lift"
    assert len(reader.recording(0)) == 4
    with pytest.raises(DataError, match=r"no feature 'observation\.state'"):
        FORMAT.read_spec(path)


def test_what_is_no_file_of_robomimic(tmp_path: Path) -> None:
    path = tmp_path / "other.hdf5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(DataError, match="no group 'data'; valid: numbers"):
        FORMAT.open(path)
    with h5py.File(path, "w") as file:
        file.create_group("data")
    with pytest.raises(DataError, match="no demonstration"):
        FORMAT.open(path)
