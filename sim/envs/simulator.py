"""Loading robosuite without its greetings, and without needing OpenGL for physics alone."""

import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_policy.core.errors import SimulationError
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from sim.envs.task import Task

_SEED_OF_THE_MODEL = 0
"""Some scenes draw object sizes when they are built; every process must build the same one."""

_JOINT_STIFFNESS = 150.0
"""[1/s^2] of the joint controller, as of the one of the pose: critically damped, it covers about a
quarter of a displacement in one control period."""


def load_scene(task: Task, robot: RobotDescription) -> Any:
    """Builds the robosuite environment of `task` around a Panda driven as `robot` says.

    Commands are scaled by the limits of the description, at its rate. Resets are soft: the
    model is built once, a reset restores the state of the simulator and of the controllers.

    Raises:
        SimulationError: If robosuite or MuJoCo is not installed or cannot be loaded.
    """
    robosuite = _import_robosuite()
    if task.scene_module:
        importlib.import_module(task.scene_module)
    return robosuite.make(
        task.environment,
        robots="Panda",
        controller_configs=_controller(robosuite, robot),
        has_renderer=False,
        has_offscreen_renderer=False,
        renderer="mujoco",
        use_camera_obs=False,
        use_object_obs=False,
        control_freq=robot.rate_hz,
        ignore_done=True,
        hard_reset=False,
        seed=_SEED_OF_THE_MODEL,
        **task.options,
    )


def _controller(robosuite: Any, robot: RobotDescription) -> dict[str, Any]:
    """What drives the arm: control of the pose in operational space, or of the joints.

    Of displacements of the pose, +-1 are the limits of the description; poses and joint angles are
    commanded as they are.
    """
    config = robosuite.load_composite_controller_config(controller="BASIC", robot="Panda")
    arm = config["body_parts"]["right"]
    match robot.command.action_space:
        case ActionSpace.EE_DELTA_POSE:
            arm["output_max"] = list(robot.command.high[:6])
            arm["output_min"] = list(robot.command.low[:6])
            arm["input_ref_frame"] = "base"
        case ActionSpace.EE_POSE:
            arm |= {"input_type": "absolute", "input_ref_frame": "base"}
        case ActionSpace.JOINT_POSITION | ActionSpace.JOINT_DELTA:
            joints = robosuite.load_part_controller_config(default_controller="JOINT_POSITION")
            arm = {**joints, "kp": _JOINT_STIFFNESS, "input_type": "absolute"} | {
                "gripper": arm["gripper"]
            }
    config["body_parts"] = {"right": arm}
    return config


def _import_robosuite() -> Any:
    logger = logging.getLogger("robosuite_logs")
    if _is_serious not in logger.filters:
        logger.addFilter(_is_serious)
    _name_glfw_library()
    with _without_opengl(), warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # in robosuite's own docstrings
        try:
            import robosuite
        except ImportError as error:
            raise SimulationError(
                "the simulator cannot be loaded",
                got=error,
                hint="the extra 'sim' brings it: uv pip install -e '.[sim]'",
            ) from error
    return robosuite


def _name_glfw_library() -> None:
    """Tells glfw, which robosuite imports, where its library is.

    Left alone it asks a process of its own, which writes a traceback to the terminal if this one is
    ended meanwhile.
    """
    spec = importlib.util.find_spec("glfw")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        library = Path(folder) / "x11" / "libglfw.so"
        if library.is_file():
            os.environ.setdefault("PYGLFW_LIBRARY", str(library))


def _is_serious(record: logging.LogRecord) -> bool:
    """Drops robosuite's hints about optional packages and unused controller parts."""
    return record.levelno >= logging.ERROR


@contextmanager
def _without_opengl() -> Generator[None]:
    """Keeps MuJoCo from loading OpenGL when it is imported.

    It would fail to import where MUJOCO_GL names a backend that is missing, even if nothing is
    ever rendered. `sim.rendering` loads the backend when the first picture is asked for.
    """
    before = os.environ.get("MUJOCO_GL")
    os.environ["MUJOCO_GL"] = "disable"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("MUJOCO_GL", None)
        else:
            os.environ["MUJOCO_GL"] = before
