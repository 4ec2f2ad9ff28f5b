"""The simulated arm behind the same interface as any environment."""

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.environment import Step
from robot_policy.core.errors import ConfigError, SimulationError
from robot_policy.core.geometry import (
    inverse,
    matrix_from_rotvec,
    quat_from_matrix,
    rot6d_from_matrix,
    rotvec_from_matrix,
    transform,
)
from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace, PolicySpec
from sim.envs.cameras import Cameras
from sim.envs.rules import Instructs, Moment, Progress
from sim.envs.simulator import load_scene
from sim.envs.task import END_EFFECTOR, Task
from sim.rendering import CameraInfo

if TYPE_CHECKING:
    from sim.envs.scene_board import SceneBoard

HOLD_STEPS = 5
"""Control periods for which the goal must hold before an episode counts as solved."""

_JOINTS = 7

_ENDLESS = 10**6
"""Steps of an episode that a person ends, or in which there is nothing to solve."""

_ASIDE_M = np.array([0.34, -0.34, 0.03])
_BESIDE_M = np.array([0.0, 0.12, 0.0])
"""Where objects go that would lie on a board: a corner of the table, away from the arm, from the
middle of its top; and the distance from one to the next."""

_CLOSE_ABOVE = 0.5
"""The simulated gripper only opens and closes; this is where a command turns over."""


