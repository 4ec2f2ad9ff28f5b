"""Which values an observation is made of; no ROS, a fake clock."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, DataError, RobotPolicyError, UnknownNameError
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ArraySpec, PolicySpec, image_spec
from robot_policy_ros.decoding_thread import DecodingThread
from robot_policy_ros.input_ages import InputAges
from robot_policy_ros.inputs import (
    EE_POSE,
    ENVIRONMENT_STATE,
    JOINT_STATES,
    Inputs,
    Joints,
    Pose,
    input_names,
)

MS = 1_000_000
AGE = 300 * MS


def with_camera(robot: RobotDescription, *names: str) -> PolicySpec:
    return replace(robot.spec(), cameras={name: image_spec(2, 2) for name in names})


def picture(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def put_arm(inputs: Inputs, stamp_ns: int, *, height: float = 0.2) -> None:
    pose = Pose(np.array([0.5, 0.0, height]), np.eye(3))
    inputs.put(EE_POSE, pose, stamp_ns=stamp_ns)
    inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=stamp_ns)


def test_the_pose_is_the_one_nearest_to_the_joints(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    put_arm(inputs, 100 * MS, height=0.1)
    inputs.put(EE_POSE, Pose(np.array([0.5, 0, 0.9]), np.eye(3)), stamp_ns=120 * MS)
    observation = inputs.observation(120 * MS)
    assert observation is not None
    assert robot.ee_position(observation.state)[2] == pytest.approx(0.1)


def test_what_belongs_to_joints_that_are_still_to_come_completes_nothing(
    robot: RobotDescription,
) -> None:
    inputs = Inputs(robot, with_camera(robot, "wrist"), max_age_ns=AGE, instruction="")
    pose, joints = Pose(np.zeros(3), np.eye(3)), Joints(np.zeros(7), 0.04)
    assert not inputs.put("wrist", picture(1), stamp_ns=100 * MS), "no joints yet"
    assert not inputs.put(EE_POSE, pose, stamp_ns=100 * MS)
    assert inputs.put(JOINT_STATES, joints, stamp_ns=100 * MS)
    assert not inputs.put("wrist", picture(2), stamp_ns=150 * MS)
    assert not inputs.put(EE_POSE, pose, stamp_ns=150 * MS)
    assert inputs.put(JOINT_STATES, joints, stamp_ns=150 * MS)
    # In another order what comes last completes it; a pose may be a little younger than the joints.
    assert inputs.put(JOINT_STATES, joints, stamp_ns=200 * MS)
    assert inputs.put("wrist", picture(3), stamp_ns=199 * MS)
    assert inputs.put(EE_POSE, pose, stamp_ns=201 * MS)
    assert not inputs.put("wrist", picture(1), stamp_ns=-AGE), "rejected: it went back in time"


def test_an_image_that_was_there_but_is_too_old_is_not_taken(robot: RobotDescription) -> None:
    inputs = Inputs(robot, with_camera(robot, "wrist"), max_age_ns=AGE, instruction="")
    inputs.put("wrist", picture(1), stamp_ns=0)
    put_arm(inputs, 310 * MS)
    inputs.put("wrist", picture(2), stamp_ns=312 * MS)
    assert inputs.problems(312 * MS) == ()
    assert inputs.observation(312 * MS) is None, "the one of before is too old, this is the future"
    put_arm(inputs, 320 * MS)
    observation = inputs.observation(320 * MS)
    assert observation is not None
    assert observation.images["wrist"][0, 0, 0] == 2


def test_every_input_may_have_its_own_limit(robot: RobotDescription) -> None:
    spec = with_camera(robot, "wrist", "agentview")
    ages = InputAges.parse("wrist=0.1, ee_pose = 0.2", default_s=0.3, names=input_names(spec))
    inputs = Inputs(robot, spec, max_age_ns=ages, instruction="")
    for camera in ("wrist", "agentview"):
        inputs.put(camera, picture(1), stamp_ns=0)
    put_arm(inputs, 0)
    assert inputs.problems(100 * MS) == ()
    assert inputs.problems(150 * MS) == ("wrist: 0.15 s old",)
    assert inputs.observation(150 * MS) is None
    assert inputs.problems(250 * MS) == ("ee_pose: 0.25 s old", "wrist: 0.25 s old")
    with pytest.raises(UnknownNameError, match=r"unknown input 'wirst'.*did you mean 'wrist'"):
        InputAges.parse("wirst=0.1", default_s=0.3, names=input_names(spec))
    for text in ("wrist", "wrist=", "wrist=0", "wrist=-1", "wrist=nan", "wrist=inf"):
        with pytest.raises(ConfigError, match="expected name=seconds"):
            InputAges.parse(text, default_s=0.3, names=input_names(spec))


def test_a_clock_that_is_ahead_is_said(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    put_arm(inputs, 1000 * MS)
    assert inputs.problems(500 * MS) == (
        "joint_states: 0.50 s ahead of this clock",
        "ee_pose: 0.50 s ahead of this clock",
    )
    assert inputs.observation(500 * MS) is None


def test_an_observation_waits_for_an_image_that_is_being_decoded(robot: RobotDescription) -> None:
    inputs = Inputs(robot, with_camera(robot, "wrist"), max_age_ns=AGE, instruction="")
    inputs.put("wrist", picture(1), stamp_ns=50 * MS)
    inputs.expect("wrist", stamp_ns=100 * MS, now_ns=101 * MS)
    put_arm(inputs, 100 * MS)
    assert inputs.observation(102 * MS) is None
    inputs.put("wrist", picture(2), stamp_ns=100 * MS)
    observation = inputs.observation(103 * MS)
    assert observation is not None
    assert observation.images["wrist"][0, 0, 0] == 2
    inputs.expect("wrist", stamp_ns=150 * MS, now_ns=151 * MS)
    put_arm(inputs, 150 * MS)
    late = inputs.observation(151 * MS + 25 * MS)
    assert late is not None, "half a period is enough"
    assert late.images["wrist"][0, 0, 0] == 2
    inputs.expect("wrist", stamp_ns=210 * MS, now_ns=200 * MS)
    put_arm(inputs, 200 * MS)
    assert inputs.observation(200 * MS) is not None, "an image of the future is not waited for"


def test_privileged_state_has_no_time_of_its_own(robot: RobotDescription) -> None:
    spec = replace(robot.spec(), environment_state=ArraySpec(shape=(1,), names=("cube_z",)))
    inputs = Inputs(robot, spec, max_age_ns=AGE, instruction="")
    put_arm(inputs, 100 * MS)
    inputs.put(ENVIRONMENT_STATE, np.ones(1), stamp_ns=104 * MS)
    observation = inputs.observation(105 * MS)
    assert observation is not None
    assert observation.environment_state == pytest.approx([1.0])


def test_an_instruction_that_was_told_outlives_an_episode(robot: RobotDescription) -> None:
    spec = replace(robot.spec(), needs_instruction=True)
    inputs = Inputs(robot, spec, max_age_ns=AGE, instruction="")
    put_arm(inputs, 100 * MS)
    assert inputs.problems(100 * MS) == ("instruction: no text",)
    assert inputs.observation(100 * MS) is None
    inputs.instruction = "from the parameter"
    assert inputs.instruction == "from the parameter"
    inputs.instruct("lift the cube")
    inputs.clear(not_before_ns=100 * MS)
    inputs.instruction = "from the parameter"
    put_arm(inputs, 110 * MS)
    observation = inputs.observation(110 * MS)
    assert observation is not None
    assert observation.instruction == "lift the cube"
    inputs.reject("instruction", "too long")
    assert inputs.problems(110 * MS) == ("instruction: too long",)


def test_a_policy_that_reads_no_instruction_does_not_wait_for_one(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    inputs.reject("instruction", "too long")
    put_arm(inputs, 100 * MS)
    assert inputs.observation(100 * MS) is not None


def test_a_goal_does_not_age(robot: RobotDescription) -> None:
    inputs = Inputs(robot, with_camera(robot, "goal"), max_age_ns=AGE, instruction="")
    put_arm(inputs, 100 * MS)
    assert inputs.problems(100 * MS) == ("goal: no image",)
    inputs.put_goal(picture(9))
    inputs.clear(not_before_ns=0)
    put_arm(inputs, 10_000 * MS)
    observation = inputs.observation(10_000 * MS)
    assert observation is not None
    assert observation.images["goal"][0, 0, 0] == 9
    inputs.reject("goal", "wrong size")
    assert inputs.problems(10_000 * MS) == ("goal: wrong size",)


def test_the_newest_picture_is_decoded_and_others_are_dropped() -> None:
    started, release, finished, last = (threading.Event() for _ in range(4))
    decoded: list[tuple[str, int]] = []
    failures: list[str] = []

    def decode(picture: str) -> str:
        started.set()
        release.wait(10)
        if picture == "bad":
            raise DataError("not readable")
        return picture.upper()

    def done(value: str, stamp_ns: int) -> None:
        decoded.append((value, stamp_ns))
        if value == "C":
            last.set()

    def failed(error: RobotPolicyError) -> None:
        failures.append(str(error))
        finished.set()

    thread = DecodingThread("wrist", decode, done=done, failed=failed)
    thread.submit("a", stamp_ns=1)
    assert started.wait(10)
    thread.submit("b", stamp_ns=2)
    thread.submit("bad", stamp_ns=3)
    release.set()
    assert finished.wait(10)
    thread.submit("c", stamp_ns=4)
    assert last.wait(10)
    thread.close()
    assert decoded == [("A", 1), ("C", 4)]
    assert failures == ["not readable"]


def test_a_stamp_that_goes_back_is_refused_until_stamps_go_on(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    put_arm(inputs, 1000 * MS)
    inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=500 * MS)
    assert inputs.problems(1000 * MS) == ("joint_states: went back in time by 0.50 s",)
    assert inputs.observation(1000 * MS) is None
    put_arm(inputs, 1050 * MS)
    assert inputs.problems(1050 * MS) == ()


def test_the_last_state_is_known_while_an_input_is_rejected(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    assert inputs.state() is None
    put_arm(inputs, 100 * MS)
    inputs.reject(JOINT_STATES, "panda_joint3 is missing")
    inputs.reject(EE_POSE, "another frame")
    state = inputs.state()
    assert state is not None
    assert robot.ee_position(state)[2] == pytest.approx(0.2)
    inputs.clear(not_before_ns=200 * MS)
    assert inputs.state() is None


def test_rates_are_told(robot: RobotDescription) -> None:
    inputs = Inputs(robot, robot.spec(), max_age_ns=AGE, instruction="")
    for tick in range(30):
        put_arm(inputs, tick * 50 * MS)
    assert inputs.rates_hz() == pytest.approx({JOINT_STATES: 20.0, EE_POSE: 20.0})
