"""What a robot description holds, and what follows from it: specs and the state vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.camera_calibration import CameraCalibration
from robot_policy.core.errors import UnknownNameError
from robot_policy.core.geometry import matrix_from_rot6d, rot6d_from_matrix
from robot_policy.core.kinematics import KinematicChain
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec


class CommandInterface(StrEnum):
    """Message form in which a robot takes its commands.

    TWIST: geometry_msgs/TwistStamped in the base frame [m/s, rad/s], as MoveIt Servo takes it.
    POSE: geometry_msgs/PoseStamped in the base frame, for Cartesian servoing.
    JOINT_TRAJECTORY: trajectory_msgs/JointTrajectory with one point, to be reached within a control
        period, as ros2_control's joint_trajectory_controller takes it on its topic.
    JOINT_TRAJECTORY_CHUNK: The same with all that is planned from now on, positions only; every
        message replaces the one before.
    FORWARD_POSITION: std_msgs/Float64MultiArray of joint positions, as ros2_control's forward
        command controllers take it.
    """

    TWIST = "twist"
    POSE = "pose"
    JOINT_TRAJECTORY = "joint_trajectory"
    JOINT_TRAJECTORY_CHUNK = "joint_trajectory_chunk"
    FORWARD_POSITION = "forward_position"

    @property
    def space(self) -> ActionSpace:
        """What a message says, whatever the actions are that it was made from."""
        match self:
            case CommandInterface.TWIST:
                return ActionSpace.EE_DELTA_POSE
            case CommandInterface.POSE:
                return ActionSpace.EE_POSE
            case _:
                return ActionSpace.JOINT_POSITION

    @property
    def carries(self) -> tuple[ActionSpace, ...]:
        """Action spaces whose actions can be sent this way, as they are or turned into places."""
        match self.space:
            case ActionSpace.EE_POSE:
                return ActionSpace.EE_POSE, ActionSpace.EE_DELTA_POSE
            case ActionSpace.JOINT_POSITION:
                return ActionSpace.JOINT_POSITION, ActionSpace.JOINT_DELTA
            case space:
                return (space,)


DEFAULT_MAX_AGE_S = 0.3


class GripperInterface(StrEnum):
    """Message form in which a gripper takes the position of its joint.

    POSITION: std_msgs/Float64MultiArray with one number, as a forward command controller takes it.
    JOINT_TRAJECTORY: trajectory_msgs/JointTrajectory of its joint.
    WITH_ARM: The last joint of the arm's own message.
    """

    POSITION = "position"
    JOINT_TRAJECTORY = "joint_trajectory"
    WITH_ARM = "with_arm"


@dataclass(frozen=True, slots=True)
class JointLimits:
    """Joint limits, one entry per joint.

    Attributes:
        low: [rad].
        high: [rad].
        velocity: [rad/s].
        acceleration: [rad/s^2]; None where the maker publishes none.
        jerk: [rad/s^3]; None likewise.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...] | None = None
    jerk: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Gripper:
    """A gripper commanded by the position of one joint.

    Attributes:
        joint: Name in ``/joint_states``.
        open: Its position when open, in `unit`.
        closed: Likewise when closed.
        unit: ``"m"``, or ``"rad"`` for a joint that turns.
        speed: Fastest that it may be commanded, in `unit` per second; None where it is not limited.
    """

    joint: str
    open: float
    closed: float
    unit: str = "m"
    speed: float | None = None

    def fraction_from_position(self, position: float) -> float:
        """Position of the joint to 0 open .. 1 closed, clipped."""
        fraction = (position - self.open) / (self.closed - self.open)
        return min(max(fraction, 0.0), 1.0)

    def position_from_fraction(self, fraction: float) -> float:
        """Inverse of `fraction_from_position`."""
        return self.open + min(max(fraction, 0.0), 1.0) * (self.closed - self.open)


