"""The lifecycle node that runs a policy on an arm."""

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from robot_policy.core.camera_calibration import calibration_changes
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.policy import Policy
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.black_box import BlackBox
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.thread_worker import ThreadWorker
from robot_policy.runtime.warm_up import warm_up
from robot_policy.runtime.watchdog import Watchdog
from robot_policy.runtime.worker import Worker, WorkerState
from robot_policy_ros.arm_commands import ArmCommands
from robot_policy_ros.camera_transforms import CameraTransforms
from robot_policy_ros.control_loop import ControlLoop
from robot_policy_ros.fault_reports import FaultReports
from robot_policy_ros.impossible_transitions import refuse_impossible_transitions
from robot_policy_ros.input_ages import InputAges
from robot_policy_ros.inputs import Inputs, input_names
from robot_policy_ros.node_config import STEERING, PolicyNodeConfig, declare
from robot_policy_ros.node_main import node_main
from robot_policy_ros.pacing import Pace
from robot_policy_ros.policy_source import start_worker
from robot_policy_ros.status_message import diagnostic_array, status_message
from robot_policy_ros.subscriptions import InputTopics, Subscriptions

EMERGENCY_STOP = "emergency stop"
_DIAGNOSTICS_PERIOD_S = 1.0
_HOLD_AFTER_FAULT_NS = 500_000_000


@dataclass(frozen=True, slots=True)
class _Configured:
    """What ``configure`` builds and ``cleanup`` releases."""

    agent: Agent
    worker: Worker
    black_box: BlackBox
    reports: FaultReports
    inputs: Inputs
    loop: ControlLoop
    subscriptions: Subscriptions
    commands: ArmCommands
    watchdog: Timer
    transforms: CameraTransforms


