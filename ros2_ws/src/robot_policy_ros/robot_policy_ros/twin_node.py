"""The simulated arm as a ROS node: to everybody else it looks like a real one."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_policy.core.command_values import action_from_values
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy_ros.arm_state import ArmState
from robot_policy_ros.command_subscriptions import CommandSubscriptions
from robot_policy_ros.episode import Episode
from robot_policy_ros.node_config import TwinNodeConfig, declare
from robot_policy_ros.node_main import node_main
from robot_policy_ros.qos import LATCHED
from robot_policy_ros.received_command import ReceivedCommand
from robot_policy_ros.status_message import status_message
from sim.registry import make_environment

if TYPE_CHECKING:
    from sim.envs.scene_board import SceneBoard


class TwinNode(Node):
    """Steps the simulation in real time, publishes its state, executes commands.

    At every tick of the control rate it executes the newest command and publishes what came of
    it, under the time of the tick. Between a reset and the first command nothing moves, and
    after the end of an episode the arm holds; its state is published all the same. ``~/reset``
    starts the episode of the parameter ``seed``, and ``~/episode`` tells how it goes. With a
    calibration board in the scene there is no task, and an episode has no end.

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
            board=_board(config),
            endless=config.endless,
        )
        self._max_steps = self._episode_limit(config)
        period_s = 1.0 / (config.rate_hz or robot.rate_hz)
        interface = robot.command.interface
        self._command = ReceivedCommand(
            periods=config.command_periods,
            size=len(robot.joint_names) if interface.space == ActionSpace.JOINT_POSITION else 6,
            places=not interface.space.is_delta,
        )
        self._state = ArmState(self, robot, self._environment)
        self._episode_status = self.create_publisher(DiagnosticStatus, "~/episode", LATCHED)
        self._commands = CommandSubscriptions(
            self, robot, self._command, where=lambda: self._environment.joint_positions
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
            command, held = self._command.take(stamp_ns, period_ns=period_ns)
            arm = action_from_values(self._robot, command[:-1], self._observation.state)
            step = self._environment.step(np.append(arm, command[-1]).astype(np.float32))
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


def _board(config: TwinNodeConfig) -> "SceneBoard | None":
    """The calibration board that the parameters name.

    Raises:
        RobotPolicyError: If its file or its holder is wrong.
    """
    if not config.board:
        return None
    # OpenCV, which boards need, is not loaded without one.
    from calibration.board import Board
    from sim.envs.scene_board import Holder, SceneBoard

    holder = Holder.of(config.board_holder, where="parameter board_holder")
    return SceneBoard.usual(Board.load(Path(config.board)), holder)


def main() -> int:
    """Entry point."""
    return node_main(TwinNode)


if __name__ == "__main__":
    sys.exit(main())
