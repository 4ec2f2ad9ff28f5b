"""Demonstrations over real topics into a dataset and into bags."""

import array
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("rosbags")
from geometry_msgs.msg import TwistStamped
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, SpecError, UnknownNameError
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.store import EpisodeStore
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import COMMAND, SENSOR
from robot_policy_ros.recorder_node import RecorderNode

pytestmark = pytest.mark.ros


class Session:
    """A recorder beside an arm that lifts by a centimetre after every observation."""

    def __init__(self, graph: Any, arm: Any, robot: Any, output: Path, **settings: Any) -> None:
        values = {
            "output": str(output),
            "robot": "panda_twin",
            "cameras": "wrist",
            "instruction": "lift",
            "max_age_s": 2.0,
            **settings,
        }
        self.graph, self.arm, self.robot = graph, arm, robot
        self.recorder = graph.add(
            RecorderNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
        )
        create = arm.node.create_publisher
        self._image = create(Image, robot.cameras["wrist"].image_topic, SENSOR)
        self._twist = create(TwistStamped, robot.command.topic, COMMAND)
        self._gripper = create(Float64MultiArray, robot.command.gripper_topic, COMMAND)
        self._stamp_ns = 0
        self.sent_ns: list[int] = []
        arm.with_stamp.append(self._send)
        graph.wait(lambda: self._image.get_subscription_count() and self.steps is not None)

    @property
    def steps(self) -> int:
        return self.recorder._capture.state.steps

    def call(self, service: str) -> Any:
        client = self.arm.node.create_client(Trigger, f"recorder_node/{service}")
        self.graph.wait(client.service_is_ready)
        future = client.call_async(Trigger.Request())
        self.graph.wait(future.done)
        return future.result()

    def record(self, end: str, *, steps: int = 6) -> dict[str, Any]:
        self.graph.wait(lambda: not self.recorder._inputs.problems(self.recorder._now_ns()))
        begun = self.call("start")
        assert begun.success, begun.message
        self.graph.wait(lambda: self.steps >= steps)
        ended = self.call(end)
        assert ended.success, ended.message
        return json.loads(ended.message)

    def _send(self, stamp_ns: int) -> None:
        """The image of this moment, and the command upon the moment before."""
        if self._stamp_ns:
            self._gripper.publish(convert.finger_message(0.02))
            motion = np.array([0, 0, 0.01, 0, 0, 0])
            frame = self.robot.base_frame
            self._twist.publish(
                convert.twist_message(
                    motion, dt_s=0.05, frame=frame, stamp_ns=self._stamp_ns + 1_000_000
                )
            )
        self._stamp_ns = stamp_ns
        self.sent_ns.append(stamp_ns)
        camera = self.robot.cameras["wrist"]
        image = np.full((camera.height, camera.width, 3), 40, np.uint8)
        message = convert.image_message(image, frame=camera.frame, stamp_ns=stamp_ns)
        message.data = array.array("B", image.tobytes())
        self._image.publish(message)


@pytest.fixture
def session(graph: Any, resting_arm: Any, robot: Any, tmp_path: Path) -> Session:
    return Session(graph, resting_arm, robot, tmp_path / "set", bags=str(tmp_path / "bags"))


def test_episodes_become_a_dataset_and_bags(session: Session, tmp_path: Path) -> None:
    first = session.record("success")
    assert first["episode"] == 0
    assert first["success"] == "yes"
    assert session.record("discard").keys() == {"discarded"}
    session.recorder.set_parameters([Parameter("instruction", value="lift again")])
    second = session.record("failure")
    third = session.record("stop")
    assert [second["episode"], third["episode"]] == [1, 2]
    assert session.recorder._saver.wait(60)
    store = EpisodeStore.open(tmp_path / "set", cameras=["wrist"])
    assert [e.success for e in store.episodes] == [Success.YES, Success.NO, Success.UNKNOWN]
    assert [e.task for e in store.episodes] == ["lift", "lift again", "lift again"]
    assert [e.length for e in store.episodes] == [r["steps"] for r in (first, second, third)]
    assert set(store.stamps_ns.tolist()) <= set(session.sent_ns), "the times of the measurements"
    whole = store.actions[1 : first["steps"] - 1]
    assert whole[:, 2] == pytest.approx(0.01, abs=1e-6)
    assert whole[:, 6] == pytest.approx(0.5)
    assert store.images["wrist"][0].mean() == pytest.approx(40, abs=2)
    assert not (tmp_path / ".set.recording").exists() or not any(
        (tmp_path / ".set.recording").iterdir()
    )