class PolicyNode(LifecycleNode):
    """Reads an arm's topics, asks the agent, publishes commands.

    ``configure`` loads and warms up, ``activate`` starts an episode, ``deactivate`` holds the arm
    and stops, ``cleanup`` releases everything. Topics and names are those of the robot description.

    A fault holds the arm, writes what led to it into a bag, and half a second later takes the node
    to ``inactive``. Only a service call makes it move again: ``~/reset`` clears the fault, starts a
    new episode and, after a fault, activates the node. ``~/emergency_stop`` is a fault that
    somebody asks for.

    Args:
        name: Of the node.
        load: Makes a policy, which is then asked in a thread of this process, or a worker that is
            warm; None takes what the parameters name, see `start_worker`.
        options: For rclpy.
    """

    def __init__(
        self,
        name: str = "policy_node",
        *,
        load: Callable[[PolicyNodeConfig], Policy | Worker] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        refuse_impossible_transitions(self)
        declare(self, PolicyNodeConfig.SETTINGS)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._load = load
        self._parts: _Configured | None = None
        self._troubled = False
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._diagnostics_timer = self.create_timer(_DIAGNOSTICS_PERIOD_S, self._diagnose)
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)
        self._stop_service = self.create_service(
            Trigger, "~/emergency_stop", self._on_emergency_stop
        )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads robot and checkpoint, plans a few times, checks that they fit each other."""
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
        # What is there now stays; a collection that looks through it would make a command late.
        gc.collect()
        gc.freeze()
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
        worker, plan_ns = self._start_worker(config)
        try:
            return self._connect(config, worker, plan_ns)
        except BaseException:
            worker.close()
            raise

    def _start_worker(self, config: PolicyNodeConfig) -> tuple[Worker, int]:
        """Returns a warm worker and how long its plans take [ns]."""
        if self._load is None:
            return start_worker(config)
        made = self._load(config)
        if isinstance(made, Worker):
            return made, 0
        planner = Planner(made, num_samples=config.num_samples)
        plan_ns = warm_up(planner)
        return ThreadWorker(planner), plan_ns

    def _connect(self, config: PolicyNodeConfig, worker: Worker, plan_ns: int) -> _Configured:
        spec = worker.spec
        robot = load_robot(config.robot or spec.robot)
        _check_privileged_state(spec, robot.environment_state_topic, robot.name)
        pace = config.pace_for(robot)
        feasible = Path(config.feasible) if config.feasible else None
        agent = Agent(
            worker,
            robot,
            config=config.agent,
            # A simulation waits; an arm does not.
            patience_s=config.max_age_s if pace == Pace.OBSERVATIONS else 0.0,
            expected_latency_s=plan_ns * 1e-9,
            safety=SafetyFilter.from_robot(robot, feasible=feasible),
        )
        black_box = BlackBox()
        rate_hz = config.rate_hz or robot.rate_hz
        max_age_ns = round(config.max_age_s * 1e9)
        topics = InputTopics.parse(
            transport=config.image_transport,
            instruction=config.instruction_topic,
            goal=config.goal_image_topic,
        )
        topics.check(spec)
        ages = InputAges.parse(config.max_ages, default_s=config.max_age_s, names=input_names(spec))
        inputs = Inputs(robot, spec, max_age_ns=ages, instruction=config.instruction)
        commands = ArmCommands(self, robot, state=inputs.state, on_fault=self._on_fault)
        loop = ControlLoop(
            agent,
            inputs,
            commands,
            pace=pace,
            period_ns=round(1e9 / rate_hz),
            max_age_ns=max_age_ns,
            now_ns=self._now_ns,
            priority=config.priority if pace == Pace.CLOCK else 0,
            watchdog=Watchdog(
                config.watchdog_limits(plan_ns=plan_ns, real_time=not self._uses_sim_time)
            ),
            black_box=black_box,
        )
        watchdog = self.create_timer(1.0 / rate_hz, self._watch)
        subscriptions = Subscriptions(
            self,
            robot,
            spec=spec,
            inputs=inputs,
            arrived=loop.notify,
            topics=topics,
            black_box=black_box,
        )
        self._log_readiness(config, robot.name, pace, rate_hz=rate_hz, plan_ms=plan_ns * 1e-6)
        reports = FaultReports(config.fault_reports, robot)
        for change in calibration_changes(spec.calibrations, robot.calibrations):
            self.get_logger().warning(change)
        return _Configured(
            agent,
            worker,
            black_box,
            reports,
            inputs,
            loop,
            subscriptions,
            commands,
            watchdog,
            CameraTransforms(self, robot),
        )

    @property
    def _uses_sim_time(self) -> bool:
        return bool(self.get_parameter("use_sim_time").value)

    def _watch(self) -> None:
        """Holds the arm while a decision hangs, and ends the activity some time after a fault."""
        parts = self._parts
        if parts is None:
            return
        parts.loop.watch()
        troubled = bool(_problems(parts, self._now_ns()))
        if troubled != self._troubled:
            self._troubled = troubled
            self._diagnose()
        if parts.loop.running and _failed_for_ns(parts.loop) > _HOLD_AFTER_FAULT_NS:
            self.trigger_deactivate()

    def _log_readiness(
        self, config: PolicyNodeConfig, robot: str, pace: Pace, *, rate_hz: float, plan_ms: float
    ) -> None:
        logger = self.get_logger()
        logger.info(
            f"{config.source} on {robot} at {rate_hz:g} Hz by the {pace}, schedule "
            f"{config.schedule}, a plan takes {plan_ms:.0f} ms"
        )
        waits = pace == Pace.CLOCK or plan_ms > 1e3 / rate_hz
        if config.schedule == "receding" and waits:
            logger.warning("the arm holds while it plans; schedule async goes on meanwhile")

    def _start_episode(self, parts: _Configured) -> None:
        # Both may change from episode to episode.
        parts.inputs.instruction = str(self.get_parameter("instruction").value)
        parts.loop.reset(seed=int(self.get_parameter("seed").value or 0))

    def _release(self) -> None:
        parts, self._parts = self._parts, None
        if parts is None:
            return
        parts.loop.stop()
        parts.worker.close()
        parts.reports.wait()
        parts.subscriptions.destroy()
        parts.commands.destroy()
        parts.transforms.destroy()
        self.destroy_timer(parts.watchdog)

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        """Refuses steering that makes no sense; what does holds from the next plan on."""
        changes: dict[str, Any] = {p.name: p.value for p in parameters}
        if not STEERING.intersection(changes):
            return SetParametersResult(successful=True)
        try:
            steering = PolicyNodeConfig.steering_after(self, changes)
        except RobotPolicyError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._parts is not None:
            self._parts.agent.steering = steering
        return SetParametersResult(successful=True)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        del request
        if self._parts is None:
            response.message = "not configured"
            return response
        died = self._parts.worker.state().died
        if died is not None:
            response.message = f"{died}; configure the node anew"
            return response
        if self._parts.loop.running or self._parts.loop.fault is None:
            self._start_episode(self._parts)
        else:  # the fault has ended the activity
            self.trigger_activate()
        self._diagnose()
        response.success = True
        response.message = f"episode with seed {self.get_parameter('seed').value}"
        return response

    def _on_emergency_stop(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        del request
        if self._parts is None or not self._parts.loop.running:
            response.message = "not active: nothing moves"
            return response
        self._parts.loop.emergency_stop(EMERGENCY_STOP)
        response.success = True
        response.message = "the arm is held"
        return response

    def _on_fault(self, reason: str) -> None:
        self.get_logger().error(f"fault, holding until ~/reset: {reason}")
        if self._parts is not None:
            self._parts.reports.write(self._parts.black_box.records(), reason=reason)
        self._diagnose()

    def _diagnose(self) -> None:
        """Publishes the state of the control loop."""
        name = self.get_fully_qualified_name()
        parts, now_ns = self._parts, self._now_ns()
        level, message, values = DiagnosticStatus.OK, "not configured", dict[str, str]()
        if parts is not None:
            active, fault = parts.loop.running, parts.loop.fault
            problems = _problems(parts, now_ns)
            message = "running" if active else "not active"
            if fault is not None:
                level, message = DiagnosticStatus.ERROR, f"fault: {fault}"
            elif problems:
                level, message = DiagnosticStatus.WARN, "; ".join(problems)
            values = {"active": str(active).lower(), "fault": fault or ""}
            values |= parts.loop.statistics.values()
            values |= _worker_values(parts.worker.state())
            if parts.loop.has_priority is not None:
                granted = "granted" if parts.loop.has_priority else "not granted"
                values["real-time priority"] = granted
            values |= parts.reports.values()
            ages = parts.inputs.ages_s(now_ns)
            values |= {f"age of {n} [s]": f"{age:.3f}" for n, age in ages.items()}
            rates = parts.inputs.rates_hz()
            values |= {f"rate of {n} [Hz]": f"{rate:.1f}" for n, rate in rates.items()}
        status = status_message(name, level=level, message=message, values=values)
        self._diagnostics.publish(diagnostic_array(status, stamp_ns=now_ns))


def _problems(parts: _Configured, now_ns: int) -> tuple[str, ...]:
    """Why the arm holds while the node is active, in words."""
    if not parts.loop.running:
        return ()
    unanswered = parts.loop.unanswered
    return (*parts.inputs.problems(now_ns), *(() if unanswered is None else (unanswered,)))


def _failed_for_ns(loop: ControlLoop) -> int:
    return 0 if loop.failed_ns is None else time.monotonic_ns() - loop.failed_ns


def _worker_values(state: WorkerState) -> dict[str, str]:
    values = {"worker": state.died or "alive"}
    if state.busy_since_ns is not None:
        values["planning for [ms]"] = f"{(time.monotonic_ns() - state.busy_since_ns) * 1e-6:.0f}"
    return values


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
