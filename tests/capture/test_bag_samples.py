"""Samples out of a recording in which the arm paused."""

from pathlib import Path

import numpy as np
import pytest
from guided_motion import BOARD, REST, by_hand, guided_arm
from ideal_arm import LENS

from calibration.samples import load_samples
from robot_policy.capture.bag_samples import capture_from_bag
from robot_policy.capture.folder import CaptureFolder, CaptureSettings
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import quat_from_matrix
from robot_policy.data import ros_messages as messages
from robot_policy.data.bag_writer import BagWriter
from robot_policy.data.rosbag.bag import Bag

LEGS = 3


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pauses, pictures at every fifth message."""
    folder = tmp_path_factory.mktemp("bags") / "bag"
    arm = guided_arm()
    robot, camera = arm.robot, arm.robot.cameras["wrist"]
    with BagWriter(folder) as writer:
        for step in range(2 * REST * LEGS):
            now = arm.step(None)
            stamp = {"stamp_ns": now.stamp_ns}
            if step % 5 == 0:
                pixels = arm.picture("wrist", not_before_ns=0).pixels
                writer.write(f"/{camera.image_topic}", messages.image(pixels, **stamp), **stamp)
            place = messages.pose(
                now.base_T_ee[:3, 3],
                quat_from_matrix(now.base_T_ee[:3, :3]),
                frame=robot.base_frame,
                **stamp,
            )
            writer.write(f"/{robot.ee_pose_topic}", place, **stamp)
            names, joints = (*robot.joint_names, robot.gripper.joint), np.append(now.joints, 0.04)
            speeds = np.append(now.velocities, 0.0)
            state = messages.joint_state(names, joints, velocities=speeds, **stamp)
            writer.write(f"/{robot.joint_states_topic}", state, **stamp)
    return folder


def capture(bag: Path, folder: Path) -> int:
    robot = guided_arm().robot
    into = CaptureFolder(folder, CaptureSettings.of(robot, "eye_in_hand", ("wrist",), BOARD))
    into.begin(BOARD, {"wrist": LENS})
    tally = capture_from_bag(Bag(bag), robot, into, BOARD, cameras=("wrist",), say=lambda _: None)
    return tally.new


def test_every_pause_is_a_sample(bag: Path, tmp_path: Path) -> None:
    assert capture(bag, tmp_path / "s") == LEGS
    for leg, sample in enumerate(load_samples(tmp_path / "s").samples):
        expected = by_hand(2 * REST * leg + REST // 2)
        np.testing.assert_allclose(list(sample.joints.values()), expected, atol=1e-9)
        pose = guided_arm().robot.kinematics.pose(expected)
        np.testing.assert_allclose(sample.base_T_gripper, pose, atol=1e-6)
        assert abs(sample.stamp_ns - sample.pose_stamp_ns) < 5e8
    assert capture(bag, tmp_path / "s") == 0  # nothing twice


def test_an_arm_that_never_pauses_is_said(bag: Path, tmp_path: Path) -> None:
    robot = guided_arm().robot
    topic = f"/{robot.joint_states_topic}"
    moving = tmp_path / "moving"
    source = Bag(bag)
    with BagWriter(moving) as writer:
        names = (*robot.joint_names, robot.gripper.joint)
        for i, raw in enumerate(source.messages([topic])):
            state = messages.joint_state(names, np.full(8, 0.01 * i), stamp_ns=raw.log_ns)
            writer.write(topic, state, stamp_ns=raw.log_ns)
        for other in (robot.ee_pose_topic, robot.cameras["wrist"].image_topic):
            for raw in source.messages([f"/{other}"]):
                data = messages.RosMessage(source.types[raw.topic], raw.data)
                writer.write(raw.topic, data, stamp_ns=raw.log_ns)
    with pytest.raises(DataError, match="never stands still"):
        capture(moving, tmp_path / "s")


def test_a_missing_topic_is_named(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/other", messages.text("x"), stamp_ns=1)
    with pytest.raises(DataError, match="no topic 'wrist/image_raw'"):
        capture(tmp_path / "bag", tmp_path / "s")
