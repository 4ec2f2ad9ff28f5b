"""The simulated arm behind the same interface as any environment."""

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.environment import Step
from robot_policy.core.errors import ConfigError, SimulationError, UnknownNameError
from robot_policy.core.geometry import inverse, rot6d_from_matrix, transform
from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from sim.envs.simulator import load_scene
from sim.envs.task import END_EFFECTOR, Task
from sim.rendering import CameraInfo, Renderer, camera_intrinsics, optical_frame

HOLD_STEPS = 5
"""Control periods for which the goal must hold before an episode counts as solved."""

_SIMULATOR_CAMERAS = {"wrist": "robot0_eye_in_hand"}
"""Cameras that the simulator calls otherwise than the robot description."""

_CLOSE_ABOVE = 0.5
"""The simulated gripper only opens and closes; this is where a command turns over."""


class RobosuiteArm:
    """A Panda in robosuite, in the units and frames of its description.

    An action is a displacement of the end effector's set point from where the end effector is,
    [m] and [rad] in the base frame, bounded by the command limits of the description; the arm is
    compliant and covers about a third of it in one control period. The gripper opens below
    one half and closes above. The end effector is the grip site between the finger pads, with
    the axes of the hand (z forward, fingers along y).

    The reward is sparse: 1 in the step in which the episode is solved, else 0.

    Args:
        task: What to do.
        robot: Description of the arm.
        cameras: Names of the cameras whose images observations carry.
        image_size: (height, width) of those images [px]; as the description says if None.
        shadows: Draw shadows and reflections.
        multisampling: Smooth edges in images.

    Raises:
        UnknownNameError: If the robot has no such camera.
        ConfigError: If the robot cannot be simulated.
        SimulationError: If cameras are asked for and nothing can render them.
    """

    def __init__(
        self,
        task: Task,
        robot: RobotDescription,
        *,
        cameras: tuple[str, ...] = (),
        image_size: tuple[int, int] | None = None,
        shadows: bool = False,
        multisampling: bool = False,
    ) -> None:
        self.task = task
        self.robot = robot if image_size is None else _with_image_size(robot, image_size)
        self._spec = self.robot.spec(environment_state=task.environment_state_spec, cameras=cameras)
        self._shadows = shadows
        self._multisampling = multisampling
        self._renderer: Renderer | None = None
        self._scene: Any = load_scene(task, robot)
        for name in self._scene.observation_names:  # observations are built here, see `observe`
            self._scene.modify_observable(name, "enabled", False)
        self._mujoco: Any = importlib.import_module("mujoco")
        self._model: Any = self._scene.sim.model._model
        self._find_parts()
        self._over = True
        self._steps = 0
        self._held = 0
        if cameras:
            self._open_renderer()

    @property
    def spec(self) -> PolicySpec:
        """Its observations and commands."""
        return self._spec

    @property
    def max_steps(self) -> int:
        """Steps after which an episode is truncated."""
        return self.task.max_steps

    def reset(self, seed: int) -> Observation:
        """Starts the episode that belongs to `seed`, a non-negative integer.

        Raises:
            ConfigError: If `seed` is negative.
        """
        if seed < 0:
            raise ConfigError("a seed must not be negative", where="seed", got=seed)
        # The placement samplers share this generator, so that its state must change in place.
        fresh = np.random.default_rng(seed)
        self._scene.rng.bit_generator.state = fresh.bit_generator.state
        self._scene.reset()
        self._over, self._steps, self._held = False, 0, 0
        return self.observe()

    def step(self, action: NDArray[np.float32]) -> Step:
        """Executes one action, (A,) in the units of `spec.action`, for `spec.dt_s` seconds.

        Raises:
            SpecError: If the action has another shape or is not finite.
            SimulationError: If the episode is over.
        """
        if self._over:
            raise SimulationError("the episode is over", where=self.task.name, hint="reset first")
        action = self._spec.action.validate(action, where="action")
        low, high = np.array(self.robot.command.low), np.array(self.robot.command.high)
        command = 2.0 * (action - low) / (high - low) - 1.0
        command[-1] = 1.0 if action[-1] > _CLOSE_ABOVE else -1.0
        goal_reached = self._scene.step(np.clip(command, -1.0, 1.0))[1] > 0.0
        self._steps += 1
        self._held = self._held + 1 if goal_reached else 0
        success = self._held >= HOLD_STEPS
        truncated = not success and self._steps >= self.max_steps
        self._over = success or truncated
        return Step(
            observation=self.observe(),
            reward=float(success),
            success=success,
            terminated=success,
            truncated=truncated,
        )

    def observe(self) -> Observation:
        """Returns what the robot and its cameras report now."""
        self._update_kinematics()
        base_T_ee = self.ee_pose
        sizes = {name: spec.shape for name, spec in self._spec.cameras.items()}
        return Observation(
            stamp_ns=round(self._data.time * 1e9),
            state=self.robot.proprioception(
                joint_positions=self.joint_positions,
                gripper_m=self.gripper_m,
                ee_position=base_T_ee[:3, 3],
                base_R_ee=base_T_ee[:3, :3],
            ),
            environment_state=self._environment_state(base_T_ee[:3, 3]),
            images={n: self.render(n, height=s[0], width=s[1]) for n, s in sizes.items()},
            instruction=self.task.instruction,
        )

    @property
    def joint_positions(self) -> NDArray[np.float64]:
        """(J,) [rad] in the order of the description."""
        return self._data.qpos[self._joint_qpos].copy()

    @property
    def joint_velocities(self) -> NDArray[np.float64]:
        """(J,) [rad/s]."""
        return self._data.qvel[self._joint_qvel].copy()

    @property
    def gripper_m(self) -> float:
        """Position of the first finger [m], 0 closed."""
        return float(self._data.qpos[self._finger_qpos])

    @property
    def ee_pose(self) -> NDArray[np.float64]:
        """(4, 4) ``base_T_ee`` [m]."""
        hand = self._data.xmat[self._hand].reshape(3, 3)
        return self._base_T_world @ transform(hand, self._data.site_xpos[self._grip_site])

    def render(self, camera: str, *, height: int, width: int) -> NDArray[np.uint8]:
        """Returns what `camera` sees now, (height, width, 3) uint8 RGB.

        Args:
            camera: Of the robot description, or any other of the simulator (``"frontview"``).
            height: [px].
            width: [px].

        Raises:
            UnknownNameError: If there is no such camera.
            ConfigError: If the size is not positive.
            SimulationError: If nothing can render it.
        """
        index = self._camera_index(camera)
        if height < 1 or width < 1:
            raise ConfigError("an image needs pixels", where=camera, got=f"{height} x {width}")
        if self._renderer is None:
            self._open_renderer()
        assert self._renderer is not None
        self._update_kinematics()
        return self._renderer.render(self._data, index, height=height, width=width)

    def camera_info(self, camera: str, *, height: int, width: int) -> CameraInfo:
        """Returns the geometry of `camera` now; the wrist camera moves.

        Raises:
            UnknownNameError: If there is no such camera.
        """
        index = self._camera_index(camera)
        self._update_kinematics()
        fovy_rad = float(np.deg2rad(self._model.cam_fovy[index]))
        R = self._data.cam_xmat[index].reshape(3, 3)
        return CameraInfo(
            height=height,
            width=width,
            intrinsics=camera_intrinsics(fovy_rad, height=height, width=width),
            base_T_camera=self._base_T_world @ optical_frame(self._data.cam_xpos[index], R),
        )

    def close(self) -> None:
        """Releases the renderer and the simulator."""
        self._over = True
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        self._scene.close()

    @property
    def _data(self) -> Any:
        if self._scene.sim is None:
            raise SimulationError("the environment is closed", where=self.task.name)
        return self._scene.sim.data._data

    def _find_parts(self) -> None:
        """Looks up where the model keeps joints, hand, base, objects and cameras."""
        joints = [self._model.joint(f"robot0_joint{i + 1}") for i in range(7)]
        self._joint_qpos = [int(joint.qposadr[0]) for joint in joints]
        self._joint_qvel = [int(joint.dofadr[0]) for joint in joints]
        self._finger_qpos = int(self._model.joint("gripper0_right_finger_joint1").qposadr[0])
        self._grip_site = self._model.site("gripper0_right_grip_site").id
        self._hand = self._model.body("robot0_right_hand").id
        self._bodies = {name: self._model.body(b).id for name, b in self.task.objects.items()}
        self._cameras = {self._model.camera(i).name: i for i in range(self._model.ncam)}
        base = self._model.body("robot0_base").id
        R = self._data.xmat[base].reshape(3, 3)
        self._base_T_world = inverse(transform(R, self._data.xpos[base]))

    def _update_kinematics(self) -> None:
        """Brings body and camera poses up to date with the joints.

        A simulator step ends with new joint positions and the body poses from before.
        """
        self._mujoco.mj_kinematics(self._model, self._data)
        self._mujoco.mj_comPos(self._model, self._data)  # mj_camlight needs it
        self._mujoco.mj_camlight(self._model, self._data)

    def _environment_state(self, ee_position: NDArray[np.float64]) -> NDArray[np.float32]:
        positions = {END_EFFECTOR: ee_position}
        entries: list[NDArray[np.float64]] = []
        for name, body in self._bodies.items():
            world_T_object = transform(self._data.xmat[body].reshape(3, 3), self._data.xpos[body])
            base_T_object = self._base_T_world @ world_T_object
            positions[name] = base_T_object[:3, 3]
            entries += [base_T_object[:3, 3], rot6d_from_matrix(base_T_object[:3, :3])]
        entries += [positions[b] - positions[a] for a, b in self.task.offsets]
        return np.concatenate(entries).astype(np.float32)

    def _camera_index(self, camera: str) -> int:
        name = _SIMULATOR_CAMERAS.get(camera, camera)
        if name not in self._cameras:
            valid = {*self.robot.cameras, *self._cameras}
            raise UnknownNameError.of("camera", camera, valid, where=self.task.name)
        return self._cameras[name]

    def _open_renderer(self) -> None:
        self._renderer = Renderer(
            self._model, shadows=self._shadows, multisampling=self._multisampling
        )


def _with_image_size(robot: RobotDescription, image_size: tuple[int, int]) -> RobotDescription:
    height, width = image_size
    if height < 1 or width < 1:
        raise ConfigError("an image needs pixels", where="image_size", got=image_size)
    cameras = {n: replace(c, height=height, width=width) for n, c in robot.cameras.items()}
    return replace(robot, cameras=cameras)
