"""Runs the agent in one environment, one seed after the other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import Observation
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.data.recorder import EpisodeRecorder
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.inline_worker import InlineWorker, latency_steps
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from sim.jerk import commanded_jerk, path_jerk
from sim.registry import make_environment
from sim.remote_policy import RemotePolicy
from sim.result import EpisodeResult


@dataclass(frozen=True, slots=True)
class Job:
    """What every episode of an evaluation has in common.

    Attributes:
        task: Name of the task.
        spec: Of the policy; names robot and cameras.
        agent: How the policy is used.
        max_steps: Actions after which an episode counts as failed; None takes the task's limit.
        record: Whether rollouts carry the whole episode.
        latency_s: From the observation to the moment its plan may be used, on the environment's
            own clock [s]: as many control steps as it covers, however fast the machine is.
        feasible: File of demonstrated states, far from which the arm stops; None for no such limit.
    """

    task: str
    spec: PolicySpec
    agent: AgentConfig
    max_steps: int | None = None
    record: bool = False
    latency_s: float = 0.0
    feasible: Path | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """An episode's outcome.

    Attributes:
        result: What is reported.
        actions: (T, A) that give it again from its seed.
        episode: All that was seen and done, where it was asked for.
    """

    result: EpisodeResult
    actions: NDArray[np.float32]
    episode: Episode | None = None


class EpisodeRunner:
    """One environment and the agent in it, the same agent that runs on the arm.

    Args:
        job: What to run.
        policy: Asked by the agent.

    Raises:
        UnknownNameError: If there is no such task, robot or camera.
        SpecError: If the policy does not fit the environment.
        ConfigError: If `max_steps` or the executed part of a chunk is out of range, or the feasible
            states are of another robot.
        DataError: If the file of feasible states is none.
    """

    def __init__(self, job: Job, policy: RemotePolicy) -> None:
        spec = job.spec
        self._policy = policy
        self._record = job.record
        self._robot = load_robot(spec.robot)
        delay = latency_steps(job.latency_s, spec.dt_s)
        planner = Planner(policy, num_samples=job.agent.num_samples)
        worker = InlineWorker(planner, latency=lambda _: delay)
        safety = SafetyFilter.from_robot(self._robot, feasible=job.feasible)
        self._agent = Agent(worker, self._robot, config=job.agent, safety=safety)
        self._environment = make_environment(
            job.task,
            cameras=tuple(spec.cameras),
            robot=spec.robot,
            image_size=_image_size(spec),
        )
        check_runs_on(spec, self._environment.spec, where=f"task {job.task}")
        limit = self._environment.max_steps
        self.max_steps = limit if job.max_steps is None else job.max_steps
        if not 1 <= self.max_steps <= limit:
            raise ConfigError(
                "out of range",
                where="max_steps",
                expected=f"1 .. {limit} (the time limit of {job.task})",
                got=self.max_steps,
            )

    def run(self, seed: int) -> Rollout:
        """Runs the episode of `seed` to success, or to the last step.

        After a stop of the safety filter the arm holds until the episode ends, as it would on
        the robot.
        """
        self._agent.reset(seed=seed)
        self._policy.steering.clear()
        recorder = EpisodeRecorder(self._environment.spec) if self._record else None
        self._policy.durations_ns.clear()
        observation = self._environment.reset(seed)
        actions: list[NDArray[np.float32]] = []
        positions = [self._position(observation)]
        limited_steps, held_steps, total, success = 0, 0, 0.0, False
        stop: tuple[str, ...] = ()
        while len(actions) < self.max_steps:
            decision = self._agent.act(observation)
            held_steps += decision.held
            if decision.stop:
                stop = decision.reasons
            elif decision.reasons:
                limited_steps += 1
            step = self._environment.step(decision.action)
            actions.append(decision.action)
            if recorder is not None:
                recorder.append(
                    observation, decision.action, reward=step.reward, success=step.success
                )
            observation, success = step.observation, step.success
            positions.append(self._position(observation))
            total += step.reward
            if step.done:
                break
        space, dt_s = self._robot.command.action_space, self._robot.dt_s
        result = EpisodeResult(
            seed=seed,
            success=success,
            steps=len(actions),
            return_=total,
            stop=stop,
            limited_steps=limited_steps,
            held_steps=held_steps,
            policy_ms=tuple(round(ns / 1e6, 3) for ns in self._policy.durations_ns),
            steering=tuple(self._policy.steering),
            jerk=_rounded(commanded_jerk(np.stack(actions), space=space, dt_s=dt_s)),
            measured_jerk=_rounded(path_jerk(np.stack(positions), dt_s=dt_s)),
        )
        episode = None
        if recorder is not None:
            episode = recorder.finish(metadata={"seed": seed, "quality": "policy"})
        return Rollout(result, np.stack(actions), episode)

    def _position(self, observation: Observation) -> NDArray[np.floating]:
        return self._robot.ee_position(observation.state)

    def close(self) -> None:
        """Releases the simulator."""
        self._environment.close()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _image_size(spec: PolicySpec) -> tuple[int, int] | None:
    sizes = {camera.shape[:2] for camera in spec.cameras.values()}
    if len(sizes) > 1:
        raise ConfigError(
            "the twin renders all cameras in one size", where="cameras", got=sorted(sizes)
        )
    return next(((int(height), int(width)) for height, width in sizes), None)
