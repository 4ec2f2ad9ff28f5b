"""Workers in a thread and in a process: answers, errors, deaths, and dropped plans."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_policy.core.errors import CheckpointError
from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.history import History
from robot_policy.runtime.inline_worker import InlineWorker
from robot_policy.runtime.planning import Planner, PlanRequest
from robot_policy.runtime.process_worker import ProcessWorker
from robot_policy.runtime.thread_worker import ThreadWorker
from robot_policy.runtime.warm_up import warm_up
from robot_policy.runtime.worker import Worker, WorkerDiedError

sys.path.insert(0, str(Path(__file__).parent))
import worker_policies  # pyright: ignore[reportMissingImports]

sys.path.remove(str(Path(__file__).parent))

WAIT_S = 60.0
ROBOT = load_robot("panda_twin")
SPEC = worker_policies.SPEC


def observation(joint: float = 0.0, *, stamp_ns: int = 0) -> Observation:
    state = ROBOT.proprioception(
        joint_positions=np.full(7, joint),
        gripper_m=0.04,
        ee_position=np.array([0.4, 0.0, 0.3]),
        base_R_ee=np.eye(3),
    )
    return Observation(stamp_ns=stamp_ns, state=state)


def request(number: int = 0, *, joint: float = 0.0, first: bool = False) -> PlanRequest:
    history = History(SPEC)
    history.observe(observation(joint))
    return PlanRequest(number, 0, first, history.windows(), np.random.SeedSequence(number))


@pytest.fixture(scope="module")
def importable() -> Iterator[None]:
    """A child process finds the policies of this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        yield


@pytest.fixture(scope="module")
def in_process(importable: None) -> Iterator[ProcessWorker]:
    worker = ProcessWorker(worker_policies.load)
    yield worker
    worker.close()


@pytest.fixture
def mortal(importable: None) -> Iterator[ProcessWorker]:
    worker = ProcessWorker(worker_policies.load)
    yield worker
    worker.close()


def test_a_process_answers_as_this_one_would(in_process: ProcessWorker) -> None:
    worker = in_process
    assert worker.spec == SPEC
    assert worker.plan_ns > 0
    here = Planner(worker_policies.RandomPolicy())
    for number in range(3):
        worker.submit(request(number))
        plan = worker.poll(tick=0, timeout_s=WAIT_S)
        assert plan is not None
        expected = here.plan(request(number)).chunk
        np.testing.assert_array_equal(plan.chunk[:, :6], expected[:, :6])
        assert worker.state().busy_since_ns is None
    assert worker.poll(tick=0) is None


def test_a_process_resets_its_policy_before_the_first_plan_of_an_episode(
    in_process: ProcessWorker,
) -> None:
    resets = []
    for number, first in enumerate([True, False, True]):
        in_process.submit(request(number, first=first))
        plan = in_process.poll(tick=0, timeout_s=WAIT_S)
        assert plan is not None
        resets.append(plan.chunk[0, 6])
    assert np.diff(resets).tolist() == [0, 1]


def test_an_error_in_the_process_is_raised_here_and_the_next_plan_is_made(
    in_process: ProcessWorker,
) -> None:
    in_process.submit(request(joint=worker_policies.UNLUCKY))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: nothing left") as caught:
        in_process.poll(tick=0, timeout_s=WAIT_S)
    assert "worker_policies.py" in "".join(caught.value.__notes__)
    in_process.submit(request(1))
    assert in_process.poll(tick=0, timeout_s=WAIT_S) is not None


def test_a_process_that_dies_over_a_plan_is_said_to_be_dead(mortal: ProcessWorker) -> None:
    mortal.submit(request(joint=worker_policies.DEADLY))
    with pytest.raises(WorkerDiedError, match="exit status -9"):
        mortal.poll(tick=0, timeout_s=WAIT_S)
    state = mortal.state()
    assert state.busy_since_ns is None
    assert state.died is not None
    with pytest.raises(WorkerDiedError):
        mortal.submit(request(1))


def test_a_process_that_dies_between_plans_is_noticed(mortal: ProcessWorker) -> None:
    assert mortal.state().died is None
    assert mortal.pid is not None
    os.kill(mortal.pid, signal.SIGKILL)
    mortal._process.join(WAIT_S)
    assert "exit status -9" in str(mortal.state().died)