def test_bags_hold_what_was_received(session: Session, tmp_path: Path) -> None:
    told = session.record("success")
    session.recorder.destroy_node()
    session.graph._nodes.remove(session.recorder)
    bag = Bag(tmp_path / "bags/episode-000000")
    assert bag.custom["success"] == "yes"
    assert bag.custom["dropped_messages"] == "0"
    assert {"/joint_states", "/ee_pose", "/wrist/image_raw"} <= set(bag.types)
    assert bag.types["/servo/delta_twist_cmds"] == "geometry_msgs/msg/TwistStamped"
    assert bag.counts["/joint_states"] >= told["steps"] - 1
    message = next(iter(bag.messages(["/joint_states"])))
    joints = bag.decode(message)
    assert joints.name[-1] == "panda_finger_joint1"
    image = bag.decode(next(iter(bag.messages(["/wrist/image_raw"]))))
    assert (image.encoding, image.data[0]) == ("rgb8", 40)
    assert sorted(p.name for p in (tmp_path / "bags").iterdir()) == ["episode-000000"]


def test_an_episode_under_way_is_kept_when_the_node_ends(
    graph: Any, resting_arm: Any, robot: Any, tmp_path: Path
) -> None:
    session = Session(graph, resting_arm, robot, tmp_path / "set")
    graph.wait(lambda: not session.recorder._inputs.problems(session.recorder._now_ns()))
    assert session.call("start").success
    graph.wait(lambda: session.steps >= 4)
    session.recorder.destroy_node()
    graph._nodes.remove(session.recorder)
    store = EpisodeStore.open(tmp_path / "set")
    assert [e.success for e in store.episodes] == [Success.UNKNOWN]
    assert store.episodes[0].length >= 4
    assert not list(tmp_path.glob(".set*")), "nothing is left beside it"


def test_services_answer_in_one_line_what_is_wrong(session: Session) -> None:
    for service in ("stop", "success", "failure", "discard"):
        reply = session.call(service)
        assert not reply.success
        assert "no episode is under way" in reply.message
    session.graph.wait(lambda: not session.recorder._inputs.problems(session.recorder._now_ns()))
    assert session.call("start").success
    again = session.call("start")
    assert (again.success, again.message) == (False, "an episode is under way")
    assert session.call("discard").success
    session.recorder.set_parameters([Parameter("instruction", value="")])
    assert "no task text" in session.call("start").message


def test_without_the_robot_nothing_is_begun(
    graph: Any, make_resting_arm: Any, robot: Any, tmp_path: Path
) -> None:
    arm = make_resting_arm(parameter_overrides=[Parameter("use_sim_time", value=True)])
    session = Session(graph, arm, robot, tmp_path / "set")
    reply = session.call("start")
    assert not reply.success
    assert "joint_states: no message" in reply.message


@pytest.mark.parametrize(
    ("settings", "error", "line"),
    [
        ({"output": ""}, ConfigError, "parameter output: missing"),
        ({"robot": ""}, ConfigError, "parameter robot: missing"),
        ({"cameras": "front"}, UnknownNameError, "unknown camera 'front'"),
        ({"cameras": "none"}, SpecError, "another cameras than the dataset's"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(
    session: Session,
    tmp_path: Path,
    settings: dict[str, str],
    error: type[Exception],
    line: str,
) -> None:
    if settings.get("cameras") == "none":
        session.record("success", steps=2)
        assert session.recorder._saver.wait(60)
    values = {"output": str(tmp_path / "set"), "robot": "panda_twin", **settings}
    with pytest.raises(error, match=line):
        RecorderNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
