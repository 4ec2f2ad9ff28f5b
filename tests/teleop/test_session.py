"""Sessions with a fake clock: who drives, what is recorded, and what goes wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.registry import FORMATS
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.disk import DiskWatch
from robot_policy.teleop.driving import Driver, Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.mapping import Mapping, MappingConfig
from robot_policy.teleop.session import Phase, Session

ROBOT = load_robot("panda_twin")
PERIOD_NS = 50_000_000
FORMAT = FORMATS["lerobot_v3"]
FORWARD = np.array([0.4, 0, 0, 0, 0, 0])


class Backwards:
    """A policy that always goes back, more than it may."""

    def __init__(self) -> None:
        self.spec = replace(ROBOT.spec(), horizon=8)
        self.calls = 0

    def reset(self) -> None:
        pass

    def sample(self, windows: Windows, *, num_samples: int, generator: object) -> Candidates:
        self.calls += 1
        chunk = np.tile(np.array([-0.04, 0, 0, 0, 0, 0, 1], np.float32), (1, num_samples, 8, 1))
        return Candidates(chunk)


class Rig:
    """A session, an arm that stays where it is, and time."""

    def __init__(
        self,
        output: Path | None,
        *,
        policy: Backwards | None = None,
        disk: DiskWatch | None = None,
        resets: bool = True,
    ) -> None:
        agent = None if policy is None else Agent(policy, ROBOT, config=AgentConfig())
        driving = Driving(ROBOT, Mapping(ROBOT, MappingConfig(smoothing_s=0.0)), agent=agent)
        self.starts: list[int] = []
        episodes = Episodes(output, ROBOT.spec(), interventions=policy is not None, disk=disk)
        self.session = Session(
            driving, episodes, task="push", reset=self.starts.append if resets else None
        )
        self.now_ns = 0
        self.stamp_ns = 0
        joints = np.array([0.0, 0.2, 0.0, -2.2, 0.0, 2.4, 0.8])
        assert ROBOT.kinematics is not None
        pose = ROBOT.kinematics.pose(joints)
        self.state = ROBOT.proprioception(
            joint_positions=joints, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
        )

    def step(
        self,
        velocity: NDArray[np.floating] | None = None,
        *commands: Command,
        count: int = 1,
        gripper: float | None = None,
    ) -> None:
        for _ in range(count):
            self.now_ns += PERIOD_NS
            self.stamp_ns += PERIOD_NS
            controls = Controls(
                self.now_ns,
                velocity is not None,
                velocity=np.zeros(6) if velocity is None else velocity,
                gripper=gripper,
            )
            self.session.step(
                Observation(self.stamp_ns, self.state),
                controls,
                now_ns=self.now_ns,
                commands=commands,
            )
            commands = ()

    def blind(self, *, seconds: float) -> None:
        for _ in range(round(seconds * 20)):
            self.now_ns += PERIOD_NS
            self.stamp_ns += PERIOD_NS
            self.session.step(None, None, now_ns=self.now_ns, problem="joint_states: no message")

    @property
    def action(self) -> NDArray[np.float32]:
        assert self.session.driven is not None
        return self.session.driven.action

    @property
    def told(self) -> str:
        return " | ".join(message.text for message in self.session.messages)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return tmp_path / "set"


def test_nothing_moves_without_the_dead_man_and_within_limits_with_it() -> None:
    rig = Rig(None)
    rig.step()
    assert not rig.action[:6].any()
    rig.step(FORWARD)
    assert rig.action[0] > 0
    rig.step(100.0 * FORWARD)
    assert rig.action[0] <= ROBOT.command.high[0]
    rig.step()
    assert not rig.action[:6].any()


def test_old_words_of_a_device_do_not_move_the_arm() -> None:
    rig = Rig(None)
    rig.step(FORWARD)
    old = Controls(rig.now_ns, True, velocity=FORWARD)
    for seconds, moves in ((0.2, True), (0.3, False)):
        now_ns = rig.now_ns + round(seconds * 1e9)
        observation = Observation(now_ns, rig.state)
        rig.session.step(observation, old, now_ns=now_ns)
        assert bool(rig.action[:6].any()) is moves
    assert "fallen silent" in rig.told


def test_an_episode_begins_with_motion_and_is_kept_with_its_outcome(dataset: Path) -> None:
    rig = Rig(dataset)
    rig.step(None, Command.START)
    assert rig.session.phase == Phase.RECORDING
    rig.step(count=10)  # reading the screen is not part of it
    rig.step(FORWARD, count=5, gripper=1.0)
    rig.step(count=2)
    rig.step(None, Command.SUCCESS)
    assert rig.session.close() == 0
    (episode,) = FORMAT.read(dataset)
    assert len(episode) == 7
    assert episode.success == Success.YES
    assert episode.task == "push"
    assert (episode.actions[:5, 0] > 0).all()
    assert (episode.actions[:, -1] == 1.0).all()  # stays closed when the hand lets go
    assert episode.intervention is None
    assert rig.starts == [1]
    assert episode.metadata["seed"] == 0


def test_discard_and_undo_forget_episodes(dataset: Path) -> None:
    rig = Rig(dataset)
    for outcome in (Command.SUCCESS, Command.FAILURE, Command.SUCCESS):
        rig.step(None, Command.START)
        rig.step(FORWARD, count=4)
        rig.step(None, outcome)
    rig.step(None, Command.UNDO)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=9)
    rig.step(None, Command.DISCARD)
    assert rig.session.close() == 0
    assert [e.success for e in FORMAT.read(dataset)] == [Success.YES, Success.NO]
    assert FORMAT.open(dataset).statistics(1)
    rig = Rig(dataset)
    rig.step(None, Command.UNDO)  # was recorded in another session
    assert "no episode of this session" in rig.told
    rig.step(None, Command.START)
    rig.step(FORWARD, count=3)
    rig.step(None, Command.STOP)
    rig.session.close()
    assert [len(e) for e in FORMAT.read(dataset)] == [4, 4, 3]


def test_the_only_episode_can_be_taken_back(dataset: Path) -> None:
    rig = Rig(dataset)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=4)
    rig.step(None, Command.SUCCESS, Command.UNDO)
    rig.session.close()
    assert not FORMAT.detect(dataset)


def test_an_emergency_stop_holds_until_released() -> None:
    rig = Rig(None)
    rig.step(FORWARD, Command.EMERGENCY_STOP)
    assert rig.session.phase == Phase.STOPPED
    rig.step(FORWARD, Command.START)
    assert not rig.action[:6].any()
    assert "stopped" in rig.told
    rig.step(None, Command.RELEASE)
    rig.step(FORWARD)
    assert rig.action[0] > 0


def test_a_person_takes_over_from_a_policy_and_gives_back(dataset: Path) -> None:
    policy = Backwards()
    rig = Rig(dataset, policy=policy)
    rig.step(None, Command.START, Command.RUN_POLICY)
    rig.step(count=5)
    assert rig.session.driven is not None
    assert rig.session.driven.driver == Driver.POLICY
    assert rig.action[0] < 0
    rig.step(FORWARD, count=4)
    assert rig.session.phase == Phase.INTERVENTION
    assert rig.action[0] > 0
    rig.step()  # just let go: holds first
    assert not rig.action[:6].any()
    calls = policy.calls
    rig.step(count=12)
    assert rig.action[0] < 0
    assert policy.calls > calls
    rig.step(None, Command.SUCCESS)
    rig.session.close()
    (episode,) = FORMAT.read(dataset)
    assert episode.intervention is not None
    assert episode.policy_actions is not None
    flagged = episode.intervention
    assert flagged.sum() == 4
    assert (episode.actions[flagged, 0] > 0).all()
    assert (episode.policy_actions[:, 0] < 0).all()
    np.testing.assert_array_equal(episode.actions[~flagged], episode.policy_actions[~flagged])
    assert (episode.actions[~flagged, 0] < 0).all()  # the arm stood still after the hand let go
    assert episode.metadata["interventions"] == 4


def test_an_arm_that_is_lost_is_held_and_what_was_recorded_is_kept(dataset: Path) -> None:
    rig = Rig(dataset)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=5)
    rig.blind(seconds=0.5)
    assert not rig.action[:6].any()
    assert rig.session.phase == Phase.RECORDING
    rig.blind(seconds=1.0)
    assert rig.session.phase == Phase.IDLE
    assert "joint_states: no message" in rig.told
    rig.step()
    assert "the arm is back" in rig.told
    rig.session.close()
    assert [len(e) for e in FORMAT.read(dataset)] == [5]


@pytest.mark.parametrize("jump_s", [-2.0, 3.0])
def test_a_clock_that_jumps_stops_the_arm_and_keeps_the_episode(
    dataset: Path, jump_s: float
) -> None:
    rig = Rig(dataset)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=5)
    rig.stamp_ns += round(jump_s * 1e9)
    rig.step(FORWARD)
    assert rig.session.phase == Phase.STOPPED
    assert not rig.action[:6].any()
    assert "the clock has jumped" in rig.told
    rig.session.close()
    assert [len(e) for e in FORMAT.read(dataset)] == [5]


def test_recording_stops_before_the_disk_is_full(dataset: Path) -> None:
    free = [10**9]
    disk = DiskWatch(dataset, reserve_bytes=5 * 10**8, free_bytes=lambda _: free[0])
    rig = Rig(dataset, disk=disk)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=30)
    free[0] = 10**8
    rig.step(FORWARD, count=30)
    assert rig.session.phase == Phase.IDLE
    assert "only 100 MB are free" in rig.told
    assert rig.action[0] > 0  # the arm can still be driven
    rig.step(None, Command.START)
    assert rig.session.phase == Phase.IDLE
    free[0] = 10**9
    rig.step(count=25)
    rig.step(None, Command.START)
    assert rig.session.phase == Phase.RECORDING
    rig.session.close()
    (episode,) = FORMAT.read(dataset)
    assert len(episode) >= 30


def test_a_dataset_of_another_shape_is_refused(dataset: Path) -> None:
    rig = Rig(dataset)
    rig.step(None, Command.START)
    rig.step(FORWARD, count=5)
    rig.session.close()  # keeps what is under way
    assert [e.success for e in FORMAT.read(dataset)] == [Success.UNKNOWN]
    with pytest.raises(SpecError):
        Episodes(dataset, ROBOT.spec(cameras=("wrist",)))
    with pytest.raises(SpecError):
        Episodes(dataset, ROBOT.spec(), interventions=True)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Command.SUCCESS, "is not under way"),
        (Command.DISCARD, "nothing to discard"),
        (Command.UNDO, "no episode of this session"),
        (Command.RUN_POLICY, "--policy"),
        (Command.START, "--output"),
    ],
)
def test_what_cannot_be_done_is_said_and_does_no_harm(command: Command, line: str) -> None:
    rig = Rig(None)
    rig.step(FORWARD, command)
    assert line in rig.told
    assert rig.action[0] > 0


def test_what_is_read_twice_in_a_period_is_one_reading() -> None:
    pressed = Controls(1, True, shift=np.full(6, 0.01), gripper=1.0, commands=(Command.START,))
    both = pressed.followed_by(Controls(2, False, shift=np.full(6, 0.02)))
    assert both.gripper == 1.0
    assert both.active  # or the gripper would not be let through
    assert both.commands == (Command.START,)
    np.testing.assert_allclose(both.shift, 0.03)
    assert not Controls(1, True).followed_by(Controls(2, False)).active


def test_an_instruction_counts_that_is_given_just_before_the_start(dataset: Path) -> None:
    rig = Rig(dataset)
    rig.step()
    rig.session.task = "push it away"
    rig.step(FORWARD, Command.START)
    rig.session.task = "too late for this one"
    rig.step(FORWARD, count=3)
    rig.step(None, Command.SUCCESS)
    rig.session.close()
    assert [e.task for e in FORMAT.read(dataset)] == ["push it away"]
