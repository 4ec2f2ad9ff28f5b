"""Runs the agent in one environment, one seed after the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.runtime.agent import Agent, AgentConfig
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
    """

    task: str
    spec: PolicySpec
    agent: AgentConfig
    max_steps: int | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """An episode's outcome and the (T, A) actions that give it again from its seed."""

    result: EpisodeResult
    actions: NDArray[np.float32]


class EpisodeRunner:
    """One environment and the agent in it, the same agent that runs on the arm.

    Args:
        job: What to run.
        policy: Asked by the agent.

    Raises:
        UnknownNameError: If there is no such task, robot or camera.
        SpecError: If the policy does not fit the environment.
        ConfigError: If `max_steps` or the executed part of a chunk is out of range.
    """

    def __init__(self, job: Job, policy: RemotePolicy) -> None:
        spec = job.spec
        self._policy = policy
        self._agent = Agent(policy, load_robot(spec.robot), config=job.agent)
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
        observation = self._environment.reset(seed)
        actions: list[NDArray[np.float32]] = []
        policy_ms: list[float] = []
        limited_steps, total, success = 0, 0.0, False
        stop: tuple[str, ...] = ()
        while len(actions) < self.max_steps:
            decision = self._agent.act(observation)
            if self._agent.planning_ns is not None:
                policy_ms.append(round(self._policy.duration_ns / 1e6, 3))
            if decision.stop:
                stop = decision.reasons
            elif decision.reasons:
                limited_steps += 1
            step = self._environment.step(decision.action)
            actions.append(decision.action)
            observation, success = step.observation, step.success
            total += step.reward
            if step.done:
                break
        result = EpisodeResult(
            seed=seed,
            success=success,
            steps=len(actions),
            return_=total,
            stop=stop,
            limited_steps=limited_steps,
            policy_ms=tuple(policy_ms),
        )
        return Rollout(result, np.stack(actions))

    def close(self) -> None:
        """Releases the simulator."""
        self._environment.close()


def _image_size(spec: PolicySpec) -> tuple[int, int] | None:
    sizes = {camera.shape[:2] for camera in spec.cameras.values()}
    if len(sizes) > 1:
        raise ConfigError(
            "the twin renders all cameras in one size", where="cameras", got=sorted(sizes)
        )
    return next(((int(height), int(width)) for height, width in sizes), None)
