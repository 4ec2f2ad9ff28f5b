"""The nodes over real DDS topics, in this process."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from diagnostic_msgs.msg import DiagnosticStatus
from fake_arm import FakeArm
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from numpy.typing import NDArray
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, JointState

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.steered_policy import SteeredPolicy
from robot_policy_ros.lifecycle_client import TRANSITIONS
from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.qos import LATCHED, SENSOR
from robot_policy_ros.status_message import status_values

pytestmark = pytest.mark.ros

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SlowOrFast:
    """Draws one chunk that goes up slowly, and then chunks that go up fast."""

    spec: PolicySpec = replace(load_robot("panda_twin").spec(), horizon=4)

    def reset(self) -> None:
        """Nothing."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        del generator
        actions = np.zeros((windows.batch_size, num_samples, 4, 7), np.float32)
        actions[:, :, :, 2] = 0.01
        actions[:, 0, :, 2] = 0.005
        return Candidates(actions)


class Highest:
    """Judges by how far a chunk goes up."""

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        del windows
        return candidates.actions[..., 2].sum(-1)


@pytest.fixture
def node(graph: Any, policy: Any) -> PolicyNode:
    overrides = [
        Parameter("checkpoint", value="handwritten"),
        Parameter("execute_steps", value=2),
        Parameter("max_age_s", value=0.2),
    ]
    return graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))


def test_a_policy_of_single_actions_needs_no_setting(graph: Any, policy: Any) -> None:
    policy.spec = replace(policy.spec, horizon=1)
    overrides = [Parameter("checkpoint", value="handwritten")]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    assert node.get_parameter("execute_steps").value == 0
    assert node.trigger_configure() == SUCCESS


def test_the_policy_drives_the_arm_only_while_active(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    assert node.trigger_configure() == SUCCESS
    graph.wait(lambda: arm.get_publishers_info_by_topic("/servo/delta_twist_cmds"))
    assert arm.twists == []
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: len(arm.twists) >= 5)
    twist = arm.twists[0]
    assert twist.header.frame_id == "panda_link0"
    assert twist.twist.linear.z == pytest.approx(0.01 * 20)
    assert arm.fingers[0] == pytest.approx(0.0)
    assert node.trigger_deactivate() == SUCCESS
    graph.wait(lambda: not arm.moves()[-1])
    sent = len(arm.twists)
    graph.wait(lambda: arm.statuses and arm.statuses[-1].message == "not active")
    assert len(arm.twists) == sent
    assert node.trigger_cleanup() == SUCCESS
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: len(arm.twists) > sent)


def test_a_transition_at_the_wrong_moment_is_refused_and_the_node_lives(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    client = arm.create_client(ChangeState, "policy_node/change_state")
    for label in ("activate", "deactivate", "cleanup"):
        request = ChangeState.Request(transition=Transition(id=TRANSITIONS[label]))
        future = client.call_async(request)
        graph.wait(future.done)
        assert not future.result().success
    assert node.trigger_configure() == SUCCESS


def test_commands_are_decided_at_the_control_rate(
    graph: Any, arm: FakeArm, node: PolicyNode, policy: Any
) -> None:
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: len(policy.windows) >= 3)
    # Two actions of every chunk are executed.
    graph.wait(lambda: len(arm.twists) >= 5)
    assert len(policy.windows) <= len(arm.twists) // 2 + 2


def test_stale_input_makes_the_arm_hold_until_it_is_back(
    graph: Any, arm: FakeArm, node: PolicyNode
) -> None:
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: any(arm.moves()))
    arm.silent = True
    graph.wait(lambda: arm.moves()[-3:] == [False] * 3)
    assert arm.fingers[-1] == pytest.approx(0.0), "the gripper stays as it was commanded"
    graph.wait(lambda: arm.statuses and arm.statuses[-1].level == DiagnosticStatus.WARN)
    assert "joint_states" in arm.statuses[-1].message
    arm.silent = False
    graph.wait(lambda: arm.moves()[-1])


