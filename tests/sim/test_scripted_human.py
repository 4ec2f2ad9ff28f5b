"""A scripted person drives the twin through the device protocol."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("robosuite")
from robot_policy.core.observation import Candidates, Windows
from robot_policy.data.formats.registry import FORMATS
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.teleop.controls import Command
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.mapping import Mapping, MappingConfig
from robot_policy.teleop.session import Session
from sim.registry import make_environment, make_expert
from sim.scripted.human import Hand, ScriptedHuman
from sim.teleop_arm import TwinTeleopArm

PERIOD_NS = 50_000_000


class Sideways:
    """A policy that goes to the left for ever."""

    def __init__(self, spec: object) -> None:
        self.spec = replace(spec, horizon=8)  # type: ignore[type-var]

    def reset(self) -> None:
        pass

    def sample(self, windows: Windows, *, num_samples: int, generator: object) -> Candidates:
        chunk = np.tile(np.array([0, 0.02, 0, 0, 0, 0, 0], np.float32), (1, num_samples, 8, 1))
        return Candidates(chunk)


@pytest.fixture(scope="module")
def arm() -> Iterator[TwinTeleopArm]:
    arm = TwinTeleopArm(make_environment("lift", endless=True))
    yield arm
    arm.close()


def drive(
    arm: TwinTeleopArm, output: Path, *, agent: Agent | None = None, seed: int = 3
) -> tuple[bool, int]:
    """Returns whether the task was solved, and for how many steps a person drove."""
    mapping = Mapping(arm.robot, MappingConfig())
    driving = Driving(arm.robot, mapping, agent=agent)
    session = Session(
        driving,
        Episodes(output, arm.spec, interventions=agent is not None),
        simulated=True,
        reset=arm.reset,
        first_start=seed,
    )
    arm.reset(seed)
    hand = Hand(make_expert("lift"), arm.robot, full_step=mapping.full_step, seed=seed)

    def policy() -> np.ndarray | None:
        driven = session.driven
        if not driving.policy_runs or driven is None:
            return None
        return np.zeros(7, np.float32) if driven.policy_action is None else driven.policy_action

    human = ScriptedHuman(hand, lambda: arm.observe()[0], policy=policy)
    now_ns, solved, by_hand = 0, False, 0
    commands = (Command.START,) if agent is None else (Command.START, Command.RUN_POLICY)
    for _ in range(400):
        now_ns += PERIOD_NS
        observation, _ = arm.observe()
        driven = session.step(observation, human.read(now_ns), now_ns=now_ns, commands=commands)
        assert driven is not None
        commands = ()
        by_hand += driven.driver == "human"
        arm.send(driven.action)
        solved = arm.solved
        if solved:
            break
    outcome = Command.SUCCESS if solved else Command.FAILURE
    session.step(arm.observe()[0], None, now_ns=now_ns + PERIOD_NS, commands=(outcome,))
    assert session.close() == 0
    return solved, by_hand


def test_a_person_lifts_the_cube_though_imperfectly(arm: TwinTeleopArm, tmp_path: Path) -> None:
    solved, by_hand = drive(arm, tmp_path / "set")
    assert solved
    (episode,) = FORMATS["lerobot_v3"].read(tmp_path / "set")
    assert 30 < len(episode) == by_hand
    assert np.abs(episode.actions[:, :3]).max() <= 0.6 * 0.05 + 1e-6
    assert episode.metadata["seed"] == 3


def test_a_person_takes_over_from_a_policy_that_fails(arm: TwinTeleopArm, tmp_path: Path) -> None:
    agent = Agent(Sideways(arm.spec), arm.robot, config=AgentConfig())
    solved, by_hand = drive(arm, tmp_path / "set", agent=agent)
    assert by_hand > 20
    (episode,) = FORMATS["lerobot_v3"].read(tmp_path / "set")
    assert episode.intervention is not None
    assert episode.intervention.sum() == by_hand
    assert 0 < by_hand < len(episode)
    assert solved
