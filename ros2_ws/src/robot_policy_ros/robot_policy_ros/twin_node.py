"""The simulated arm as a ROS node: to everybody else it looks like a real one."""

import json
import sys
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from robot_policy.core.errors import ConfigError, RobotPolicyError, SpecError
from robot_policy.core.robot import load_robot
from robot_policy_ros import conversions as convert
from robot_policy_ros.arm_state import ArmState
from robot_policy_ros.episode import Episode
from robot_policy_ros.node_config import TwinNodeConfig, declare
from robot_policy_ros.node_main import node_main
from robot_policy_ros.qos import COMMAND, LATCHED
from robot_policy_ros.received_command import ReceivedCommand
from robot_policy_ros.status_message import status_message
from sim.registry import make_environment

_LOG_PERIOD_S = 10.0


class TwinNode(Node):
    """Steps the simulation in real time, publishes its state, executes commands.

    At every tick of the control rate it executes the newest command and publishes what came of
    it, under the time of the tick. Between a reset and the first command nothing moves, and
    after the end of an episode the arm holds; its state is published all the same. ``~/reset``
    starts the episode of the parameter ``seed``, and ``~/episode`` tells how it goes.

    Args:
        name: Of the node.
        options: For rclpy.

    Raises:
        RobotPolicyError: If a parameter is wrong or the simulator cannot be built.
    """

    def __init__(self, name: str = "twin_node", **options: Any) -> None:
        super().__init__(name, **options)
        declare(self, TwinNodeConfig.SETTINGS)
        config = TwinNodeConfig.from_parameters(self)
        robot = load_robot(config.robot)
        self._robot = robot
        self._environment = make_environment(
            config.task,
            cameras=config.camera_names,
            robot=config.robot,
            image_size=config.image_size,
        )
        self._max_steps = self._episode_limit(config)
        period_s = 1.0 / (config.rate_hz or robot.rate_hz)
        self._command = ReceivedCommand(periods=config.command_periods)
        self._state = ArmState(self, robot, self._environment)
        self._episode_status = self.create_publisher(DiagnosticStatus, "~/episode", LATCHED)
        command = robot.command
        self.create_subscription(TwistStamped, command.topic, self._on_twist, COMMAND)
        self.create_subscription(
            Float64MultiArray, command.gripper_topic, self._on_gripper, COMMAND
        )
        self.create_service(Trigger, "~/reset", self._on_reset)
        self._reset(config.seed)
        self._period_ns = round(period_s * 1e9)
        self._ticked_ns = self._now_ns()
        self._timer = self.create_timer(period_s, self._tick)
        self.get_logger().info(f"{config.task} on {robot.name} at {1.0 / period_s:g} Hz")

    def destroy_node(self) -> None:
        """Releases the simulator."""
        self._environment.close()
        super().destroy_node()

    def _episode_limit(self, config: TwinNodeConfig) -> int:
        limit = self._environment.max_steps
        if config.max_episode_steps > limit:
            raise ConfigError(
                "out of range",
                where="max_episode_steps",
                expected=f"0 .. {limit} (the time limit of {config.task})",
                got=config.max_episode_steps,
            )
        return config.max_episode_steps or limit

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _reset(self, seed: int) -> None:
        self._observation = self._environment.reset(seed)
        self._episode = Episode(seed, max_steps=self._max_steps)
        self._command.reset(now_ns=self._now_ns())
        self._publish_episode()

    def _tick(self) -> None:
        stamp_ns = self._now_ns()
        if self._command.started and not self._episode.finished:
            period_ns = max(stamp_ns - self._ticked_ns, self._period_ns)
            action, held = self._command.take(stamp_ns, period_ns=period_ns)
            step = self._environment.step(action)
            self._observation = step.observation
            self._episode.count(step, held=held)
            self._publish_episode()
        self._state.publish(self._observation, stamp_ns=stamp_ns)
        self._keep_pace(stamp_ns)

    def _keep_pace(self, stamp_ns: int) -> None:
        """Lets simulated time slow down where the machine is too slow for real time.

        A timer would make up for a late tick by a short period, and the policy, which has no
        part in the delay, would be left without the time to answer.
        """
        late = stamp_ns - self._ticked_ns > 1.1 * self._period_ns
        long = self._now_ns() - stamp_ns > 0.5 * self._period_ns
        if late or long:
            self._timer.reset()
        self._ticked_ns = stamp_ns

    def _publish_episode(self) -> None:
        episode = self._episode
        name = self.get_fully_qualified_name()
        level = DiagnosticStatus.OK
        self._episode_status.publish(
            status_message(name, level=level, message=episode.summary, values=episode.values())
        )

    def _on_twist(self, message: TwistStamped) -> None:
        robot = self._robot
        try:
            delta = convert.delta_from_twist(message, dt_s=robot.dt_s, frame=robot.base_frame)
        except SpecError as error:
            self._refuse(error)
            return
        self._command.put_motion(delta, stamp_ns=convert.ns_from_stamp(message.header.stamp))

    def _on_gripper(self, message: Float64MultiArray) -> None:
        try:
            position_m = convert.finger_position(message)
        except SpecError as error:
            self._refuse(error)
            return
        self._command.put_gripper(self._robot.gripper.fraction_from_position(position_m))

    def _refuse(self, error: SpecError) -> None:
        self.get_logger().error(f"command refused: {error}", throttle_duration_sec=_LOG_PERIOD_S)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        seed = int(self.get_parameter("seed").value or 0)
        try:
            self._reset(seed)
        except RobotPolicyError as error:
            response.message = str(error)
            return response
        response.success = True
        response.message = json.dumps({"seed": seed})
        return response


def main() -> int:
    """Entry point."""
    return node_main(TwinNode)


if __name__ == "__main__":
    sys.exit(main())
