"""What becomes of observations and commands in an episode; no ROS, times by hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_policy.core.episode import Success
from robot_policy.core.robot import CommandInterface, RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace, image_spec
from robot_policy_ros.command_log import CommandLog
from robot_policy_ros.episode_capture import CaptureError, EpisodeCapture
from robot_policy_ros.inputs import EE_POSE, JOINT_STATES, Inputs, Joints, Pose

MS = 1_000_000
PERIOD = 50 * MS


class Rig:
    """An arm whose messages arrive when told."""

    def __init__(self, robot: RobotDescription, *, spool: Path | None = None) -> None:
        spec = replace(robot.spec(), cameras={"wrist": image_spec(2, 2)})
        self.inputs = Inputs(robot, spec, max_age_ns=300 * MS, instruction="")
        self.commands = CommandLog(robot)
        self.capture = EpisodeCapture(
            robot, spec, inputs=self.inputs, commands=self.commands, spool=spool
        )

    def observe(self, at_ms: float, *, image: int = 0, finger_m: float = 0.04) -> None:
        stamp_ns = round(at_ms * MS)
        self.inputs.put("wrist", np.full((2, 2, 3), image, np.uint8), stamp_ns=stamp_ns)
        self.inputs.put(EE_POSE, Pose(np.zeros(3), np.eye(3)), stamp_ns=stamp_ns)
        self.inputs.put(JOINT_STATES, Joints(np.zeros(7), finger_m), stamp_ns=stamp_ns)
        self.capture.observe(stamp_ns)

    def command(self, at_ms: float, lift_m: float, gripper: float = 0.0) -> None:
        stamp_ns = round(at_ms * MS)
        self.commands.put_gripper(gripper, stamp_ns=stamp_ns)
        motion = np.array([0, 0, lift_m, 0, 0, 0])
        self.commands.put_motion(motion, stamp_ns=stamp_ns)


@pytest.fixture(params=[False, True], ids=["memory", "spool"])
def rig(robot: RobotDescription, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(robot, spool=tmp_path / "spool" if request.param else None)
    yield made
    made.capture.close()


def test_an_action_is_what_was_commanded_after_its_observation(rig: Rig) -> None:
    rig.command(990, 0.9)
    rig.capture.start("lift")
    for step in range(4):
        rig.observe(1000 + 50 * step, image=step)
        rig.command(1004 + 50 * step, 0.01 * step, gripper=step / 4)
    episode = rig.capture.finish(Success.YES, now_ns=1200 * MS)
    assert episode.stamps_ns.tolist() == [1000 * MS, 1050 * MS, 1100 * MS, 1150 * MS]
    assert episode.actions[:, 2] == pytest.approx([0, 0.01, 0.02, 0.03])
    assert episode.actions[:, 6] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert episode.images["wrist"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert (episode.success, episode.task) == (Success.YES, "lift")
    assert episode.metadata["recorder"] == {
        "missed_steps": 0,
        "longest_gap_s": 0.05,
        "problem": None,
    }


def test_a_faster_stream_is_taken_at_the_control_rate_with_its_own_times(rig: Rig) -> None:
    rig.capture.start("lift")
    times_ms = [1000 + 10 * i + 0.3 * (i % 2) for i in range(50)]
    for at_ms in times_ms:
        rig.observe(at_ms)
    episode = rig.capture.finish(Success.NO, now_ns=2000 * MS)
    assert len(episode) == 11
    taken = (episode.stamps_ns / MS).tolist()
    assert set(taken) <= set(np.round(times_ms, 6))
    assert np.diff(taken)[1:] == pytest.approx(50, abs=1)


def test_no_step_of_a_stream_at_the_control_rate_is_lost_to_jitter(rig: Rig) -> None:
    rng = np.random.default_rng(0)
    rig.capture.start("lift")
    for step in range(200):
        rig.observe(1000 + 50.1 * step + rng.uniform(-5, 5))
    assert rig.capture.state.steps == 200
    assert rig.capture.state.missed == 0


def test_a_period_without_a_command_has_no_motion_and_several_are_averaged(rig: Rig) -> None:
    rig.capture.start("lift")
    rig.observe(1000, finger_m=0.02)
    rig.observe(1050, finger_m=0.02)
    rig.command(1060, 0.01, gripper=1.0)
    rig.command(1080, 0.03, gripper=0.5)
    rig.observe(1100)
    rig.observe(1150)
    episode = rig.capture.finish(Success.YES, now_ns=1190 * MS)
    assert episode.actions[:, 2] == pytest.approx([0, 0.02, 0, 0])
    assert episode.actions[:, 6] == pytest.approx([0.5, 0.5, 0.5, 0.5])


def test_places_stay_until_the_next(robot: RobotDescription) -> None:
    command = replace(
        robot.command, action_space=ActionSpace.EE_POSE, interface=CommandInterface.POSE
    )
    places = replace(robot, command=command)
    log = CommandLog(places)
    assert log.action(after_ns=0, until_ns=10, gripper=0.0) is None
    log.put_motion(np.full(6, 0.3), stamp_ns=5)
    for after_ns in (0, 10, 1000):
        action = log.action(after_ns=after_ns, until_ns=after_ns + 10, gripper=1.0)
        assert action == pytest.approx([0.3] * 6 + [1.0])


def test_what_is_planned_for_later_counts_until_it_is_replaced(robot: RobotDescription) -> None:
    log = CommandLog(load_robot("panda_twin_chunk"))
    log.put_motion(np.arange(4)[:, None] * np.ones(7), stamp_ns=10 * MS)
    log.put_motion(np.full((2, 7), 9.0), stamp_ns=70 * MS)
    taken = [
        log.action(after_ns=at * MS, until_ns=(at + 50) * MS, gripper=0.0)
        for at in (0, 50, 100, 150)
    ]
    assert [a[0] for a in taken if a is not None] == [0, (1 + 9) / 2, 9, 9]


def test_a_pose_keeps_its_name_past_half_a_turn(robot: RobotDescription) -> None:
    log = CommandLog(load_robot("panda_twin_pose"))
    for step, angle in enumerate((3.1, 3.2)):
        shortest = angle if angle < np.pi else angle - 2 * np.pi
        values = np.array([0.4, 0, 0.2, shortest, 0, 0])
        log.put_motion(values, stamp_ns=(step + 1) * 10 * MS)
    action = log.action(after_ns=0, until_ns=50 * MS, gripper=0.0)
    assert action == pytest.approx([0.4, 0, 0.2, 3.15, 0, 0, 0])


def test_places_become_displacements_of_a_robot_that_is_driven_by_them() -> None:
    robot = load_robot("panda_twin_forward")
    inputs = Inputs(robot, robot.spec(), max_age_ns=300 * MS, instruction="")
    log = CommandLog(robot)
    capture = EpisodeCapture(robot, robot.spec(), inputs=inputs, commands=log)
    capture.start("turn")
    for step in range(3):
        now_ns = (1000 + 50 * step) * MS
        q = np.full(7, 0.1 * step)
        inputs.put(EE_POSE, Pose(np.zeros(3), np.eye(3)), stamp_ns=now_ns)
        inputs.put(JOINT_STATES, Joints(q, 0.04), stamp_ns=now_ns)
        capture.observe(now_ns)
        log.put_motion(q + 0.25, stamp_ns=now_ns + MS)
    episode = capture.finish(Success.YES, now_ns=1150 * MS)
    assert episode.actions[:, :7] == pytest.approx(0.25)


def test_what_the_sensors_missed_is_counted_and_not_made_up(rig: Rig) -> None:
    rig.capture.start("lift")
    for at_ms in (1000, 1050, 1250, 1300):
        rig.observe(at_ms)
    assert rig.capture.state.missed == 3
    assert rig.capture.state.longest_gap_s == pytest.approx(0.2)
    episode = rig.capture.finish(Success.UNKNOWN, now_ns=1350 * MS)
    assert len(episode) == 4
    assert episode.metadata["recorder"]["missed_steps"] == 3


def test_nothing_from_before_the_start_or_after_the_end(rig: Rig) -> None:
    rig.observe(900)
    rig.capture.start("lift")
    rig.observe(1000)
    assert rig.capture.discard() == 1
    rig.observe(1050)
    assert not rig.capture.state.recording
    rig.capture.start("lower")
    rig.observe(1100)
    episode = rig.capture.finish(Success.YES, now_ns=1150 * MS)
    assert (len(episode), episode.task) == (1, "lower")


def test_an_episode_is_begun_and_ended_once(rig: Rig) -> None:
    for act in (
        lambda: rig.capture.finish(Success.YES, now_ns=0),
        rig.capture.discard,
    ):
        with pytest.raises(CaptureError, match="no episode is under way"):
            act()
    rig.capture.start("lift")
    with pytest.raises(CaptureError, match="an episode is under way"):
        rig.capture.start("lift")
    with pytest.raises(CaptureError, match="nothing was recorded"):
        rig.capture.finish(Success.YES, now_ns=0)
    assert not rig.capture.state.recording


def test_an_image_of_another_size_is_told_and_the_rest_is_kept(rig: Rig) -> None:
    rig.capture.start("lift")
    rig.observe(1000)
    rig.observe(1050)
    rig.inputs.put("wrist", np.zeros((3, 2, 3), np.uint8), stamp_ns=1100 * MS)
    rig.inputs.put(EE_POSE, Pose(np.zeros(3), np.eye(3)), stamp_ns=1100 * MS)
    rig.inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=1100 * MS)
    rig.capture.observe(1100 * MS)
    rig.observe(1150)
    assert "observation.images.wrist: wrong shape" in str(rig.capture.state.problem)
    rig.observe(1200)
    episode = rig.capture.finish(Success.YES, now_ns=1250 * MS)
    assert (episode.stamps_ns / MS).tolist() == [1000, 1050, 1200]


def test_a_full_disk_ends_the_episode_and_keeps_it(
    robot: RobotDescription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robot_policy.data.image_stack import FileStack

    rig = Rig(robot, spool=tmp_path)
    rig.capture.start("lift")
    for step in range(3):
        rig.observe(1000 + 50 * step, image=step)

    def full(self: FileStack, image: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FileStack, "append", full)
    rig.observe(1150)
    rig.observe(1200)
    assert rig.capture.state.ended
    episode = rig.capture.finish(Success.YES, now_ns=1250 * MS)
    assert episode.images["wrist"][:, 0, 0, 0].tolist() == [0, 1]
    assert "No space left" in episode.metadata["recorder"]["problem"]
