"""The lifecycle node that runs a policy on an arm."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.policy import Policy
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy_ros.arm_commands import ArmCommands
from robot_policy_ros.control_loop import ControlLoop
from robot_policy_ros.inputs import Inputs
from robot_policy_ros.node_config import PolicyNodeConfig, declare
from robot_policy_ros.node_main import node_main
from robot_policy_ros.status_message import diagnostic_array, status_message
from robot_policy_ros.subscriptions import Subscriptions
from robot_policy_ros.warm_up import warm_up

_DIAGNOSTICS_PERIOD_S = 1.0


def load_checkpoint(config: PolicyNodeConfig) -> Policy:
    """Loads the policy of a checkpoint and bounds the threads that it may use."""
    import torch  # seconds, and of no use before a policy is loaded

    from robot_policy.checkpoint import load_policy

    torch.set_num_threads(config.threads)
    return load_policy(config.checkpoint, device=config.device)


@dataclass(frozen=True, slots=True)
class _Configured:
    """What ``configure`` builds and ``cleanup`` releases."""

    inputs: Inputs
    loop: ControlLoop
    subscriptions: Subscriptions
    commands: ArmCommands
    watchdog: Timer


class PolicyNode(LifecycleNode):
    """Reads an arm's topics, asks the agent, publishes commands.

    ``configure`` loads and warms up, ``activate`` starts an episode, ``deactivate`` holds the arm
    and stops, ``cleanup`` releases everything. ``~/reset`` starts a new episode and clears a
    fault. Topics and names are those of the robot description.

    Args:
        name: Of the node.
        load: Loads the policy.
        options: For rclpy.
    """

    def __init__(
        self,
        name: str = "policy_node",
        *,
        load: Callable[[PolicyNodeConfig], Policy] = load_checkpoint,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        declare(self, PolicyNodeConfig.SETTINGS)
        self._load = load
        self._parts: _Configured | None = None
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._diagnostics_timer = self.create_timer(_DIAGNOSTICS_PERIOD_S, self._diagnose)
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads robot and checkpoint, checks that they fit each other, and plans a few times."""
        try:
            self._parts = self._configure(PolicyNodeConfig.from_parameters(self))
        except RobotPolicyError as error:
            self.get_logger().error(f"cannot configure: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            self.get_logger().error(f"cannot configure: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Starts an episode."""
        assert self._parts is not None
        result = super().on_activate(state)
        self._start_episode(self._parts)
        self._parts.loop.start()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the control thread, holds the arm and says how the episode went."""
        assert self._parts is not None
        self._parts.loop.stop()
        self._diagnose()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases policy, subscriptions and publishers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Holds the arm if it was active, and releases everything."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Holds the arm and goes back to unconfigured."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Holds the arm if it was active, and ends the control thread."""
        self._release()
        super().destroy_node()

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _configure(self, config: PolicyNodeConfig) -> _Configured:
        policy = self._load(config)
        spec = policy.spec
        robot = load_robot(config.robot or spec.robot)
        _check_privileged_state(spec, robot.environment_state_topic, robot.name)
        agent = Agent(
            policy,
            robot,
            config=AgentConfig(config.execute_steps, config.num_samples),
        )
        planning_ms = warm_up(agent)
        rate_hz = config.rate_hz or robot.rate_hz
        max_age_ns = round(config.max_age_s * 1e9)
        inputs = Inputs(robot, spec, max_age_ns=max_age_ns, instruction=config.instruction)
        commands = ArmCommands(self, robot, on_fault=self._on_fault)
        loop = ControlLoop(
            agent,
            inputs,
            commands,
            period_ns=round(1e9 / rate_hz),
            max_age_ns=max_age_ns,
            now_ns=self._now_ns,
        )
        watchdog = self.create_timer(1.0 / rate_hz, loop.watch)
        subscriptions = Subscriptions(self, robot, spec=spec, inputs=inputs, arrived=loop.notify)
        self._log_readiness(f"{config.checkpoint} on {robot.name}", rate_hz, planning_ms)
        return _Configured(inputs, loop, subscriptions, commands, watchdog)

    def _log_readiness(self, what: str, rate_hz: float, planning_ms: float) -> None:
        logger = self.get_logger()
        logger.info(f"{what} at {rate_hz:g} Hz, a plan takes {planning_ms:.0f} ms")
        if planning_ms > 1e3 / rate_hz:
            logger.warning(
                "a plan takes longer than a control period: the arm waits once per chunk"
            )

    def _start_episode(self, parts: _Configured) -> None:
        # Both may change from episode to episode.
        parts.inputs.instruction = str(self.get_parameter("instruction").value)
        parts.loop.reset(seed=int(self.get_parameter("seed").value or 0))

    def _release(self) -> None:
        parts, self._parts = self._parts, None
        if parts is None:
            return
        parts.loop.stop()
        parts.subscriptions.destroy()
        parts.commands.destroy()
        self.destroy_timer(parts.watchdog)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        if self._parts is None:
            response.message = "not configured"
            return response
        self._start_episode(self._parts)
        self._diagnose()
        response.success = True
        response.message = f"episode with seed {self.get_parameter('seed').value}"
        return response

    def _on_fault(self, reason: str) -> None:
        self.get_logger().error(f"fault, holding until ~/reset: {reason}")
        self._diagnose()

    def _diagnose(self) -> None:
        """Publishes the state of the control loop."""
        name = self.get_fully_qualified_name()
        parts, now_ns = self._parts, self._now_ns()
        level, message, values = DiagnosticStatus.OK, "not configured", dict[str, str]()
        if parts is not None:
            active, fault = parts.loop.running, parts.loop.fault
            problems = parts.inputs.problems(now_ns) if active else ()
            message = "running" if active else "not active"
            if fault is not None:
                level, message = DiagnosticStatus.ERROR, f"fault: {fault}"
            elif problems:
                level, message = DiagnosticStatus.WARN, "; ".join(problems)
            values = {"active": str(active).lower(), "fault": fault or ""}
            values |= parts.loop.statistics.values()
            ages = parts.inputs.ages_s(now_ns)
            values |= {f"age of {n} [s]": f"{age:.3f}" for n, age in ages.items()}
        status = status_message(name, level=level, message=message, values=values)
        self._diagnostics.publish(diagnostic_array(status, stamp_ns=now_ns))


def _check_privileged_state(spec: PolicySpec, topic: str | None, robot: str) -> None:
    if spec.environment_state is not None and topic is None:
        raise ConfigError(
            "the policy needs observation.environment_state",
            where=f"robot {robot}",
            hint="it is privileged simulator state, and this robot offers no topic for it",
        )


def main() -> int:
    """Entry point."""
    return node_main(PolicyNode)


if __name__ == "__main__":
    sys.exit(main())
