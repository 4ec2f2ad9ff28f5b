"""What every task in the registry must do, whatever it is."""

import json
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robot_policy.core.environment import Environment
from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, SimulationError, SpecError
from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import EXPERTS, TASKS, make_environment, make_expert
from sim.scripted.rollout import collect_episode

SEED = 7

FRESH_PROCESS = """
import json, sys
import numpy as np
sys.path.insert(0, {folder!r})
from test_environments import digest
from sim.registry import TASKS, make_environment
print(json.dumps({{task: digest(make_environment(task), {seed}) for task in TASKS}}))
"""


@pytest.fixture(scope="module", params=list(TASKS))
def environment(request: pytest.FixtureRequest) -> Iterator[RobosuiteArm]:
    environment = make_environment(request.param)
    yield environment
    environment.close()


@pytest.fixture(scope="module")
def fresh_digests() -> dict[str, str]:
    """Digests of every task, from a process in which nothing happened before."""
    script = FRESH_PROCESS.format(folder=str(__file__).rsplit("/", 1)[0], seed=SEED)
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    return json.loads(output.stdout)


def digest(environment: Environment, seed: int) -> str:
    """Every bit that an episode of random actions shows."""
    rng = np.random.default_rng(0)
    observation = environment.reset(seed)
    actions = [environment.spec.action.sample(rng) for _ in range(15)]
    trajectory = [observation, *(environment.step(action).observation for action in actions)]
    return b"".join(_bits(o) for o in trajectory).hex()


def _bits(observation: Observation) -> bytes:
    assert observation.environment_state is not None
    return observation.state.tobytes() + observation.environment_state.tobytes()


def assert_fits(observation: Observation, spec: PolicySpec) -> None:
    spec.state.validate(observation.state, where="state")
    assert observation.state.dtype == np.float32
    assert spec.environment_state is not None
    assert observation.environment_state is not None
    spec.environment_state.validate(observation.environment_state, where="environment_state")
    assert set(observation.images) == set(spec.cameras)


def test_every_task_has_an_expert() -> None:
    assert set(TASKS) == set(EXPERTS)


def test_it_is_an_environment_under_its_own_name(environment: RobosuiteArm) -> None:
    assert isinstance(environment, Environment)
    assert TASKS[environment.task.name] is environment.task
    assert environment.max_steps > 0


def test_observations_fit_the_spec(environment: RobosuiteArm) -> None:
    observation = environment.reset(0)
    assert_fits(observation, environment.spec)
    assert observation.stamp_ns == 0
    assert observation.instruction == environment.instruction != ""
    zero = np.zeros(environment.spec.action.shape, dtype=np.float32)
    later = environment.step(zero).observation
    assert_fits(later, environment.spec)
    assert later.stamp_ns == round(environment.spec.dt_s * 1e9)


def test_privileged_state_has_names_units_and_consistent_offsets(environment: RobosuiteArm) -> None:
    spec = environment.spec.environment_state
    observation = environment.reset(0)
    assert spec is not None
    assert observation.environment_state is not None
    assert len(set(spec.names)) == len(spec.names) == len(spec.units)
    values = dict(zip(spec.names, observation.environment_state, strict=True))
    ee = environment.robot.ee_position(observation.state)
    values |= {f"ee_{axis}": value for axis, value in zip("xyz", ee, strict=True)}
    for a, b in environment.task.offsets:
        for axis in "xyz":
            difference = values[f"{b}_{axis}"] - values[f"{a}_{axis}"]
            assert values[f"{a}_to_{b}_{axis}"] == pytest.approx(difference, abs=1e-6)


def test_one_seed_gives_one_trajectory_in_any_process(
    environment: RobosuiteArm, fresh_digests: dict[str, str]
) -> None:
    """Bit for bit, and whatever happened in this process before."""
    other = digest(environment, SEED + 1)
    assert digest(environment, SEED) == fresh_digests[environment.task.name]
    assert other != fresh_digests[environment.task.name]


def test_seeds_give_different_starts(environment: RobosuiteArm) -> None:
    starts = [environment.reset(seed).environment_state for seed in range(5)]
    assert len({None if s is None else s.tobytes() for s in starts}) == 5


def test_the_expert_solves_it_and_is_recorded(environment: RobosuiteArm) -> None:
    expert = make_expert(environment.task.name)
    for seed in (1000, 1001, 1002):
        episode = collect_episode(environment, expert, seed=seed, noise=0.1)
        assert episode.success == Success.YES
        assert len(episode) < environment.max_steps
        assert episode.rewards[-1] == 1.0
        assert episode.rewards[:-1].sum() == 0.0
        assert episode.task == environment.instruction
        assert episode.metadata == {"seed": seed, "quality": "expert", "noise": 0.1}
        low, high = environment.spec.action.low, environment.spec.action.high
        assert (np.float32(low) <= episode.actions).all()
        assert (episode.actions <= np.float32(high)).all()
    with pytest.raises(SimulationError, match="over"):
        environment.step(episode.actions[-1])


def test_idling_is_truncated(environment: RobosuiteArm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RobosuiteArm, "max_steps", 4)
    environment.reset(0)
    action = np.zeros(environment.spec.action.shape, dtype=np.float32)
    steps = [environment.step(action) for _ in range(4)]
    assert [step.truncated for step in steps] == [False, False, False, True]
    assert not any(step.terminated or step.success for step in steps)
    with pytest.raises(SimulationError, match="over"):
        environment.step(action)


@pytest.mark.parametrize(
    "action", [np.zeros(3, np.float32), np.full(7, np.nan, np.float32), np.zeros((1, 7))]
)
def test_actions_that_do_not_fit_are_refused(environment: RobosuiteArm, action: np.ndarray) -> None:
    before = environment.reset(0)
    with pytest.raises(SpecError, match="action"):
        environment.step(action)
    assert _bits(environment.observe()) == _bits(before)


def test_negative_seeds_are_refused(environment: RobosuiteArm) -> None:
    with pytest.raises(ConfigError, match="seed"):
        environment.reset(-1)
