"""An arm behind topics, as one that is driven by hand."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rcl_interfaces.srv import SetParameters
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo
from std_srvs.srv import Trigger

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy.teleop.arm import View
from robot_policy_ros.arm_commands import ActionPublishers
from robot_policy_ros.inputs import Inputs
from robot_policy_ros.lifecycle_client import NodeCallError
from robot_policy_ros.qos import SENSOR
from robot_policy_ros.subscriptions import InputTopics, Subscriptions

_CALL_S, _RESEND_S = 60.0, 5.0


class RosTeleopArm:
    """Observations as a policy would see them, and commands as a policy would send them.

    Messages are served in a thread of its own; everything else is called from one thread.

    Args:
        node: Nobody else may spin it.
        robot: Gives topics, frames and the form of commands.
        spec: What observations hold.
        topics: What the description does not say.
        max_age_s: Oldest input that may be acted upon [s].
        instruction: Task text of what is observed; "" where a person gives it.
        twin: Full name of a twin node that can be put back; empty for a real arm.
        start: Number of the first start.
        check: Raises if the twin has died; called while it is waited for, and observed.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        spec: PolicySpec,
        *,
        topics: InputTopics | None = None,
        max_age_s: float = 0.3,
        instruction: str = "",
        twin: str = "",
        start: int = 0,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.robot = robot
        self.spec = spec
        self.can_reset = bool(twin)
        self._node = node
        self._check = check
        self._twin = twin
        self._last: Observation | None = None
        self._infos: dict[str, CameraInfo] = {}
        max_age_ns = round(max_age_s * 1e9)
        self._inputs = Inputs(robot, spec, max_age_ns=max_age_ns, instruction=instruction)
        self._subscriptions = Subscriptions(
            node, robot, spec=spec, inputs=self._inputs, arrived=lambda: None, topics=topics
        )
        for camera in spec.cameras:
            self._subscribe_to_info(camera)
        self._publishers = ActionPublishers(
            node.create_publisher, robot, state=self._inputs.state, now_ns=self._now_ns
        )
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._spin, name="topics", daemon=True)
        self._thread.start()
        if twin:
            try:
                self.reset(start)
            except BaseException:
                self.close()
                raise

    @property
    def shown(self) -> tuple[str, ...]:
        """See `TeleopArm.shown`."""
        return tuple(self.spec.cameras)

    @property
    def solved(self) -> bool | None:
        """Nobody can tell."""
        return None

    def observe(self) -> tuple[Observation | None, str]:
        """See `TeleopArm.observe`."""
        self._check()
        now_ns = self._now_ns()
        observation = self._inputs.observation(now_ns)
        if observation is not None:
            self._last = observation
            return observation, ""
        problems = self._inputs.problems(now_ns)
        if problems or self._last is None:
            return None, "; ".join(problems) or "no observation yet"
        # Between two messages an image or a pose may be on its way.
        return self._last, ""

    def send(self, action: NDArray[np.float32]) -> None:
        """Publishes an action."""
        if self._inputs.state() is not None:
            self._publishers.command(action)

    def reset(self, start: int) -> None:
        """Puts the twin back.

        Raises:
            NodeCallError: If it does not answer.
        """
        request = SetParameters.Request()
        request.parameters = [Parameter("seed", value=start).to_parameter_msg()]
        self._call(SetParameters, f"{self._twin}/set_parameters", request)
        self._call(Trigger, f"{self._twin}/reset", Trigger.Request())
        self._last = None
        self._inputs.clear(not_before_ns=self._now_ns())

    def picture(self, camera: str) -> NDArray[np.uint8] | None:
        """See `TeleopArm.picture`."""
        return None if self._last is None else self._last.images.get(camera)

    def view(self, camera: str) -> View | None:
        """Returns what camera info and calibration say together; None if one is missing."""
        info = self._infos.get(camera)
        calibration = self.robot.cameras[camera].calibration
        if info is None or calibration is None or calibration.parent != self.robot.base_frame:
            return None
        K = np.array(info.k).reshape(3, 3)
        return View(calibration.parent_T_camera, K, info.height, info.width)

    def close(self) -> None:
        """Ends the thread and the subscriptions."""
        self._executor.shutdown()
        self._thread.join(timeout=5.0)
        self._subscriptions.destroy()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds

    def _subscribe_to_info(self, camera: str) -> None:
        def take(message: CameraInfo) -> None:
            self._infos[camera] = message

        topic = self.robot.cameras[camera].info_topic
        self._node.create_subscription(CameraInfo, topic, take, SENSOR)

    def _call(self, service: Any, name: str, request: Any) -> None:
        client = self._node.create_client(service, name)
        try:
            deadline_s, asked_s = time.monotonic() + _CALL_S, -_RESEND_S
            while not client.service_is_ready():
                self._check()
                if time.monotonic() > deadline_s:
                    raise NodeCallError("is not there", where=name)
                time.sleep(0.02)
            # A server that has not found this end yet drops its answer, so it is asked again.
            futures: list[Any] = []
            while not any(future.done() for future in futures):
                self._check()
                if time.monotonic() > deadline_s:
                    raise NodeCallError(f"no answer within {_CALL_S:g} s", where=name)
                if time.monotonic() > asked_s + _RESEND_S:
                    asked_s = time.monotonic()
                    futures.append(client.call_async(request))
                time.sleep(0.005)
        finally:
            self._node.destroy_client(client)
