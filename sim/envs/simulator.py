"""Loading robosuite without its greetings, and without needing OpenGL for physics alone."""

import logging
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from robot_policy.core.errors import ConfigError, SimulationError
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from sim.envs.task import Task

_SEED_OF_THE_MODEL = 0
"""Some scenes draw object sizes when they are built; every process must build the same one."""


def load_scene(task: Task, robot: RobotDescription) -> Any:
    """Builds the robosuite environment of `task` around a Panda driven as `robot` says.

    Commands are scaled by the limits of the description, at its rate. Resets are soft: the
    model is built once, a reset restores the state of the simulator and of the controllers.

    Raises:
        ConfigError: If the twin cannot be commanded as the description says.
        SimulationError: If robosuite or MuJoCo is not installed or cannot be loaded.
    """
    if robot.command.action_space != ActionSpace.EE_DELTA_POSE:
        raise ConfigError(
            "the twin takes another kind of command",
            where=robot.name,
            expected=ActionSpace.EE_DELTA_POSE.value,
            got=robot.command.action_space.value,
        )
    robosuite = _import_robosuite()
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
    """Operational-space control of the pose, +-1 being the limits of the description."""
    config = robosuite.load_composite_controller_config(controller="BASIC", robot="Panda")
    arm = config["body_parts"]["right"]
    config["body_parts"] = {"right": arm}
    arm["output_max"] = list(robot.command.high[:6])
    arm["output_min"] = list(robot.command.low[:6])
    arm["input_ref_frame"] = "base"
    return config


def _import_robosuite() -> Any:
    logger = logging.getLogger("robosuite_logs")
    if _is_serious not in logger.filters:
        logger.addFilter(_is_serious)
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
