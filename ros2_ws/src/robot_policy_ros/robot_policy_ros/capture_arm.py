"""An arm behind topics, as one that samples are captured with."""

import time
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState

from calibration.lens import Lens, LensModel, parameter_names
from robot_policy.capture.arm import Picture, Reading
from robot_policy.core.command_values import values_from_actions
from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.geometry import transform
from robot_policy.core.robot import GripperInterface, RobotDescription
from robot_policy_ros import conversions as convert
from robot_policy_ros.interfaces.arm_interface import ArmInterface
from robot_policy_ros.interfaces.registry import INTERFACES
from robot_policy_ros.lifecycle_client import NodeCallError, ServiceCaller
from robot_policy_ros.qos import COMMAND, SENSOR

_FIRST_S, _USUAL_S = 60.0, 10.0
"""How long the first message, and any other, is waited for."""
_INFO_S = 3.0
_KEPT = 64


class RosCaptureArm:
    """Subscribes to joints, pose and cameras, and publishes commands, in the description's form.

    The gripper is commanded only where its position goes with the arm's.

    Args:
        caller: Its node subscribes and publishes here.
        robot: Gives topics, names and frames.
        cameras: That pictures are wanted of.
    """

    def __init__(
        self, caller: ServiceCaller, robot: RobotDescription, cameras: tuple[str, ...]
    ) -> None:
        self._caller = caller
        self._robot = robot
        self._problem = ""
        self._joints: tuple[int, NDArray[Any], NDArray[Any] | None] | None = None
        self._poses: dict[int, NDArray[Any]] = {}
        self._images: dict[str, Image] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._reading: Reading | None = None
        self._stepped_s = -np.inf
        node = caller.node
        self._interface: ArmInterface = INTERFACES[robot.command.interface](robot)
        self._commands = node.create_publisher(
            self._interface.message_type, robot.command.topic, COMMAND
        )
        for camera in cameras:
            about = robot.cameras[camera]
            self._subscribe(Image, about.image_topic, self._keep(self._images, camera))
            self._subscribe(CameraInfo, about.info_topic, self._keep(self._infos, camera))
        if robot.ee_pose_topic is not None:
            self._subscribe(PoseStamped, robot.ee_pose_topic, self._on_pose)
        self._subscribe(JointState, robot.joint_states_topic, self._on_joints)

    def step(self, action: NDArray[np.float32] | None) -> Reading:
        """Sends an action and returns what the arm says a control period later.

        A simulated arm may be slower than the clock: there, a period later is its next message.

        Raises:
            NodeCallError: If the arm falls silent.
        """
        before = self._reading
        if action is not None and before is not None:
            self._send(action, before)
        if not self._robot.simulated:
            self._wait_for_clock()
        since_ns = -1 if before is None else before.stamp_ns
        self._wait(
            lambda: (self._newest() or (since_ns,))[0] > since_ns,
            timeout_s=_FIRST_S if before is None else _USUAL_S,
            what=f"{self._robot.joint_states_topic} of {self._robot.name}",
        )
        newest = self._newest()
        assert newest is not None
        stamp_ns, joints, velocities, pose = newest
        self._reading = Reading(stamp_ns, joints[:-1], velocities, float(joints[-1]), pose)
        return self._reading

    def picture(self, camera: str, *, not_before_ns: int) -> Picture:
        """Returns the first picture that was exposed at `not_before_ns` [ns] or later.

        Raises:
            NodeCallError: If none comes.
            SpecError: If it cannot be read.
        """
        topic = self._robot.cameras[camera].image_topic

        def stamp_ns() -> int:
            image = self._images.get(camera)
            return -1 if image is None else convert.ns_from_stamp(image.header.stamp)

        try:
            self._wait(lambda: stamp_ns() >= not_before_ns, timeout_s=_USUAL_S, what=topic)
        except NodeCallError as error:
            if stamp_ns() < 0:
                raise
            raise NodeCallError(
                "no picture since the joints were read",
                where=topic,
                got=f"the last one {1e-9 * (not_before_ns - stamp_ns()):.1f} s before",
                expected="one exposed later",
                hint="stamped by another clock, or lost on the way?",
            ) from error
        return Picture(stamp_ns(), convert.image_from_message(self._images[camera]))

    def lens(self, camera: str) -> Lens | None:
        """Returns what the camera's info says; None if none comes, or it is not calibrated."""
        topic = self._robot.cameras[camera].info_topic
        try:
            self._wait(lambda: camera in self._infos, timeout_s=_INFO_S, what=topic)
        except NodeCallError:
            return None
        return _lens(self._infos[camera])

    def _subscribe(self, message_type: Any, topic: str, take: Any) -> None:
        self._caller.node.create_subscription(message_type, topic, take, SENSOR)

    @staticmethod
    def _keep(where: dict[str, Any], camera: str) -> Any:
        def take(message: Any) -> None:
            where[camera] = message

        return take

    def _send(self, action: NDArray[np.float32], reading: Reading) -> None:
        robot = self._robot
        values = values_from_actions(robot, action[None], reading.state(robot))
        if robot.command.gripper_interface == GripperInterface.WITH_ARM:
            finger = robot.gripper.position_from_fraction(float(action[-1]))
            values = np.column_stack([values, [finger]])
        stamp_ns = self._caller.node.get_clock().now().nanoseconds
        self._commands.publish(self._interface.message(values, stamp_ns=stamp_ns))

    def _wait_for_clock(self) -> None:
        due_s = self._stepped_s + self._robot.dt_s
        while (left_s := due_s - time.monotonic()) > 0:
            self._caller.serve(left_s)
        self._stepped_s = max(due_s, time.monotonic() - self._robot.dt_s)

    def _wait(self, condition: Any, *, timeout_s: float, what: str) -> None:
        self._problem = ""
        try:
            self._caller.wait_until(condition, timeout_s=timeout_s, what=what)
        except NodeCallError as error:
            if not self._problem:
                raise
            raise NodeCallError(f"cannot be read: {self._problem}", where=what) from error

    def _newest(self) -> tuple[int, NDArray[Any], NDArray[Any] | None, NDArray[Any]] | None:
        """Stamp, joints with the gripper, velocities, pose; None while one of them is missing."""
        if self._joints is None:
            return None
        stamp_ns, joints, velocities = self._joints
        if self._robot.ee_pose_topic is None:
            assert self._robot.kinematics is not None  # a description without either is refused
            return stamp_ns, joints, velocities, self._robot.kinematics.pose(joints[:-1])
        if not self._poses:
            return None
        nearest = min(self._poses, key=lambda s: abs(s - stamp_ns))
        if abs(nearest - stamp_ns) > 0.5e9 * self._robot.dt_s:
            self._problem = (
                f"{self._robot.ee_pose_topic} is {1e-9 * abs(nearest - stamp_ns):.2f} s from it"
            )
            return None
        return stamp_ns, joints, velocities, self._poses[nearest]

    def _on_joints(self, message: JointState) -> None:
        robot = self._robot
        try:
            joints = convert.positions_by_name(message, (*robot.joint_names, robot.gripper.joint))
        except RobotPolicyError as error:
            self._problem = str(error)
            return
        velocities = None
        if len(message.velocity) == len(message.name):
            index = [list(message.name).index(name) for name in robot.joint_names]
            velocities = np.array(message.velocity)[index]
        self._joints = convert.ns_from_stamp(message.header.stamp), joints, velocities

    def _on_pose(self, message: PoseStamped) -> None:
        try:
            position, R = convert.position_and_rotation(message, frame=self._robot.base_frame)
        except RobotPolicyError as error:
            self._problem = str(error)
            return
        self._poses[convert.ns_from_stamp(message.header.stamp)] = transform(R, position)
        while len(self._poses) > _KEPT:
            del self._poses[next(iter(self._poses))]


def _lens(info: CameraInfo) -> Lens | None:
    """Intrinsics of a camera info; None where it is not calibrated or of an unknown model."""
    if info.k[0] <= 0.0 or info.distortion_model not in list(LensModel):
        return None
    model = LensModel(info.distortion_model)
    wanted = len(parameter_names(model)) - 4
    distortion = np.zeros(wanted)
    given = np.array(info.d)[:wanted]
    distortion[: len(given)] = given
    linear = [info.k[0], info.k[4], info.k[2], info.k[5]]
    return Lens(model, info.width, info.height, np.concatenate([linear, distortion]))