@pytest.mark.parametrize(
    ("load", "error", "line"),
    [
        (worker_policies.refuse, CheckpointError, "nowhere: no such checkpoint"),
        (worker_policies.crash, RuntimeError, "OSError: disk on fire"),
        (worker_policies.die, WorkerDiedError, "exit status -9"),
    ],
)
def test_a_policy_that_cannot_be_loaded_is_refused_at_once(
    importable: None, load: Any, error: type[Exception], line: str
) -> None:
    with pytest.raises(error, match=line):
        ProcessWorker(load)


class GatedPolicy(worker_policies.RandomPolicy):
    """Answers when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.allowed = threading.Semaphore(0)

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.asked.release()
        assert self.allowed.acquire(timeout=WAIT_S)
        return super().sample(windows, num_samples=num_samples, generator=generator)


@pytest.fixture
def gated() -> Iterator[tuple[GatedPolicy, ThreadWorker]]:
    policy = GatedPolicy()
    worker = ThreadWorker(Planner(policy))
    yield policy, worker
    policy.allowed.release(100)
    worker.close()


def test_a_thread_is_busy_until_it_answers(gated: tuple[GatedPolicy, ThreadWorker]) -> None:
    policy, worker = gated
    worker.submit(request(7))
    assert worker.state().busy_since_ns is not None
    assert worker.poll(tick=0) is None
    policy.allowed.release()
    plan = worker.poll(tick=0, timeout_s=WAIT_S)
    assert plan is not None
    assert plan.number == 7
    assert worker.state().busy_since_ns is None


def test_a_forgotten_plan_never_arrives(gated: tuple[GatedPolicy, ThreadWorker]) -> None:
    policy, worker = gated
    worker.submit(request(0))
    worker.forget()
    policy.allowed.release()
    wait_until_idle(worker)
    worker.submit(request(1))
    policy.allowed.release()
    plan = worker.poll(tick=0, timeout_s=WAIT_S)
    assert plan is not None
    assert plan.number == 1


def test_the_agent_holds_while_a_thread_plans_and_after_a_reset_waits_for_its_own_plan(
    gated: tuple[GatedPolicy, ThreadWorker],
) -> None:
    policy, worker = gated
    agent = Agent(worker, ROBOT, config=AgentConfig(schedule="async", execute_steps=2))
    agent.reset(seed=0)
    assert [agent.act(observation(stamp_ns=t)).held for t in range(3)] == [True] * 3
    agent.reset(seed=1)
    assert agent.act(observation(stamp_ns=10)).held
    policy.allowed.release()
    wait_until_idle(worker)
    # Only now may it ask for the plan of this episode.
    assert agent.act(observation(stamp_ns=11)).held
    assert policy.asked.acquire(timeout=WAIT_S)
    assert policy.asked.acquire(timeout=WAIT_S)
    policy.allowed.release()
    wait_until_idle(worker)
    assert not agent.act(observation(stamp_ns=12)).held


def test_a_patient_agent_waits_for_its_plan(gated: tuple[GatedPolicy, ThreadWorker]) -> None:
    policy, worker = gated
    config = AgentConfig(execute_steps=2)
    agent = Agent(worker, ROBOT, config=config, patience_s=WAIT_S)
    agent.reset(seed=0)
    policy.allowed.release()
    assert not agent.act(observation()).held


def test_warming_up_plans_with_and_without_a_beginning() -> None:
    seen: list[tuple[int, ...] | None] = []

    class Watched(worker_policies.RandomPolicy):
        def sample(self, windows: Windows, **options: Any) -> Candidates:
            seen.append(None if windows.prefix is None else windows.prefix.shape)
            return super().sample(windows, **options)

    policy = Watched()
    assert warm_up(Planner(policy)) > 0
    assert set(seen) == {None}
    policy.spec = replace(SPEC, joins_prefix=True)
    warm_up(Planner(policy))
    assert set(seen) == {None, (1, 3, 7)}


def test_an_inline_worker_delivers_at_its_step() -> None:
    worker = InlineWorker(Planner(worker_policies.RandomPolicy()), latency=lambda n: 2 * n)
    worker.submit(replace(request(1), tick=5))
    assert worker.poll(tick=6) is None
    assert worker.poll(tick=7) is not None
    assert worker.poll(tick=8) is None
    worker.submit(replace(request(0), tick=9))
    worker.forget()
    assert worker.poll(tick=99) is None
    assert worker.state().died is None
    worker.close()


def wait_until_idle(worker: Worker) -> None:
    idle = threading.Event()
    for _ in range(int(WAIT_S / 0.01)):
        if worker.state().busy_since_ns is None:
            return
        idle.wait(0.01)
    raise AssertionError("the worker does not end its plan")
