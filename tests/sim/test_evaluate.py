"""The harness on the real twin, with a policy that is quick and needs no training."""

import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, SimulationError, SpecError, UnknownNameError
from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators, per_row
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import AgentConfig
from sim.envs.lift import TASK
from sim.episode_runner import Job, Rollout
from sim.evaluate import EvaluationConfig, evaluate
from sim.evaluation_worker import work
from sim.jerk import commanded_jerk
from sim.remote_policy import RemotePolicy, SampleAnswer, SampleRequest, answer_batch
from sim.replay import choose_rollouts, record_videos
from sim.result import EpisodeResult, EvaluationResult
from sim.scripted.lift import LiftExpert
from sim.workers import WorkerPool

SEEDS = range(300_000, 300_005)
CONFIG = EvaluationConfig(execute_steps=2, max_steps=32)
WAIT_S = 60.0
SPEC = replace(
    load_robot("panda_twin").spec(environment_state=TASK.environment_state_spec),
    history=2,
    horizon=4,
)


class ShakyExpert:
    """The scripted expert, repeated over a short chunk, with noise from the row's generator.

    The noise is less than what the safety filter refuses as a chunk that jumps.
    """

    def __init__(self, spec: PolicySpec = SPEC) -> None:
        self.spec = spec
        self.batch_sizes: list[int] = []
        self.libraries_of_workers: set[str] = set()

    def reset(self) -> None:
        raise AssertionError("episodes share this policy, so none may reset it")

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.batch_sizes.append(windows.batch_size)
        if len(self.batch_sizes) in (1, 20):
            self.libraries_of_workers |= mapped_libraries(multiprocessing.active_children())
        rows = per_row(generator, windows.batch_size)
        chunks = [
            [self._chunk(windows, row, rng) for _ in range(num_samples)]
            for row, rng in enumerate(rows)
        ]
        return Candidates(np.array(chunks, dtype=np.float32))

    def _chunk(self, windows: Windows, row: int, rng: np.random.Generator) -> np.ndarray:
        assert windows.environment_state is not None
        now = Observation(0, windows.state[row, -1], windows.environment_state[row, -1])
        action = LiftExpert().act(now)
        noise = rng.normal(scale=0.01, size=(self.spec.horizon, 7)) * ([1] * 3 + [0] * 4)
        return action + noise


def mapped_libraries(processes: Sequence[multiprocessing.process.BaseProcess]) -> set[str]:
    """File names of everything loaded by the processes."""
    maps = [Path(f"/proc/{p.pid}/maps").read_text().splitlines() for p in processes]
    return {Path(line.split()[-1]).name for lines in maps for line in lines if "/" in line}


def without_times(result: EvaluationResult) -> list[EpisodeResult]:
    return [replace(episode, policy_ms=()) for episode in result.episodes]


