"""Pictures, camera geometry, and what is said where nothing can be drawn."""

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, SimulationError, UnknownNameError
from robot_policy.core.geometry import inverse
from sim import rendering
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment

SIZE = {"height": 120, "width": 160}


@pytest.fixture(scope="module")
def arm() -> Iterator[RobosuiteArm]:
    environment = make_environment("lift", cameras=("agentview", "wrist"), image_size=(48, 64))
    yield environment
    environment.close()


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process that has drawn nothing yet."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_observations_carry_the_images_asked_for(arm: RobosuiteArm) -> None:
    observation = arm.reset(0)
    assert set(observation.images) == {"agentview", "wrist"}
    for name, image in observation.images.items():
        arm.spec.cameras[name].validate(image, where=name)
        assert image.shape == (48, 64, 3)
        assert image.std() > 5
    np.testing.assert_array_equal(
        observation.images["wrist"], arm.render("wrist", height=48, width=64)
    )


def test_the_same_state_gives_the_same_picture(arm: RobosuiteArm) -> None:
    first = arm.reset(2).images["agentview"]
    assert not np.array_equal(arm.reset(3).images["agentview"], first)
    np.testing.assert_array_equal(arm.reset(2).images["agentview"], first)


@pytest.mark.parametrize("camera", ["agentview", "wrist", "frontview"])
def test_camera_geometry_finds_the_red_cube_in_the_picture(arm: RobosuiteArm, camera: str) -> None:
    observation = arm.reset(1)
    image = arm.render(camera, **SIZE).astype(int)
    info = arm.camera_info(camera, **SIZE)
    assert observation.environment_state is not None
    in_base = np.array([*observation.environment_state[:3], 1.0])
    in_camera = inverse(info.base_T_camera) @ in_base
    assert in_camera[2] > 0
    u, v, _ = info.intrinsics @ in_camera[:3] / in_camera[2]
    red = (image[..., 0] > 1.8 * image[..., 1]) & (image[..., 0] > 60)
    rows, columns = np.nonzero(red)
    assert abs(columns.mean() - u) < 2.0
    assert abs(rows.mean() - v) < 2.5


def test_pictures_larger_than_the_first_ones_are_drawn(arm: RobosuiteArm) -> None:
    arm.reset(0)
    assert arm.render("agentview", height=720, width=1280).shape == (720, 1280, 3)
    assert arm.render("agentview", height=720, width=1280).std() > 5


def test_wrong_cameras_and_sizes_are_refused(arm: RobosuiteArm) -> None:
    with pytest.raises(UnknownNameError, match=r"agentview, .*wrist"):
        arm.render("agent", height=8, width=8)
    with pytest.raises(UnknownNameError, match="wrist"):
        arm.camera_info("agent", height=8, width=8)
    with pytest.raises(ConfigError, match="0 x 8"):
        arm.render("wrist", height=0, width=8)


def test_an_environment_without_cameras_draws_on_request() -> None:
    """And shadows and multisampling change the picture."""
    pictures = []
    for options in ({}, {"shadows": True}, {"multisampling": True}):
        environment = make_environment("stack", **options)
        assert environment.reset(0).images == {}
        pictures.append(environment.render("agentview", **SIZE))
        environment.close()
    plain, shaded, smooth = pictures
    assert not np.array_equal(plain, shaded)
    assert not np.array_equal(plain, smooth)


DRAW = """
from robot_policy.core.errors import RobotPolicyError
from sim.registry import make_environment
environment = make_environment("lift")
environment.reset(0)
print("physics works")
try:
    environment.render("agentview", height=8, width=8)
except RobotPolicyError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"MUJOCO_GL": "bogus"}, "UnknownNameError MUJOCO_GL: unknown off-screen renderer 'bogus'"),
        (
            {"MUJOCO_GL": "egl", "MUJOCO_EGL_DEVICE_ID": "99"},
            "SimulationError MUJOCO_GL: no camera",
        ),
    ],
)
def test_without_a_renderer_there_is_one_clear_line_and_physics_works(
    environment: dict[str, str], error: str
) -> None:
    result = run(DRAW, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    first, second = result.stdout.strip().splitlines()
    assert first == "physics works"
    assert second.startswith(error)
    assert "egl" in second


def test_an_environment_left_open_ends_in_silence() -> None:
    result = run(DRAW)
    assert (result.stdout, result.stderr) == ("physics works\n", "")


def test_osmesa_takes_over_where_egl_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(rendering, "_works", lambda backend: backend == "osmesa")
    assert rendering.choose_backend() == "osmesa"
    assert os.environ["MUJOCO_GL"] == "osmesa"  # child processes need not try again


def test_the_missing_libraries_are_named_where_nothing_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(rendering, "_works", lambda backend: False)
    with pytest.raises(SimulationError, match="libosmesa6"):
        rendering.choose_backend()


def test_a_backend_that_cannot_start_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_EGL_DEVICE_ID", "99")
    assert not rendering._works("egl")
