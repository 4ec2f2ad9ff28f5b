"""Augmented episodes: other ways to the same place, and recoveries without the deviations."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.episode import Success
from robot_policy.core.robot import load_robot
from robot_policy.nets.language import HashingTextEncoder
from robot_policy.policies.primitives import Move, PrimitiveSet
from robot_policy.policies.sentence_parser import SentenceParser
from robot_policy.teleop.talking import TalkSession
from sim.augmentation import FINE, augmented, execute
from sim.primitive_replay import decisions_of
from sim.registry import make_environment, make_expert
from sim.scripted.speaker import ScriptedSpeaker
from sim.teleop_arm import TwinTeleopArm

SET = PrimitiveSet.for_robot(load_robot("panda_twin"))
SMALL = [p for p in SET if p.axis in range(3) and abs(p.amount) <= 0.02]


def moves_of(rng: np.random.Generator, count: int, *, closed: bool) -> list[Move]:
    return [Move((SMALL[int(rng.integers(len(SMALL)))],), closed=closed) for _ in range(count)]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), coarse=st.integers(0, 12))
def test_another_way_leads_to_the_same_place(seed: int, coarse: int) -> None:
    rng = np.random.default_rng(seed)
    moves = [*moves_of(rng, coarse + FINE, closed=False), *moves_of(rng, FINE, closed=True)]
    legs = augmented(moves, SET, rng)
    wanted = sum(m.motion for m in moves)
    reached = sum(leg.move.motion for leg in legs)
    np.testing.assert_allclose(reached[:3], wanted[:3], atol=0.0026)
    kept = [leg.move for leg in legs if leg.recorded]
    assert all(move in kept for move in moves[-FINE:])  # what is fine is done as it was
    for away, back in itertools.pairwise(legs):
        if not away.recorded:
            assert back.recorded
            np.testing.assert_allclose(away.move.motion, -back.move.motion)
            assert away.move.motion[2] >= 0.0


def test_chance_comes_from_the_generator() -> None:
    moves = moves_of(np.random.default_rng(0), 12, closed=False)
    first, same, other = (augmented(moves, SET, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == same
    assert first != other


@pytest.mark.slow
def test_a_speaker_teaches_and_its_episode_is_done_again_in_other_ways() -> None:
    """The whole way: sentences, motions in the twin, and augmented episodes that succeed."""
    arm = TwinTeleopArm(make_environment("lift", endless=True), start=3)
    speaker = ScriptedSpeaker(make_expert("lift"), SET, np.random.default_rng(0))
    session = TalkSession(arm, SentenceParser(SET, HashingTextEncoder(1024)), SET)
    for _ in range(80):
        observation, _ = arm.observe()
        assert observation is not None
        if session.say(speaker.sentence(observation, closed=session.closed)).over:
            break
    episode = session.finish()
    arm.close()
    assert episode.success is Success.YES
    environment = make_environment("lift")
    moves = [d.move for d in decisions_of(episode, environment.robot, SET)]
    made = [
        execute(environment, augmented(moves, SET, np.random.default_rng(s)), seed=3)
        for s in range(3)
    ]
    environment.close()
    good = [e for e in made if e is not None]
    assert good
    assert all(e.success is Success.YES and e.metadata["quality"] == "augmented" for e in good)
    assert not np.array_equal(good[0].actions[: len(episode)], episode.actions)