class SlowExpert(ShakyExpert):
    """Takes, until it was asked for two robots at once, as long as two others take to ask."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: list[WorkerPool] = []

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        deadline_s = time.monotonic() + WAIT_S
        largest = max([windows.batch_size, *self.batch_sizes])
        while largest == 1 and len(self._asking()) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.002)
        return super().sample(windows, num_samples=num_samples, generator=generator)

    def _asking(self) -> list[object]:
        return list(multiprocessing.connection.wait(self.pools[0].connections, timeout=0))


@pytest.fixture(scope="module")
def with_workers() -> tuple[EvaluationResult, list[Rollout], ShakyExpert]:
    policy, rollouts = SlowExpert(), []

    class Seen(WorkerPool):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            policy.pools.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sim.evaluate.WorkerPool", Seen)
        result = evaluate(
            policy,
            task="lift",
            seeds=SEEDS,
            config=replace(CONFIG, workers=3, max_batch=None),
            progress=rollouts.append,
        )
    return result, rollouts, policy


@pytest.fixture(scope="module")
def here() -> tuple[EvaluationResult, list[Rollout]]:
    rollouts: list[Rollout] = []
    config = replace(CONFIG, workers=0)
    result = evaluate(
        ShakyExpert(), task="lift", seeds=SEEDS, config=config, progress=rollouts.append
    )
    return result, rollouts


def test_outcomes_do_not_depend_on_workers(with_workers, here) -> None:
    """Neither on how many there are, nor on which of them ran a seed, nor on its batch."""
    assert without_times(with_workers[0]) == without_times(here[0])
    assert [e.seed for e in here[0].episodes] == list(SEEDS)
    there = {rollout.result.seed: rollout.actions for rollout in with_workers[1]}
    for rollout in here[1]:
        np.testing.assert_array_equal(rollout.actions, there[rollout.result.seed])


def test_the_outcomes_make_sense(here) -> None:
    result, rollouts = here
    assert result.successes > 0
    for episode, rollout in zip(result.episodes, rollouts, strict=True):
        assert rollout.result == episode
        assert rollout.actions.shape == (episode.steps, 7)
        assert episode.steps <= CONFIG.max_steps
        assert episode.success or episode.steps == CONFIG.max_steps
        assert len(episode.policy_ms) == -(-episode.steps // CONFIG.execute_steps)
        assert min(episode.policy_ms) > 0
    assert result.settings.max_steps == CONFIG.max_steps
    assert result.env_steps_per_s > 0


def test_jerk_is_that_of_the_actions(here) -> None:
    result, rollouts = here
    for rollout in rollouts:
        found = commanded_jerk(rollout.actions, space=SPEC.action_space, dt_s=SPEC.dt_s)
        assert found is not None
        assert rollout.result.jerk == pytest.approx(found, abs=1e-3)
        assert rollout.result.measured_jerk is not None
        assert rollout.result.held_steps == 0
    jerks = [episode.jerk for episode in result.episodes]
    assert result.jerk["commanded"] == pytest.approx(np.mean(jerks), abs=1e-3)


@pytest.mark.parametrize(("schedule", "held"), [("receding", 3 * 2), ("async", 3)])
def test_an_injected_latency_delays_plans_by_the_steps_it_covers(schedule: str, held: int) -> None:
    """On a slow machine as on a fast one: 101 ms are three periods of waiting for a plan."""
    config = replace(CONFIG, schedule=schedule, latency_s=0.101, workers=0, max_steps=10)
    config = replace(config, execute_steps=4)
    policy = ShakyExpert(replace(SPEC, horizon=8))
    result = evaluate(policy, task="lift", seeds=[1], config=config)
    assert result.episodes[0].held_steps == held
    assert result.settings.latency_ms == pytest.approx(101)
    assert result.settings.schedule == schedule


def test_requests_that_wait_together_share_a_batch(with_workers) -> None:
    _, _, policy = with_workers
    assert set(policy.batch_sizes) <= {1, 2, 3}
    assert max(policy.batch_sizes) > 1


def test_workers_load_the_simulator_and_no_torch(with_workers) -> None:
    _, _, policy = with_workers
    assert any("mujoco" in name for name in policy.libraries_of_workers)
    assert [name for name in policy.libraries_of_workers if "torch" in name] == []


def test_videos_replay_the_counted_episodes(here, tmp_path: Path) -> None:
    _, rollouts = here
    chosen = choose_rollouts(rollouts, each=1)
    videos = record_videos(chosen, tmp_path, task="lift", robot="panda_twin", size=64)
    assert [v.seed for v in videos] == [r.result.seed for r in chosen]
    for video in videos:
        assert video.reproduced
        with av.open(str(video.path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.codec_context.height, stream.codec_context.width) == (64, 64)
            assert stream.average_rate == 20
            assert sum(1 for _ in container.decode(stream)) == video.steps + 1


def test_a_replay_that_ends_otherwise_says_so(here, tmp_path: Path) -> None:
    _, rollouts = here
    solved = next(r for r in rollouts if r.result.success)
    wrong = Rollout(solved.result, solved.actions[:10] * 0)
    (video,) = record_videos([wrong], tmp_path, task="lift", robot="panda_twin", size=32)
    assert not video.reproduced


class Diverging(ShakyExpert):
    """Proposes what no limit may repair, after a while."""

    def _chunk(self, windows: Windows, row: int, rng: np.random.Generator) -> np.ndarray:
        return np.full((self.spec.horizon, 7), np.nan if len(self.batch_sizes) > 2 else 0.0)


def test_a_stop_of_the_safety_filter_is_a_failure_with_its_reason() -> None:
    config = EvaluationConfig(execute_steps=2, max_steps=8, workers=0)
    result = evaluate(Diverging(), task="lift", seeds=[7], config=config)
    (episode,) = result.episodes
    assert not episode.success
    assert episode.steps == 8
    assert episode.stop != ()
    assert "finite" in episode.stop[0]


class Killer(ShakyExpert):
    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        (child, *_) = multiprocessing.active_children()
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(10)
        return super().sample(windows, num_samples=num_samples, generator=generator)


def test_the_death_of_a_worker_is_one_clear_error() -> None:
    with pytest.raises(SimulationError) as caught:
        evaluate(Killer(), task="lift", seeds=[42], config=replace(CONFIG, workers=1))
    assert "died in the episode of seed 42" in str(caught.value)
    assert "exit status -9" in str(caught.value)
    assert multiprocessing.active_children() == []


def test_what_a_worker_refuses_comes_back_as_the_same_error() -> None:
    """Here: a policy for another task, whose privileged state has other names."""
    assert SPEC.environment_state is not None
    names = tuple(f"x{i}" for i in range(SPEC.environment_state.size))
    other = replace(SPEC.environment_state, names=names)
    policy = ShakyExpert(replace(SPEC, environment_state=other))
    with pytest.raises(SpecError, match="task lift: another environment state"):
        evaluate(policy, task="lift", seeds=[1], config=replace(CONFIG, workers=1))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"execute_steps": 5}, "execute_steps"),
        ({"max_steps": 10**6}, "max_steps"),
        ({"max_steps": 0}, "max_steps"),
        ({"num_samples": 0}, "num_samples"),
        ({"workers": -1}, "workers"),
        ({"max_batch": 0}, "max_batch"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, int], words: str) -> None:
    config = replace(CONFIG, **({"workers": 0} | changes))
    with pytest.raises(ConfigError, match=words):
        evaluate(ShakyExpert(), task="lift", seeds=[1], config=config)


def test_a_result_names_the_steps_that_were_really_executed() -> None:
    config = EvaluationConfig(max_steps=8, workers=0)
    result = evaluate(ShakyExpert(), task="lift", seeds=[1], config=config)
    assert result.settings.execute_steps == SPEC.horizon
    assert len(result.episodes[0].policy_ms) == 2


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1]])
def test_seeds_must_be_distinct_and_some(seeds: list[int]) -> None:
    with pytest.raises(ConfigError, match="seeds"):
        evaluate(ShakyExpert(), task="lift", seeds=seeds, config=CONFIG)


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"'lifd'.*can, language, lift.*did you mean 'lift'"):
        evaluate(ShakyExpert(), task="lifd", seeds=[1], config=CONFIG)


def test_leaving_a_pool_early_ends_its_workers() -> None:
    job = Job("lift", SPEC, AgentConfig(execute_steps=2))
    with WorkerPool(work, job, 2, name="worker"):
        children = multiprocessing.active_children()
        assert len(children) == 2
    assert not any(child.is_alive() for child in children)


def test_the_policy_of_a_worker_asks_for_one_robot_and_repeats_its_answer() -> None:
    asked: list[SampleRequest] = []

    def exchange(request: SampleRequest) -> SampleAnswer:
        asked.append(request)
        return answer_batch(ShakyExpert(), [request])[0]

    policy = RemotePolicy(SPEC, exchange)
    window = a_window()
    first = policy.sample(window, num_samples=3, generator=np.random.default_rng(5))
    again = policy.sample(window, num_samples=3, generator=np.random.default_rng(5))
    direct = ShakyExpert().sample(window, num_samples=3, generator=np.random.default_rng(5))
    assert len(asked) == 2
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.actions, direct.actions)
    assert first.actions.shape == (1, 3, 4, 7)
    assert policy.durations_ns[0] > 0
    with pytest.raises(SpecError, match="one robot at a time"):
        policy.sample(Windows.concatenate([window, window]), generator=np.random.default_rng(0))


def test_a_row_answers_alike_alone_and_in_a_batch() -> None:
    def request(seed: int) -> SampleRequest:
        return SampleRequest(a_window(), 2, np.random.default_rng(seed))

    together = answer_batch(ShakyExpert(), [request(seed) for seed in (1, 2, 3)])
    for seed, answer in zip((1, 2, 3), together, strict=True):
        alone = answer_batch(ShakyExpert(), [request(seed)])[0]
        np.testing.assert_array_equal(answer.candidates.actions, alone.candidates.actions)


def a_window() -> Windows:
    rng = np.random.default_rng(0)
    assert SPEC.environment_state is not None
    return Windows(
        state=rng.normal(size=(1, 2, SPEC.state.size)).astype(np.float32),
        past=np.zeros((1, 0, 7), np.float32),
        valid=np.ones((1, 2), bool),
        past_valid=np.ones((1, 0), bool),
        environment_state=rng.normal(size=(1, 2, SPEC.environment_state.size)).astype(np.float32),
        instructions=("",),
    )