@dataclass(frozen=True, slots=True)
class CameraDescription:
    """One camera: image size [px], topics and optical frame.

    Attributes:
        height: [px].
        width: [px].
        image_topic: sensor_msgs/Image.
        info_topic: sensor_msgs/CameraInfo.
        frame: Name of the optical frame.
        depth_topic: sensor_msgs/Image of depth, as the colour camera sees it; "" where there is
            none.
        calibration: Where the camera is; None where nobody has calibrated it.
    """

    height: int
    width: int
    image_topic: str
    info_topic: str
    frame: str
    depth_topic: str = ""
    calibration: CameraCalibration | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in the base frame [m]."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Workspace(Box):
    """Box that the end effector must stay in, base frame [m].

    Attributes:
        keep_out: Boxes in it that the end effector must not enter.
    """

    keep_out: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """Part of a commanded displacement that the arm covers within one control period.

    1 for an arm that follows its commands; less for a compliant one that is pulled along. Of
    commands that are displacements, joint speeds are judged by this part.

    Attributes:
        translation: Of the end effector.
        rotation: Likewise.
        joints: Of joint displacements.
    """

    translation: float = 1.0
    rotation: float = 1.0
    joints: float = 1.0


@dataclass(frozen=True, slots=True)
class Command:
    """How the robot is commanded.

    Attributes:
        action_space: Meaning of an action.
        interface: Message form.
        topic: Where arm commands go.
        gripper_topic: Where the gripper's commands go; empty where they go with the arm's.
        low: Smallest action, gripper last.
        high: Largest action.
        gripper_interface: Message form of the gripper's commands.
        max_step_m: Longest displacement of the end effector in one control period [m]; None where
            actions are joint angles.
        max_turn_rad: Largest rotation likewise [rad].
        response: How much of a displacement is covered.
    """

    action_space: ActionSpace
    interface: CommandInterface
    topic: str
    gripper_topic: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    gripper_interface: GripperInterface = GripperInterface.POSITION
    max_step_m: float | None = None
    max_turn_rad: float | None = None
    response: Response = Response()