def test_nan_is_a_fault_that_a_reset_clears(
    graph: Any, arm: FakeArm, node: PolicyNode, policy: Any
) -> None:
    node.trigger_configure()
    policy.lift_m = float("nan")
    node.trigger_activate()
    graph.wait(lambda: any(s.level == DiagnosticStatus.ERROR for s in arm.statuses))
    assert "action is not finite" in arm.statuses[-1].message
    assert status_values(arm.statuses[-1])["fault"] == "action is not finite"
    policy.lift_m = 0.01
    graph.wait(lambda: len(arm.twists) >= 5)
    assert not any(arm.moves())
    reset = arm.service("policy_node/reset")
    future = reset()
    graph.wait(future.done)
    assert future.result().success
    graph.wait(lambda: arm.moves()[-1])


def test_steering_changes_while_the_arm_moves(graph: Any, arm: FakeArm) -> None:
    steered = SteeredPolicy(SlowOrFast(), Highest(), config=SteeringConfig(), scored_steps=2)
    overrides = [Parameter("checkpoint", value="handwritten")]
    node = graph.add(PolicyNode(load=lambda _: steered, parameter_overrides=overrides))
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: arm.twists and arm.twists[-1].twist.linear.z > 0.15)
    (refused,) = node.set_parameters([Parameter("strategy", value="best")])
    assert not refused.successful
    assert "strategy" in refused.reason
    (accepted,) = node.set_parameters([Parameter("strategy", value="first")])
    assert accepted.successful
    graph.wait(lambda: arm.twists[-1].twist.linear.z < 0.15)
    arm.statuses.clear()
    graph.wait(lambda: arm.statuses)
    assert float(status_values(arm.statuses[-1])["candidate spread p50"]) > 0


def test_excessive_actions_are_limited(
    graph: Any, arm: FakeArm, node: PolicyNode, policy: Any
) -> None:
    policy.lift_m = 5.0
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: len(arm.twists) >= 3)
    assert all(m.twist.linear.z <= 0.05 * 20 + 1e-6 for m in arm.twists)
    graph.wait(lambda: any("limited" in k for s in arm.statuses for k in status_values(s)))


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"checkpoint": ""}, "no checkpoint given"),
        ({"checkpoint": "x", "robot": "panda"}, "unknown robot 'panda'; valid: "),
        ({"checkpoint": "x", "execute_steps": 9}, "expected 1 .. 4"),
        ({"checkpoint": "x", "robot": "{arm}"}, "privileged simulator state"),
    ],
)
def test_what_does_not_fit_leaves_the_node_unconfigured(
    graph: Any,
    tmp_path: Any,
    robot_yaml: str,
    privileged_policy: Any,
    capfd: pytest.CaptureFixture[str],
    overrides: dict[str, Any],
    line: str,
) -> None:
    file = tmp_path / "arm.yaml"
    file.write_text(robot_yaml.replace("  environment_state: environment_state\n", ""))
    values = {k: str(file) if v == "{arm}" else v for k, v in overrides.items()}
    node = graph.add(
        PolicyNode(
            load=lambda _: privileged_policy,
            parameter_overrides=[Parameter(k, value=v) for k, v in values.items()],
        )
    )
    assert node.trigger_configure() == FAILURE
    errors = [text for text in capfd.readouterr().err.splitlines() if "cannot configure" in text]
    assert len(errors) == 1
    assert line in errors[0]


