"""The node that records demonstrations: a LeRobot dataset, and bags beside it if asked."""

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from std_srvs.srv import Trigger

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.robot import load_robot
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy_ros.bag_recording import BagRecording, recorded_topics
from robot_policy_ros.command_log import CommandLog
from robot_policy_ros.command_subscriptions import CommandSubscriptions
from robot_policy_ros.episode_capture import CaptureError, EpisodeCapture
from robot_policy_ros.input_ages import InputAges
from robot_policy_ros.inputs import Inputs, input_names
from robot_policy_ros.node_config import declare
from robot_policy_ros.node_main import node_main
from robot_policy_ros.recorder_config import RecorderNodeConfig
from robot_policy_ros.status_message import diagnostic_array, status_message
from robot_policy_ros.subscriptions import InputTopics, Subscriptions

_DIAGNOSTICS_PERIOD_S = 1.0
_WAKE_S = 0.2

type _Reply = Trigger.Response


class RecorderNode(Node):
    """Records what an arm sees and what it is commanded, one episode between two service calls.

    ``~/start`` begins an episode; ``~/success``, ``~/failure`` and ``~/stop`` (outcome unknown) end
    it and add it to the dataset; ``~/discard`` forgets it. An episode that is under way when the
    node ends is kept, with its outcome unknown. Nothing is encoded or written in the callbacks.

    Args:
        name: Of the node.
        options: For rclpy.

    Raises:
        RobotPolicyError: If a parameter is wrong, or the dataset holds something else.
    """

    def __init__(self, name: str = "recorder_node", **options: Any) -> None:
        super().__init__(name, **options)
        declare(self, RecorderNodeConfig.SETTINGS)
        config = RecorderNodeConfig.from_parameters(self)
        robot = load_robot(config.robot)
        cameras = config.camera_names(robot)
        spec = robot.spec(cameras=cameras)
        topics = InputTopics.parse(
            transport=config.image_transport, instruction=config.instruction_topic, goal=""
        )
        ages = InputAges.parse(config.max_ages, default_s=config.max_age_s, names=input_names(spec))
        commands = CommandLog(robot)
        self._config = config
        self._saver = EpisodeSaver(Path(config.output), spec)
        self._spool = Path(config.output).parent / f".{Path(config.output).name}.recording"
        self._inputs = Inputs(robot, spec, max_age_ns=ages, instruction=config.instruction)
        self._capture = EpisodeCapture(
            robot, spec, inputs=self._inputs, commands=commands, spool=self._spool
        )
        self._bag: BagRecording | None = None
        self._bag_problem = ""
        self._begun = self._saver.saved
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="capture")
        self._thread.start()
        try:
            if config.bags:
                recorded = recorded_topics(robot, cameras, topics)
                self._bag = BagRecording(self, recorded, failed=self._on_bag_failure)
            CommandSubscriptions(self, robot, commands)
            self._observed = Subscriptions(
                self,
                robot,
                spec=spec,
                inputs=self._inputs,
                arrived=self._wake.set,
                topics=topics,
            )
        except BaseException:
            self._end_threads()
            raise
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._diagnose)
        for service, act in (
            ("start", self._start),
            ("stop", lambda: self._finish(Success.UNKNOWN)),
            ("success", lambda: self._finish(Success.YES)),
            ("failure", lambda: self._finish(Success.NO)),
            ("discard", self._discard),
        ):
            self.create_service(Trigger, f"~/{service}", self._answering(act))
        self.get_logger().info(
            f"{robot.name} into {config.output}, which holds {self._saver.saved} episodes"
        )

    def destroy_node(self) -> None:
        """Keeps the episode that is under way, and ends once everything is written."""
        if self._capture.state.recording:
            try:
                self._finish(Success.UNKNOWN)
            except RobotPolicyError as error:
                self.get_logger().error(f"the episode under way is lost: {error}")
        self._observed.destroy()
        lost = self._end_threads()
        if lost:
            self.get_logger().fatal(f"{lost} episodes are lost: {self._saver.problem}")
        super().destroy_node()

    def _end_threads(self) -> int:
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._capture.close()
        if self._bag is not None:
            self._bag.close()
        lost = self._saver.close()
        if self._spool.is_dir():
            self._spool.rmdir()
        return lost

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_WAKE_S)
            self._wake.clear()
            self._capture.observe(self._now_ns())

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _answering(
        self, act: Callable[[], dict[str, Any]]
    ) -> Callable[[Trigger.Request, _Reply], _Reply]:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            del request
            try:
                response.message = json.dumps(act())
                response.success = True
            except RobotPolicyError as error:
                response.message = str(error)
                self.get_logger().warning(response.message)
            self._diagnose()
            return response

        return answer

    def _start(self) -> dict[str, Any]:
        if self._saver.problem is not None:
            problem = self._saver.problem
            self._saver.retry()
            raise CaptureError(
                "an episode could not be saved, trying again", where=self._saver.path, got=problem
            )
        # It may change from episode to episode.
        self._inputs.instruction = str(self.get_parameter("instruction").value)
        problems = self._inputs.problems(self._now_ns())
        if problems:
            raise CaptureError("the robot is not there", got="; ".join(problems))
        if not self._inputs.instruction:
            raise ConfigError("no task text", where="parameter instruction")
        if self._capture.state.recording:
            raise CaptureError("an episode is under way")
        if self._bag is not None:
            self._bag_problem = ""
            self._bag.start(self._bag_folder(self._begun))
        self._capture.start(self._inputs.instruction)
        return {"episode": self._begun, "task": self._inputs.instruction}

    def _finish(self, success: Success) -> dict[str, Any]:
        try:
            episode = self._capture.finish(success, now_ns=self._now_ns())
            self._saver.submit(episode)
        except RobotPolicyError:
            if self._bag is not None:
                self._bag.discard()
            raise
        number, self._begun = self._begun, self._begun + 1
        if self._bag is not None:
            notes = {"episode": str(number), "success": success.value, "task": episode.task}
            self._bag.finish(notes)
        told = {"episode": number, "steps": len(episode), "success": success.value}
        missed = episode.metadata["recorder"]["missed_steps"]
        if missed:
            self.get_logger().warning(f"episode {number} lacks {missed} observations")
        return {**told, "missed": missed}

    def _discard(self) -> dict[str, Any]:
        steps = self._capture.discard()
        if self._bag is not None:
            self._bag.discard()
        return {"discarded": steps}

    def _bag_folder(self, episode: int) -> Path:
        return Path(self._config.bags) / f"episode-{episode:06d}"

    def _on_bag_failure(self, reason: str) -> None:
        self._bag_problem = reason
        self.get_logger().error(f"the bag is given up: {reason}")

    def _diagnose(self) -> None:
        state, now_ns = self._capture.state, self._now_ns()
        problems = self._inputs.problems(now_ns)
        level, message = DiagnosticStatus.OK, "recording" if state.recording else "waiting"
        if self._saver.problem is not None:
            level, message = DiagnosticStatus.ERROR, f"not saved: {self._saver.problem}"
        elif state.problem is not None or self._bag_problem:
            level, message = DiagnosticStatus.ERROR, state.problem or self._bag_problem
        elif problems:
            level, message = DiagnosticStatus.WARN, "; ".join(problems)
        values = {
            "recording": str(state.recording).lower(),
            "steps": str(state.steps),
            "missed steps": str(state.missed),
            "longest gap [s]": f"{state.longest_gap_s:.3f}",
            "episodes saved": str(self._saver.saved),
            "episodes to save": str(self._saver.waiting),
            "task": self._inputs.instruction,
        }
        if self._bag is not None:
            values["messages dropped from the bag"] = str(self._bag.dropped)
        name = self.get_fully_qualified_name()
        status = status_message(name, level=level, message=message, values=values)
        self._diagnostics.publish(diagnostic_array(status, stamp_ns=now_ns))


def main() -> int:
    """Entry point."""
    return node_main(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
