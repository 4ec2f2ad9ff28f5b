"""Two cameras of 640 x 480 at 30 Hz, and 50 Hz states, recorded for ten minutes by the node."""

import argparse
import os
import random
import resource
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from jobs import Job
from measure import ROOT, Target

from robot_policy.core.episode import Success
from robot_policy.core.files import read_json, write_json

FOLDER = ROOT / "runs" / "teleop"
MINUTES = 10.0
_ROBOT = """
extends: panda_twin
name: two_cameras
rate_hz: 30.0
simulated: false
cameras:
  left: {height: 480, width: 640, image_topic: left/image, info_topic: left/info, frame: left}
  right: {height: 480, width: 640, image_topic: right/image, info_topic: right/info, frame: right}
"""


def jobs() -> list[Job]:
    """One job."""
    words = ("benchmarks/teleop_recording.py", "--json", str(_result()))
    return [Job("recording", words, _result(), alone=True)]


def rows() -> list[dict[str, Any]]:
    """What has been measured."""
    return [read_json(_result())] if _result().exists() else []


def targets(known: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """No frame lost, memory flat, timing unharmed."""
    row = known.get("recording: two cameras")
    whole = row is not None and row["minutes"] >= MINUTES
    command = "python benchmarks/teleop.py --only recording"

    def target(name: str, words: str, key: str, unit: str, most: float) -> Target:
        measured = None if row is None else row[key]
        holds = whole and measured is not None and measured <= most
        return Target(name, words, measured, unit, holds, command)

    what = "10 minutes of two 640 x 480 cameras at 30 Hz with 50 Hz states: "
    return [
        target("recording_lost", what + "no frame lost", "lost", "frames", 0),
        target("recording_memory", what + "memory flat (+10 %)", "memory_growth", "part", 0.1),
        target(
            "recording_timing", what + "control timing unharmed", "control_p99_ms", "ms late", 10.0
        ),
    ]


def _result() -> Path:
    return FOLDER / "recording.json"


def measure(minutes: float, folder: Path) -> dict[str, Any]:
    """Publishes, records, and looks at what arrived."""
    import rclpy

    from robot_policy.core.robot import load_robot
    from robot_policy.teleop.controls import Command, Controls
    from robot_policy.teleop.driving import Driving
    from robot_policy.teleop.episodes import Episodes
    from robot_policy.teleop.mapping import Mapping as HandMapping
    from robot_policy.teleop.mapping import MappingConfig
    from robot_policy.teleop.session import Session
    from robot_policy_ros.composition import localhost_environment
    from robot_policy_ros.shared_memory import large_images
    from robot_policy_ros.teleop_arm import RosTeleopArm

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "two_cameras.yaml").write_text(_ROBOT)
    os.environ["ROBOT_POLICY_ROBOTS"] = str(folder)
    os.environ.update(localhost_environment(random.SystemRandom().randint(1, 101)))
    os.environ.update(large_images(folder))
    robot = load_robot("two_cameras")
    stop = os.fork()
    if not stop:
        _publish(robot)
        os._exit(0)
    rclpy.init(args=[])
    node = rclpy.create_node("recording")
    arm = RosTeleopArm(node, robot, robot.spec(cameras=("left", "right")))
    driving = Driving(robot, HandMapping(robot, MappingConfig()))
    session = Session(driving, Episodes(folder / "set", arm.spec), task="watch")
    process = psutil.Process()
    memory: list[int] = []
    late_ms: list[float] = []
    deadline_s = time.monotonic()
    end_s = deadline_s + 60.0 * minutes + 5.0
    begin: tuple[Command, ...] = ()
    velocity = np.array([0.001, 0, 0, 0, 0, 0])
    try:
        while time.monotonic() < end_s:
            deadline_s += 1.0 / robot.rate_hz
            time.sleep(max(0.0, deadline_s - time.monotonic()))
            late_ms.append(1e3 * (time.monotonic() - deadline_s))
            observation, problem = arm.observe()
            if observation is not None and not session.episodes.recording:
                begin = (Command.START,)
            now_ns = time.monotonic_ns()
            controls = Controls(now_ns, True, velocity=velocity)
            driven = session.step(
                observation, controls, now_ns=now_ns, commands=begin, problem=problem
            )
            begin = ()
            if driven is not None:
                arm.send(driven.action)
            if len(late_ms) % 150 == 0:
                memory.append(process.memory_info().rss)
        steps = session.episodes.steps
        if not session.episodes.recording:  # it has been ended, and says why
            raise SystemExit("; ".join(message.text for message in session.messages))
        session.episodes.finish(Success.YES)
    finally:
        os.kill(stop, 9)
        os.waitpid(stop, 0)
        arm.close()
        node.destroy_node()
        rclpy.shutdown()
    lost_episodes = session.close()
    settled = memory[min(3, len(memory) - 1)]
    return {
        "cell": "recording: two cameras",
        "minutes": minutes,
        "steps": steps,
        "lost": max(0, round(60.0 * minutes * robot.rate_hz) - steps),
        "lost_episodes": lost_episodes,
        "memory_growth": round(max(memory) / settled - 1.0, 3),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "control_p99_ms": round(float(np.percentile(late_ms, 99)), 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _publish(robot: Any) -> None:
    """An arm that stands still, and two cameras whose pictures change."""
    import rclpy
    from geometry_msgs.msg import PoseStamped
    from sensor_msgs.msg import Image, JointState

    from robot_policy_ros import conversions as convert
    from robot_policy_ros.qos import SENSOR

    rclpy.init(args=[])
    node = rclpy.create_node("synthetic")
    joints = np.array([0.0, 0.2, 0.0, -2.2, 0.0, 2.4, 0.8])
    pose = robot.kinematics.pose(joints)
    states = node.create_publisher(JointState, robot.joint_states_topic, SENSOR)
    poses = node.create_publisher(PoseStamped, robot.ee_pose_topic, SENSOR)
    cameras = {
        name: node.create_publisher(Image, robot.cameras[name].image_topic, SENSOR)
        for name in ("left", "right")
    }
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (480, 640, 3), np.uint8) // 8 + 100 for _ in range(4)]
    count = [0]

    def state() -> None:
        stamp_ns = node.get_clock().now().nanoseconds
        names = [*robot.joint_names, robot.gripper.joint]
        message = JointState(name=names, position=[float(x) for x in np.append(joints, 0.04)])
        message.header.stamp = convert.stamp_from_ns(stamp_ns)
        position, R = pose[:3, 3], pose[:3, :3]
        poses.publish(convert.pose_message(position, R, frame=robot.base_frame, stamp_ns=stamp_ns))
        states.publish(message)

    def look() -> None:
        count[0] += 1
        stamp_ns = node.get_clock().now().nanoseconds
        for name, publisher in cameras.items():
            image = pictures[count[0] % len(pictures)]
            message = convert.image_message(image, frame=name, stamp_ns=stamp_ns)
            publisher.publish(message)

    node.create_timer(1 / 50, state)
    node.create_timer(1 / 30, look)
    rclpy.spin(node)


def main(arguments: Sequence[str] | None = None) -> int:
    """Records once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args(arguments)
    row = measure(given.minutes, FOLDER / "recording")
    write_json(given.json, row)
    print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