def test_a_missing_checkpoint_is_refused_by_the_real_loader(
    graph: Any, tmp_path: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nothing"
    node = graph.add(PolicyNode(parameter_overrides=[Parameter("checkpoint", value=str(path))]))
    assert node.trigger_configure() == FAILURE
    assert f"{path}: no such checkpoint" in capfd.readouterr().err


def test_the_loop_over_topics_is_the_loop_in_process(
    graph: Any, arm: FakeArm, privileged_policy: Any
) -> None:
    from robot_policy_ros.episode import Episode
    from robot_policy_ros.twin_node import TwinNode

    arm.silent = True
    # Slower than real time, so that no command is late on a busy machine.
    rate_hz = Parameter("rate_hz", value=5.0)
    seed, steps = Parameter("seed", value=7), Parameter("max_episode_steps", value=10)
    twin = graph.add(TwinNode(parameter_overrides=[rate_hz, seed, steps]))
    settings = {"checkpoint": "handwritten", "execute_steps": 2, "max_age_s": 5.0}
    overrides = [rate_hz, *(Parameter(k, value=v) for k, v in settings.items())]
    node = graph.add(PolicyNode(load=lambda _: privileged_policy, parameter_overrides=overrides))
    episodes: list[Episode] = []
    arm.create_subscription(
        DiagnosticStatus,
        "twin_node/episode",
        lambda m: episodes.append(Episode.from_values(status_values(m))),
        LATCHED,
    )
    graph.wait(lambda: episodes and episodes[-1].seed == 7)
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: episodes[-1].finished, timeout_s=20)
    node.trigger_deactivate()
    assert episodes[-1].step == 10
    assert episodes[-1].held == 0
    seen = [windows.state[0, -1] for windows in privileged_policy.windows[:5]]
    expected = states_in_process(privileged_policy, seed=7, steps=10)
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    assert seen[-1][10] > seen[0][10] + 0.01, "the simulated arm rises"

    twin.set_parameters([Parameter("seed", value=8)])
    future = arm.service("twin_node/reset")()
    graph.wait(future.done)
    assert future.result().message == '{"seed": 8}'
    graph.wait(lambda: episodes[-1].seed == 8)
    assert episodes[-1].step == 0
    joints: list[JointState] = []
    arm.create_subscription(JointState, "joint_states", joints.append, SENSOR)
    graph.wait(lambda: joints)
    assert joints[0].name[-1] == "panda_finger_joint1"


def test_the_policy_acts_on_the_twin_s_images(
    graph: Any, arm: FakeArm, privileged_policy: Any
) -> None:

    from robot_policy.core.specs import image_spec
    from robot_policy_ros.twin_node import TwinNode

    arm.silent = True
    policy = privileged_policy
    policy.spec = replace(policy.spec, cameras={"wrist": image_spec(48, 64)})
    settings = {"cameras": "wrist", "image_height": 48, "image_width": 64}
    graph.add(TwinNode(parameter_overrides=[Parameter(k, value=v) for k, v in settings.items()]))
    settings = {"checkpoint": "handwritten", "max_age_s": 5.0, "execute_steps": 1}
    overrides = [Parameter(k, value=v) for k, v in settings.items()]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    infos: list[CameraInfo] = []
    arm.create_subscription(CameraInfo, "wrist/camera_info", infos.append, SENSOR)
    node.trigger_configure()
    policy.windows.clear()
    node.trigger_activate()
    graph.wait(lambda: len(policy.windows) >= 3 and infos, timeout_s=20)
    images = policy.windows[-1].images["wrist"][0]
    assert images.shape == (2, 48, 64, 3)
    assert images.std() > 5, "something is in the picture"
    assert infos[0].header.frame_id == "wrist_optical_frame"
    assert infos[0].k[0] > 0
    assert (infos[0].height, infos[0].width) == (48, 64)


def states_in_process(policy: Any, *, seed: int, steps: int) -> list[np.ndarray]:
    """The states at which the same agent plans in the harness."""
    from robot_policy.core.robot import load_robot
    from robot_policy.runtime.agent import Agent, AgentConfig
    from sim.registry import make_environment

    agent = Agent(policy, load_robot("panda_twin"), config=AgentConfig(execute_steps=2))
    environment = make_environment("lift")
    agent.reset(seed=0)
    observation = environment.reset(seed)
    for _ in range(steps):
        observation = environment.step(agent.act(observation).action).observation
    environment.close()
    return [windows.state[0, -1] for windows in policy.windows]