class RobosuiteArm:
    """A Panda in robosuite, in the units and frames of its description.

    An action is a set point in the action space of the description, bounded by its command
    limits: of the end effector or of the joints, itself or as a displacement from where they are.
    The arm is compliant and covers about a third of a displacement in one control period. The
    gripper opens below one half and closes above. The end effector is the grip site between the
    finger pads, with the axes of the hand (z forward, fingers along y).

    The reward is sparse: 1 in the step in which the episode is solved, else 0.

    Args:
        task: What to do.
        robot: Description of the arm.
        cameras: Names of the cameras whose images observations carry.
        image_size: (height, width) of those images [px]; as the description says if None.
        shadows: Draw shadows and reflections.
        multisampling: Smooth edges in images.
        board: A calibration board in the scene. The objects of the task then lie aside, nothing is
            solved, and an episode has no end.
        endless: Neither the time limit nor the goal ends an episode: a person does.

    Raises:
        UnknownNameError: If the robot has no such camera.
        ConfigError: If the robot cannot be simulated, or the task has no table for a board.
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
        board: "SceneBoard | None" = None,
        endless: bool = False,
    ) -> None:
        _check_simulated(robot)
        self.task = task
        self.robot = robot if image_size is None else _with_image_size(robot, image_size)
        self._spec = self.robot.spec(environment_state=task.environment_state_spec, cameras=cameras)
        self._scene: Any = load_scene(task, robot)
        for name in self._scene.observation_names:  # observations are built here, see `observe`
            self._scene.modify_observable(name, "enabled", False)
        self._mujoco: Any = importlib.import_module("mujoco")
        self._drawing = {"shadows": shadows, "multisampling": multisampling}
        self._board = board
        self._endless = endless or board is not None
        if board is not None:
            self._check_table()
            self._scene.reset_from_xml_string(board.added_to(self._scene.model.get_xml()))
        self._adopt_model()
        self._rules = None if task.rules is None else task.rules()
        self._over = True
        self._steps = 0
        self._held = 0
        if cameras:
            self._cameras.open()

    @property
    def spec(self) -> PolicySpec:
        """Its observations and commands."""
        return self._spec

    @property
    def max_steps(self) -> int:
        """Steps after which an episode is truncated."""
        return _ENDLESS if self._endless else self.task.max_steps

    @property
    def instruction(self) -> str:
        """What to do in the present episode, in words."""
        if isinstance(self._rules, Instructs):
            return self._rules.instruction
        return self.task.instruction

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
        if self._rules is not None:
            # A stream of its own: the simulator's is shared by its placement samplers.
            for name, place in self._rules.begin(np.random.default_rng([seed, 2])).items():
                self._put(name, place)
        if self._board is not None:
            self._put_objects_aside()
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
        gripper = 1.0 if action[-1] > _CLOSE_ABOVE else -1.0
        reward = self._scene.step(np.append(self._arm_command(action), gripper))[1]
        progress = self._judge(reward)
        self._steps += 1
        self._held = self._held + 1 if progress == Progress.REACHED else 0
        success, lost = self._held >= HOLD_STEPS, progress == Progress.LOST
        truncated = not success and not lost and self._steps >= self.max_steps
        terminated = (success or lost) and not self._endless
        self._over = terminated or truncated
        return Step(
            observation=self.observe(),
            reward=float(success),
            success=success,
            terminated=terminated,
            truncated=truncated,
        )

    def observe(self) -> Observation:
        """Returns what the robot and its cameras report now."""
        sizes = {name: spec.shape for name, spec in self._spec.cameras.items()}
        images = {n: self.render(n, height=s[0], width=s[1]) for n, s in sizes.items()}
        return replace(self.observe_without_images(), images=images)

    def observe_without_images(self) -> Observation:
        """Returns what the robot reports now."""
        self._update_kinematics()
        base_T_ee = self.ee_pose
        return Observation(
            stamp_ns=round(self._data.time * 1e9),
            state=self.robot.proprioception(
                joint_positions=self.joint_positions,
                gripper_m=self.gripper_m,
                ee_position=base_T_ee[:3, 3],
                base_R_ee=base_T_ee[:3, :3],
            ),
            environment_state=self._environment_state(base_T_ee[:3, 3]),
            instruction=self.instruction,
        )

    def load_model(self, xml: str) -> None:
        """Puts a recorded scene of the same task in place of the one that was built.

        Args:
            xml: The scene, as robosuite records it.

        Raises:
            SimulationError: If it cannot be loaded or is of another task or robot.
        """
        self._cameras.close()
        try:
            self._scene.reset_from_xml_string(xml)
            self._adopt_model()
        except (KeyError, ValueError, AttributeError, SyntaxError, OSError) as error:
            raise SimulationError(
                "the recorded scene cannot be loaded", where=self.task.name, got=error
            ) from error
        self._over = True

    def restore(self, state: NDArray[np.floating]) -> None:
        """Puts the simulator into a recorded state; nothing can be stepped from there.

        Args:
            state: (D,) time, positions and velocities, as robosuite flattens them.

        Raises:
            SimulationError: If it is the state of another scene.
        """
        size = 1 + self._model.nq + self._model.nv
        if state.shape != (size,):
            raise SimulationError(
                "the state of another scene", where=self.task.name, expected=size, got=state.shape
            )
        self._data.time = float(state[0])
        self._data.qpos[:] = state[1 : 1 + self._model.nq]
        self._data.qvel[:] = state[1 + self._model.nq :]
        self._over = True

    @property
    def model(self) -> Any:
        """The mujoco.MjModel."""
        return self._model

    @property
    def joint_addresses(self) -> tuple[int, ...]:
        """Where ``qpos`` keeps the joints of the description, and after them the first finger."""
        return (*self._joint_qpos, self._finger_qpos)

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
        self._update_kinematics()
        return self._cameras.image(self._data, camera, height=height, width=width)

    def render_depth(self, camera: str, *, height: int, width: int) -> NDArray[np.float32]:
        """Returns the exact distances that `camera` sees along its optical axis.

        Arguments and errors are those of `render`.

        Returns:
            (height, width) [m], 0 where there is nothing.
        """
        self._update_kinematics()
        return self._cameras.depth(self._data, camera, height=height, width=width)

    def camera_info(self, camera: str, *, height: int, width: int) -> CameraInfo:
        """Returns the geometry of `camera` now; the wrist camera moves.

        Raises:
            UnknownNameError: If there is no such camera.
        """
        self._update_kinematics()
        return self._cameras.info(
            self._data, camera, base_T_world=self._base_T_world, height=height, width=width
        )

    def move_camera(self, camera: str, base_T_camera: NDArray[np.floating]) -> None:
        """Puts a camera somewhere else; the wrist camera then keeps its new place on the hand.

        Args:
            camera: As of `render`.
            base_T_camera: (4, 4) of the optical frame [m], with the arm as it stands now.

        Raises:
            UnknownNameError: If there is no such camera.
        """
        self._update_kinematics()
        world_T_camera = inverse(self._base_T_world) @ base_T_camera
        self._cameras.move(self._data, camera, world_T_camera)

    def close(self) -> None:
        """Releases the renderer and the simulator."""
        self._over = True
        self._cameras.close()
        self._scene.close()

    def _arm_command(self, action: NDArray[np.float32]) -> NDArray[np.floating]:
        """The part of an action that moves the arm, as the simulator's controller takes it."""
        low, high = np.array(self.robot.command.low[:-1]), np.array(self.robot.command.high[:-1])
        arm = action[:-1]
        match self.robot.command.action_space:
            case ActionSpace.EE_DELTA_POSE:
                return np.clip(2.0 * (arm - low) / (high - low) - 1.0, -1.0, 1.0)
            case ActionSpace.EE_POSE:
                position = np.clip(arm[:3], low[:3], high[:3])
                R = matrix_from_rotvec(arm[3:]) @ self._hand_R_site
                return np.concatenate([position, rotvec_from_matrix(R)])
            case ActionSpace.JOINT_POSITION:
                return np.clip(arm, low, high)
            case ActionSpace.JOINT_DELTA:
                limits = self.robot.joint_limits
                target = self.joint_positions + np.clip(arm, low, high)
                return np.clip(target, limits.low, limits.high)

    def _judge(self, reward: float) -> Progress:
        if self._board is not None:
            return Progress.OPEN
        if self._rules is None:
            return Progress.REACHED if reward > 0.0 else Progress.OPEN
        self._update_kinematics()
        positions: dict[str, NDArray[np.floating]] = {END_EFFECTOR: self.ee_pose[:3, 3]}
        for name, body in self._bodies.items():
            positions[name] = (self._base_T_world @ np.append(self._data.xpos[body], 1.0))[:3]
        return self._rules.judge(
            Moment(positions, self.robot.gripper.fraction_from_position(self.gripper_m))
        )

    def _put(self, name: str, place: NDArray[np.floating]) -> None:
        """Puts an object elsewhere on the table: x, y in the base frame [m], heading [rad]."""
        body = self._bodies[name]
        address = int(self._model.jnt_qposadr[self._model.body_jntadr[body]])
        pose = self._data.qpos[address : address + 7]
        height = (self._base_T_world @ np.append(pose[:3], 1.0))[2]
        x, y, yaw = place
        R = matrix_from_rotvec(np.array([0.0, 0.0, yaw]))
        world_T_object = inverse(self._base_T_world) @ transform(R, np.array([x, y, height]))
        pose[:3] = world_T_object[:3, 3]
        pose[3:] = quat_from_matrix(world_T_object[:3, :3])
        self._mujoco.mj_forward(self._model, self._data)

    @property
    def _data(self) -> Any:
        if self._scene.sim is None:
            raise SimulationError("the environment is closed", where=self.task.name)
        return self._scene.sim.data._data

    def _adopt_model(self) -> None:
        """Takes over what the scene has built."""
        self._model: Any = self._scene.sim.model._model
        self._cameras = Cameras(self._model, self.robot, where=self.task.name, **self._drawing)
        self._find_parts()

    def _find_parts(self) -> None:
        """Looks up where the model keeps joints, hand, base, objects and cameras."""
        joints = [self._model.joint(f"robot0_joint{i + 1}") for i in range(_JOINTS)]
        self._joint_qpos = [int(joint.qposadr[0]) for joint in joints]
        self._joint_qvel = [int(joint.dofadr[0]) for joint in joints]
        self._finger_qpos = int(self._model.joint("gripper0_right_finger_joint1").qposadr[0])
        self._grip_site = self._model.site("gripper0_right_grip_site").id
        self._hand = self._model.body("robot0_right_hand").id
        hand, site = (
            part.reshape(3, 3)
            for part in (self._data.xmat[self._hand], self._data.site_xmat[self._grip_site])
        )
        self._hand_R_site = hand.T @ site  # the simulator controls the orientation of the site
        self._bodies = {name: self._model.body(b).id for name, b in self.task.objects.items()}
        base = self._model.body("robot0_base").id
        R = self._data.xmat[base].reshape(3, 3)
        self._base_T_world = inverse(transform(R, self._data.xpos[base]))
        if self._board is not None:
            on_hand = self._board.on_hand
            base = inverse(self._base_T_world)
            self._board.put_into(self._model, self._hand_T_ee() if on_hand else base)

    def _hand_T_ee(self) -> NDArray[np.floating]:  # noqa: N802, a transform
        R = self._data.xmat[self._hand].reshape(3, 3)
        world_T_hand = transform(R, self._data.xpos[self._hand])
        return inverse(world_T_hand) @ transform(R, self._data.site_xpos[self._grip_site])

    def _check_table(self) -> None:
        if not hasattr(self._scene, "table_offset"):
            raise ConfigError(
                "there is no table for a calibration board", where=f"task {self.task.name}"
            )

    def _put_objects_aside(self) -> None:
        """Clears the board: objects stand in a corner of the table."""
        for number, body in enumerate(self._bodies.values()):
            joint = int(self._model.body_jntadr[body])
            start = int(self._model.jnt_qposadr[joint])
            place = self._scene.table_offset + _ASIDE_M + number * _BESIDE_M
            self._data.qpos[start : start + 3] = place

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


def _check_simulated(robot: RobotDescription) -> None:
    """A real arm's description must not be taken for the Panda's that is simulated."""
    if not robot.simulated or len(robot.joint_names) != _JOINTS:
        raise ConfigError(
            "the twin simulates another arm",
            where=f"robot {robot.name}",
            expected=f"a description of it: {_JOINTS} joints, and topics.environment_state",
            hint="extends: panda_twin makes one",
        )


def _with_image_size(robot: RobotDescription, image_size: tuple[int, int]) -> RobotDescription:
    height, width = image_size
    if height < 1 or width < 1:
        raise ConfigError("an image needs pixels", where="image_size", got=image_size)
    cameras = {n: replace(c, height=height, width=width) for n, c in robot.cameras.items()}
    return replace(robot, cameras=cameras)
