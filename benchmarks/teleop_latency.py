"""From an event of a device to the command: over ROS topics, and from a key in the browser."""

import argparse
import os
import random
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import support_path  # noqa: F401  puts the tests' support on the path
from jobs import Job
from measure import ROOT, Target

from robot_policy.core.files import read_json, write_json

FOLDER = ROOT / "runs" / "teleop"
EVENTS = 200
_KINDS = {"topic": (5.0, 15.0), "browser": (25.0, 60.0)}


def jobs() -> list[Job]:
    """One per way."""
    return [
        Job(
            f"latency-{kind}",
            ("benchmarks/teleop_latency.py", "--kind", kind, "--json", str(_result(kind))),
            _result(kind),
            alone=True,
        )
        for kind in _KINDS
    ]


def rows() -> list[dict[str, Any]]:
    """What has been measured."""
    return [read_json(_result(kind)) for kind in _KINDS if _result(kind).exists()]


def targets(known: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Median and 99th percentile, of each way."""
    found: list[Target] = []
    for kind, (p50, p99) in _KINDS.items():
        row = known.get(f"latency: {kind}")
        what = {
            "topic": "device event to command on the topic",
            "browser": "browser key to command",
        }
        for name, most in (("p50", p50), ("p99", p99)):
            measured = None if row is None else row[f"{name}_ms"]
            found.append(
                Target(
                    f"{kind}_latency_{name}",
                    f"{what[kind]}: under {most:g} ms {name}",
                    measured,
                    "ms",
                    measured is not None and measured < most,
                    f"python benchmarks/teleop.py --only latency-{kind}",
                )
            )
    return found


def _result(kind: str) -> Path:
    return FOLDER / f"latency-{kind}.json"


def measure_topic(count: int) -> list[float]:
    """Milliseconds from publishing a twist to receiving the arm's command, in other threads."""
    import rclpy
    from geometry_msgs.msg import PoseStamped, TwistStamped
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import JointState

    from robot_policy.core.robot import load_robot
    from robot_policy.teleop.device import DeviceSettings
    from robot_policy.teleop.driving import Driving
    from robot_policy.teleop.episodes import Episodes
    from robot_policy.teleop.loop import TeleopLoop, Wake
    from robot_policy.teleop.mapping import Mapping as HandMapping
    from robot_policy.teleop.mapping import MappingConfig
    from robot_policy.teleop.session import Session
    from robot_policy_ros import conversions as convert
    from robot_policy_ros.composition import localhost_environment
    from robot_policy_ros.devices.twist import TwistDevice
    from robot_policy_ros.qos import COMMAND, SENSOR
    from robot_policy_ros.teleop_arm import RosTeleopArm

    os.environ.update(localhost_environment(random.SystemRandom().randint(1, 101)))
    rclpy.init(args=[])
    robot = load_robot("panda_twin")
    joints = np.array([0.0, 0.2, 0.0, -2.2, 0.0, 2.4, 0.8])
    assert robot.kinematics is not None
    assert robot.ee_pose_topic is not None
    pose = robot.kinematics.pose(joints)
    far = rclpy.create_node("arm_and_hand")
    states = far.create_publisher(JointState, robot.joint_states_topic, SENSOR)
    poses = far.create_publisher(PoseStamped, robot.ee_pose_topic, SENSOR)
    hand = far.create_publisher(TwistStamped, "teleop/twist", COMMAND)
    got = threading.Event()
    received: list[tuple[int, bool]] = []
    wanted = [False]

    def publish_state() -> None:
        stamp_ns = far.get_clock().now().nanoseconds
        names = (*robot.joint_names, robot.gripper.joint)
        values = np.append(joints, 0.04)
        message = JointState(name=list(names), position=[float(x) for x in values])
        message.header.stamp = convert.stamp_from_ns(stamp_ns)
        poses.publish(
            convert.pose_message(
                pose[:3, 3], pose[:3, :3], frame=robot.base_frame, stamp_ns=stamp_ns
            )
        )
        states.publish(message)

    def command(message: TwistStamped) -> None:
        moves = abs(message.twist.linear.x) > 1e-6
        if moves == wanted[0] and not got.is_set():
            received.append((time.monotonic_ns(), moves))
            got.set()

    far.create_subscription(TwistStamped, robot.command.topic, command, COMMAND)
    far.create_timer(0.02, publish_state)
    executor = SingleThreadedExecutor()
    executor.add_node(far)
    spinner = threading.Thread(target=executor.spin, daemon=True)
    spinner.start()
    near = rclpy.create_node("teleop")
    arm = RosTeleopArm(near, robot, robot.spec())
    wake = Wake()
    device = TwistDevice.open(DeviceSettings(robot, woken=wake), near)
    mapping = HandMapping(robot, MappingConfig(smoothing_s=0.0))
    session = Session(Driving(robot, mapping), Episodes(None, robot.spec()))
    loop = TeleopLoop(arm, device, session, wake=wake)
    thread = threading.Thread(target=loop.run)
    thread.start()
    time.sleep(2.0)
    rng = random.Random(0)
    delays: list[float] = []
    still_on = threading.Event()
    try:
        while len(delays) < count:
            wanted[0] = not wanted[0]
            got.clear()
            message = convert.twist_message(
                np.array([0.01 if wanted[0] else 0.0, 0, 0, 0, 0, 0]),
                dt_s=robot.dt_s,
                frame=robot.base_frame,
                stamp_ns=far.get_clock().now().nanoseconds,
            )
            sent_ns = time.monotonic_ns()
            hand.publish(message)
            if got.wait(2.0):
                delays.append((received[-1][0] - sent_ns) * 1e-6)
            still_on.wait(0.1 + 0.1 * rng.random())
    finally:
        loop.stop()
        thread.join()
        arm.close()
        executor.shutdown()
        spinner.join(timeout=5.0)
        near.destroy_node()
        far.destroy_node()
        rclpy.shutdown()
    return delays


def measure_browser(count: int) -> list[float]:
    """Milliseconds from a key that is pressed in Chromium, or let go, to the arm's command."""
    from chromium import Page
    from driven_arm import DrivenArm
    from teleop_rig import beside, console

    arm = DrivenArm()
    rng = random.Random(0)
    delays: list[float] = []
    with (
        console(arm, None) as rig,
        beside(threading.Thread(target=rig.loop.run), rig.loop),
        tempfile.TemporaryDirectory() as folder,
        Page(Path(folder) / "profile") as page,
    ):
        page.open(rig.url)
        page.wait_for("state && state.phase === 'idle'")
        down = False
        while len(delays) < count:
            down = not down
            before = len(arm.actions)
            sent_ns = time.monotonic_ns()
            page.key("KeyW", down=down)
            number = _first(arm, before, moves=down)
            if number is not None:
                delays.append((arm.sent_ns[number] - sent_ns) * 1e-6)
            arm.reset(0)
            time.sleep(0.08 + 0.1 * rng.random())
    return delays


def _first(arm: Any, before: int, *, moves: bool) -> int | None:
    deadline_s = time.monotonic() + 2.0
    while time.monotonic() < deadline_s:
        for number in range(before, len(arm.sent_ns)):
            if bool(arm.actions[number][:6].any()) == moves:
                return number
        time.sleep(0.0005)
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures one way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=list(_KINDS), required=True)
    parser.add_argument("--count", type=int, default=EVENTS)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args(arguments)
    measure = measure_topic if given.kind == "topic" else measure_browser
    delays = np.array(measure(given.count))
    row = {
        "cell": f"latency: {given.kind}",
        "events": len(delays),
        "p50_ms": round(float(np.percentile(delays, 50)), 2),
        "p99_ms": round(float(np.percentile(delays, 99)), 2),
        "max_ms": round(float(delays.max()), 2),
        "load_average": round(os.getloadavg()[0], 1),
    }
    write_json(given.json, row)
    print(row)


if __name__ == "__main__":
    main()
