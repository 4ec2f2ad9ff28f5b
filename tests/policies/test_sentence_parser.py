"""The sentence parser, on sentences that were written for it and are not its own."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.robot import load_robot
from robot_policy.nets.language import HashingTextEncoder
from robot_policy.policies.primitives import PrimitiveSet
from robot_policy.policies.sentence_parser import Ask, Meaning, SentenceParser

SET = PrimitiveSet.for_robot(load_robot("panda_twin"))
PARSER = SentenceParser(SET, HashingTextEncoder(1024))
FILE = Path(__file__).with_name("data") / "sentences.txt"
"""Those that the grammar was mended on; those that it never saw are for the benchmark alone."""


@cache
def known_sentences() -> list[tuple[str, str, Meaning]]:
    """(expected meaning, sentence, what it is taken for)."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    cases = [(want, said) for line in lines for want, *rest in [line.split(" | ")] for said in rest]
    return [(want, said, PARSER.parse(said)) for want, said in cases]


def test_sentences_are_understood() -> None:
    cases = known_sentences()
    assert len(cases) >= 2000
    wrong = [(said, found.code, want) for want, said, found in cases if found.code != want]
    assert len(wrong) <= 0.01 * len(cases), wrong
    assert [case for case in wrong if case[1] != "ask"] == [], "it asks, or it understands"


def test_what_means_no_motion_moves_nothing() -> None:
    meaningless = [(said, found) for want, said, found in known_sentences() if want == "ask"]
    assert len(meaningless) > 600
    assert [said for said, found in meaningless if found.ask is Ask.MOVE] == []


def test_every_sentence_of_a_primitive_is_understood_as_it() -> None:
    wrong = [
        (said, PARSER.parse(said).code)
        for primitive in SET
        for said in primitive.sentences
        if PARSER.parse(said).code != primitive.name
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "no words"),
        ("   ", "no words"),
        ("move left and right", "opposite"),
        ("make me a sandwich", "sandwich"),
        ("don't move left", "not to do"),
        ("move left 3 metres", "that much"),
    ],
)
def test_a_question_is_one_clear_line_with_candidates(said: str, reason: str) -> None:
    meaning = PARSER.parse(said)
    assert meaning.ask is Ask.QUESTION
    assert meaning.steps == ()
    assert reason in meaning.question or reason.split()[-1] in meaning.question
    assert "\n" not in meaning.question
    assert len(meaning.candidates) == 3
    assert all(PARSER.parse(c).ask is Ask.MOVE for c in meaning.candidates)


def test_a_typing_error_is_understood_by_similarity() -> None:
    meaning = PARSER.parse("mve left by 5 centimeters")
    assert (meaning.code, meaning.by) == ("left_5cm", "similarity")
    assert PARSER.parse("mve left by 50 centimeters").ask is Ask.QUESTION


@settings(deadline=None)
@given(said=st.text(max_size=60))
def test_no_text_breaks_it(said: str) -> None:
    meaning = PARSER.parse(said)
    assert meaning.ask is not Ask.QUESTION or meaning.question