@dataclass(frozen=True, slots=True)
class PrimitiveAmounts:
    """How far the motions are that a person may ask for in one sentence, ascending.

    Attributes:
        translation_m: [m].
        rotation_rad: [rad].
    """

    translation_m: tuple[float, ...]
    rotation_rad: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RobotDescription:
    """Everything about a robot that is not learned.

    Attributes:
        name: Name that datasets and checkpoints carry.
        rate_hz: Control rate [Hz].
        joint_names: Arm joints, in the order of `joint_limits` and of the state vector.
        joint_limits: Their limits.
        gripper: The gripper.
        command: How it is commanded.
        joint_states_topic: sensor_msgs/JointState, matched by name.
        ee_pose_topic: geometry_msgs/PoseStamped of the end effector in the base frame; None where
            it is computed from the joints.
        environment_state_topic: std_msgs/Float64MultiArray of privileged state; None on every
            real arm.
        cameras: By name.
        workspace: Box for the end effector.
        base_frame: Frame of poses and twists.
        ee_frame: Frame of the end effector.
        kinematics: From the joint angles to the pose of the end effector; None where unknown.
        simulated: Whether it may be slower than real time, so that who drives it goes by its
            observations and not by the clock.
        max_age_s: Oldest measurement that an observation may be made of, when a recording is
            turned into a dataset [s].
        primitives: Amounts of its motion primitives; None for the usual ones.
    """

    name: str
    rate_hz: float
    joint_names: tuple[str, ...]
    joint_limits: JointLimits
    gripper: Gripper
    command: Command
    joint_states_topic: str
    ee_pose_topic: str | None
    environment_state_topic: str | None
    cameras: Mapping[str, CameraDescription]
    workspace: Workspace
    base_frame: str
    ee_frame: str
    kinematics: KinematicChain | None = None
    simulated: bool = False
    max_age_s: float = DEFAULT_MAX_AGE_S
    primitives: PrimitiveAmounts | None = None

    @property
    def dt_s(self) -> float:
        """Control period [s]."""
        return 1.0 / self.rate_hz

    @property
    def state_spec(self) -> ArraySpec:
        """Spec of ``observation.state``: see `proprioception`."""
        names = (
            *self.joint_names,
            "gripper",
            *("ee_x", "ee_y", "ee_z"),
            *(f"ee_rot6d_{i}" for i in range(6)),
        )
        units = (*("rad",) * len(self.joint_names), "1", *("m",) * 3, *("1",) * 6)
        return ArraySpec(shape=(len(names),), names=names, units=units)

    @property
    def action_spec(self) -> ArraySpec:
        """Spec of ``action``, bounded by the command limits."""
        match self.command.action_space:
            case ActionSpace.EE_DELTA_POSE:
                names = ("ee_dx", "ee_dy", "ee_dz", "ee_drx", "ee_dry", "ee_drz")
                units = ("m", "m", "m", "rad", "rad", "rad")
            case ActionSpace.EE_POSE:
                names = ("ee_x", "ee_y", "ee_z", "ee_rx", "ee_ry", "ee_rz")
                units = ("m", "m", "m", "rad", "rad", "rad")
            case ActionSpace.JOINT_POSITION:
                names = self.joint_names
                units = ("rad",) * len(names)
            case ActionSpace.JOINT_DELTA:
                names = tuple(f"{name}_delta" for name in self.joint_names)
                units = ("rad",) * len(names)
        return ArraySpec(
            shape=(len(names) + 1,),
            names=(*names, "gripper"),
            units=(*units, "1"),
            low=self.command.low,
            high=self.command.high,
        )

    @property
    def calibrations(self) -> dict[str, CameraCalibration]:
        """Where the calibrated cameras are, by name."""
        found = {name: camera.calibration for name, camera in self.cameras.items()}
        return {name: calibration for name, calibration in found.items() if calibration}

    def spec(
        self,
        *,
        environment_state: ArraySpec | None = None,
        cameras: tuple[str, ...] = (),
    ) -> PolicySpec:
        """Spec of what the robot offers, for `check_runs_on` and for datasets.

        Args:
            environment_state: Spec of the privileged state of the task in the twin.
            cameras: Names of the cameras in use.

        Raises:
            UnknownNameError: If the robot has no such camera.
        """
        for camera in cameras:
            if camera not in self.cameras:
                raise UnknownNameError.of("camera", camera, self.cameras, where=self.name)
        return PolicySpec(
            robot=self.name,
            state=self.state_spec,
            action=self.action_spec,
            action_space=self.command.action_space,
            dt_s=self.dt_s,
            environment_state=environment_state,
            cameras={c: image_spec(self.cameras[c].height, self.cameras[c].width) for c in cameras},
            calibrations=self.calibrations,
        )

    def proprioception(
        self,
        *,
        joint_positions: NDArray[np.floating],
        gripper_m: float,
        ee_position: NDArray[np.floating],
        base_R_ee: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Builds ``observation.state``, the same way from the simulator and from topics.

        Args:
            joint_positions: (J,) [rad] in the order of `joint_names`.
            gripper_m: Position of the gripper's joint [m], or in its own unit.
            ee_position: (3,) end effector in the base frame [m].
            base_R_ee: (3, 3) its orientation.

        Returns:
            (J + 10,): joints, gripper (0 open .. 1 closed), position, 6-D rotation.
        """
        return np.concatenate(
            [
                joint_positions,
                [self.gripper.fraction_from_position(gripper_m)],
                ee_position,
                rot6d_from_matrix(base_R_ee),
            ]
        ).astype(np.float32)

    def joint_positions(self, state: NDArray[np.floating]) -> NDArray[np.floating]:
        """(J,) joint angles [rad] out of a state vector (S,)."""
        return state[: len(self.joint_names)]

    def gripper_fraction(self, state: NDArray[np.floating]) -> float:
        """Gripper, 0 open .. 1 closed, out of a state vector (S,)."""
        return float(state[len(self.joint_names)])

    def ee_position(self, state: NDArray[np.floating]) -> NDArray[np.floating]:
        """(3,) end-effector position [m] out of a state vector (S,)."""
        start = len(self.joint_names) + 1
        return state[start : start + 3]

    def ee_rotation(self, state: NDArray[np.floating]) -> NDArray[np.floating]:
        """(3, 3) ``base_R_ee`` out of a state vector (S,)."""
        start = len(self.joint_names) + 4
        return matrix_from_rot6d(state[start : start + 6])
