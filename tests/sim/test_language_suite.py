"""The language suite: scenes, words and rules; and that its instructions have to be read."""

import numpy as np
import pytest

from robot_policy.core.episode import Success
from robot_policy.core.errors import UnknownNameError
from sim.envs.language.goals import KINDS, goal_of, goals, instructions
from sim.envs.language.objects import BODIES, HALF_SIZE_M, MOVABLE, TABLE_M
from sim.envs.language.task import LanguageRules
from sim.envs.rules import Moment, Progress
from sim.registry import EXPERTS, TASKS, make_environment, make_expert
from sim.scripted.rollout import collect_episode

type Places = dict[str, np.ndarray]


def begun(kind: str | None, seed: int, wording: str = "") -> tuple[LanguageRules, Places]:
    """Rules at the start of an episode, which have seen where everything is."""
    rules = LanguageRules(kind, wording)
    places = rules.begin(np.random.default_rng(seed))
    now = {n: np.array([*p[:2], TABLE_M + HALF_SIZE_M]) for n, p in places.items()}
    now["ee"] = np.array([0.5, 0.0, 0.2])
    assert rules.judge(Moment(now, 0.0)) is Progress.OPEN
    return rules, now


def test_there_are_eight_kinds_and_every_sentence_means_one_goal() -> None:
    assert len(KINDS) >= 8
    templates, held_out = instructions(), instructions(paraphrased=True)
    assert len(set(templates)) == len(templates)
    assert not set(templates) & set(held_out)
    for goal in goals():
        assert goal_of(goal.said(0)) == goal_of(goal.said(1, paraphrased=True)) == goal
    with pytest.raises(UnknownNameError, match="instruction"):
        goal_of("lift the purple cube")


@pytest.mark.parametrize("kind", KINDS)
def test_no_goal_holds_at_the_start_and_the_scene_has_room(kind: str) -> None:
    for seed in range(20):
        _, now = begun(kind, seed)
        middles = np.stack([now[name][:2] for name in BODIES])
        apart = np.linalg.norm(middles[:, None] - middles[None], axis=-1)
        assert apart[~np.eye(len(middles), dtype=bool)].min() > 2 * HALF_SIZE_M


def test_all_targets_and_all_words_come_up() -> None:
    rules = LanguageRules()
    seen = set()
    for seed in range(400):
        rules.begin(np.random.default_rng(seed))
        seen.add((rules.goal.kind, rules.goal.target))
        assert goal_of(rules.instruction) == rules.goal
    assert {kind for kind, _ in seen} == set(KINDS)
    assert {target for _, target in seen} == set(MOVABLE)


@pytest.mark.parametrize("kind", ["lift", "place_in", "stack", "left_of", "push_left"])
def test_what_is_asked_of_one_object_is_lost_with_another(kind: str) -> None:
    """Whoever does not read which object is meant loses as soon as it moves the wrong one."""
    rules, now = begun(kind, 5)
    wrong = next(n for n in MOVABLE if n not in (rules.goal.target, rules.goal.reference))
    now[wrong] = now[wrong] + np.array([0.0, 0.0, 0.1])
    assert rules.judge(Moment(now, 0.5)) is Progress.LOST


def test_goals_are_judged_by_where_things_are() -> None:
    rules, now = begun("left_of", 2)
    place = rules.goal.place(now)
    assert place is not None
    now[rules.goal.target] = place
    assert rules.judge(Moment(now, 0.9)) is Progress.OPEN  # still in the hand
    assert rules.judge(Moment(now, 0.1)) is Progress.REACHED


def test_shuffled_words_are_of_another_goal_and_paraphrases_of_the_same() -> None:
    for seed in range(20):
        shuffled, _ = begun(None, seed, "shuffled")
        assert goal_of(shuffled.instruction).target != shuffled.goal.target
        said, _ = begun(None, seed, "paraphrases")
        assert goal_of(said.instruction) == said.goal
        assert said.instruction not in instructions()


def test_variants_are_found_by_name() -> None:
    assert TASKS["language:stack+shuffled"].name == "language:stack+shuffled"
    assert EXPERTS["language:stack"] is EXPERTS["language"]
    assert "language:stack" in TASKS
    assert "language:fly" not in TASKS
    assert "lift:fly" not in TASKS
    assert list(TASKS).count("language") == 1
    with pytest.raises(UnknownNameError, match="kind of goal"):
        TASKS["language:fly"]
    with pytest.raises(UnknownNameError, match="wording"):
        TASKS["language+poetry"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_expert_does_what_is_said(kind: str) -> None:
    environment = make_environment(f"language:{kind}")
    try:
        episode = collect_episode(environment, make_expert("language"), seed=11, noise=0.1)
    finally:
        environment.close()
    assert episode.success is Success.YES
    assert goal_of(episode.task).kind == kind


@pytest.mark.slow
def test_who_is_told_something_else_does_something_else() -> None:
    environment = make_environment("language+shuffled")
    try:
        found = [
            collect_episode(environment, make_expert("language"), seed=s, noise=0.1).success
            for s in range(3)
        ]
    finally:
        environment.close()
    assert found == [Success.NO] * 3
