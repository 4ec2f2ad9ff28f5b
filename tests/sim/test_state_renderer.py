"""Recordings of robosuite, which hold nothing but states, as the twin saw them."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robot_policy.cli.main import main
from robot_policy.core.errors import SimulationError, UnknownNameError
from robot_policy.core.observation import Observation
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.frames import load_frames
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment
from sim.state_renderer import TwinRenderer

STEPS = 6


def state_of(arm: RobosuiteArm) -> np.ndarray:
    return arm._scene.sim.get_state().flatten()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Observation]]:
    """A recording with the layout of robosuite's own, and what was seen meanwhile."""
    path = tmp_path_factory.mktemp("robosuite") / "demo.hdf5"
    arm = make_environment("lift", cameras=("wrist",), image_size=(24, 32))
    seen = [arm.reset(3)]
    states, commands = [state_of(arm)], []
    rng = np.random.default_rng(0)
    low, high = np.array(arm.spec.action.low), np.array(arm.spec.action.high)
    for _ in range(STEPS):
        command = rng.uniform(-1, 1, 7)
        command[-1] = np.sign(command[-1])
        seen.append(
            arm.step((low + (command + 1) / 2 * (high - low)).astype(np.float32)).observation
        )
        commands.append(command)
        states.append(state_of(arm))
    config = arm._scene.robots[0].composite_controller_config
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env"] = "Lift"
        data.attrs["env_info"] = json.dumps(
            {"env_name": "Lift", "robots": ["Panda"], "controller_configs": _plain(config)}
        )
        demo = data.create_group("demo_1")
        demo.attrs["model_file"] = arm._scene.model.get_xml()
        demo["states"] = np.array(states[:-1])
        demo["actions"] = np.array(commands)
    arm.close()
    return path, seen[:-1]


def _plain(config: Any) -> Any:
    return json.loads(json.dumps(config, default=lambda x: np.asarray(x).tolist()))


def test_the_twin_sees_what_it_saw(recorded: tuple[Path, list[Observation]]) -> None:
    path, seen = recorded
    renderer = TwinRenderer("lift", cameras=("wrist",), image_size=(24, 32))
    reader = detect_format(path).open(path, SourceOptions(renderer=renderer, task="lift it"))
    assert reader.description.spec == renderer.spec
    recording = reader.recording(0)
    assert recording.task == "lift it"
    for name in ("state", "environment_state"):
        expected = np.stack([getattr(o, name) for o in seen])
        np.testing.assert_allclose(recording.columns[f"observation.{name}"], expected, atol=1e-6)
    stamps = [o.stamp_ns for o in seen]
    assert recording.columns["observation.stamp_ns"][:, 0].tolist() == stamps
    images = load_frames(recording.frames["observation.images.wrist"], where="test")
    for image, observation in zip(images, seen, strict=True):
        assert np.abs(image.astype(int) - observation.images["wrist"]).mean() < 1
    with h5py.File(path) as file:
        commands: Any = file["data/demo_1/actions"]
        scale = np.array([0.05] * 3 + [0.5] * 3)
        expected = np.column_stack([commands[:, :6] * scale, commands[:, 6] > 0])
    np.testing.assert_allclose(recording.columns["action"], expected, atol=1e-6)
    with pytest.raises(UnknownNameError, match="unknown camera 'chest'"):
        next(renderer.observations(np.zeros((1, 32)), model=None, cameras=("chest",)))
    with pytest.raises(SimulationError, match="the state of another scene"):
        next(renderer.observations(np.zeros((1, 5)), model=None, cameras=()))
    with pytest.raises(SimulationError, match="the recorded scene cannot be loaded"):
        next(renderer.observations(np.zeros((1, 32)), model="<mujoco/>", cameras=()))
    renderer.close()


def test_convert_renders(
    recorded: tuple[Path, list[Observation]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, seen = recorded
    command = ["data", "convert", str(path), str(tmp_path / "set"), "--to", "lerobot_v3"]
    options = ["--render", "lift", "--cameras", "wrist", "--image-size", "24", "32"]
    assert main([*command, *options, "--task", "lift it"]) == 0
    assert f"1 episodes, {STEPS} frames" in capsys.readouterr().out
    (episode,) = detect_format(tmp_path / "set").read(tmp_path / "set")
    np.testing.assert_allclose(episode.state, np.stack([o.state for o in seen]), atol=1e-6)
    assert episode.images["wrist"].shape == (STEPS, 24, 32, 3)
