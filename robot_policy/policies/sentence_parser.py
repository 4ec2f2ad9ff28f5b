"""What a sentence asks of the arm: by grammar, then by similarity, else a question.

The grammar accepts a sentence only if every word of it is known and they make one meaning. What it
does not accept is compared with all sentences of the primitives, and taken for one only if it is
very close to sentences of a single primitive. Anything else moves nothing and is asked back.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from robot_policy.nets.language import TextEncoder
from robot_policy.policies.primitives import Primitive, PrimitiveSet
from robot_policy.policies.sentence_grammar import (
    ContradictionError,
    Grammar,
    UnknownSentenceError,
)
from robot_policy.policies.sentence_phrases import (
    NEGATIONS,
    POLITE,
    QUESTIONS,
    REASON_AFTER,
    REASON_BEFORE,
    REPAIRED,
    STATEMENTS,
    WHOLE,
)
from robot_policy.policies.sentence_words import (
    CLOSING,
    DIRECTIONS,
    IMPLIED,
    MOVING,
    OPENING,
    ROLLING,
    TILTING,
    TURNING,
    TURNS,
)

_SURE = 0.8
"""Least cosine with a sentence of a primitive; a wrong motion is worse than a question."""
_CLEAR = 0.04
"""By how much it must be closer to that primitive's direction than to any other."""
_CANDIDATES = 3
_VERBS = MOVING | TURNING | ROLLING | TILTING | IMPLIED.keys() | CLOSING | OPENING


class Ask(StrEnum):
    """What a sentence asks for besides motion."""

    MOVE = "move"
    UNDO = "undo"
    AGAIN = "again"
    WAIT = "wait"
    QUESTION = "question"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a sentence means.

    Attributes:
        ask: What is asked for.
        steps: For `Ask.MOVE`: primitives that are done together, one tuple after the other.
        question: For `Ask.QUESTION`: what to ask back; nothing moves.
        candidates: For `Ask.QUESTION`: sentences of the nearest primitives.
        by: ``grammar`` or ``similarity``.
    """

    ask: Ask
    steps: tuple[tuple[Primitive, ...], ...] = ()
    question: str = ""
    candidates: tuple[str, ...] = ()
    by: str = "grammar"

    @property
    def code(self) -> str:
        """Names of the primitives, ``+`` for together and ``;`` for one after the other."""
        if self.ask is Ask.QUESTION:
            return "ask"
        if self.ask is not Ask.MOVE:
            return self.ask.value
        return ";".join("+".join(p.name for p in step) for step in self.steps)


class SentenceParser:
    """Understands sentences for one robot.

    Args:
        primitives: Of the robot.
        text: What compares sentences that the grammar does not know.
    """

    def __init__(self, primitives: PrimitiveSet, text: TextEncoder) -> None:
        self._primitives = primitives
        self._text = text
        self._said = [(s, p) for p in primitives for s in p.sentences]
        self._vectors = _unit(text.encode([s for s, _ in self._said]))

    def parse(self, sentence: str) -> Meaning:
        """Returns what `sentence` means; a question where that is not clear."""
        cleaned = _cleaned(sentence)
        if not re.search(r"[a-z]", cleaned):
            return self._question(sentence, "there are no words in that")
        for code, pattern in WHOLE.items():
            if pattern.fullmatch(_plain(sentence)):
                return self._whole(code)
        if NEGATIONS.search(cleaned):
            return self._question(sentence, "it says what not to do; say what to do")
        reason = REASON_BEFORE.match(cleaned) or REASON_AFTER.match(cleaned)
        if reason is not None:
            cleaned = reason["asked"]
        if QUESTIONS.search(cleaned) or sentence.rstrip().endswith("?!"):
            return self._question(sentence, "that sounds like a question to me")
        try:
            return Meaning(Ask.MOVE, tuple(Grammar(self._primitives).steps(cleaned)))
        except ContradictionError as error:
            return self._question(sentence, str(error))
        except UnknownSentenceError as error:
            return self._similar(sentence, cleaned, str(error))

    def _whole(self, code: str) -> Meaning:
        if code == "done":
            return Meaning(Ask.MOVE, ((self._primitives.named("done"),),))
        return Meaning(Ask(code))

    def _similar(self, sentence: str, cleaned: str, why: str) -> Meaning:
        cosine = self._vectors @ _unit(self._text.encode([cleaned]))[0]
        best = int(np.argmax(cosine))
        primitive = self._said[best][1]
        others = [
            float(c)
            for c, (_, p) in zip(cosine, self._said, strict=True)
            if p.direction != primitive.direction
        ]
        clear = cosine[best] - max(others, default=0.0)
        told = STATEMENTS.search(cleaned) is not None
        if (
            told
            or cosine[best] < _SURE
            or clear < _CLEAR
            or not _same_words(cleaned, self._said[best][0])
        ):
            return self._question(sentence, why)
        return Meaning(Ask.MOVE, ((primitive,),), by="similarity")

    def _question(self, sentence: str, why: str) -> Meaning:
        nearest = self.nearest(sentence)
        quoted = ", ".join(f"“{c}”" for c in nearest)
        shown = " ".join(sentence.split())[:80]
        return Meaning(
            Ask.QUESTION,
            question=f"I do not understand “{shown}”: {why}. Did you mean {quoted}?",
            candidates=nearest,
        )

    def nearest(self, sentence: str) -> tuple[str, ...]:
        """Sentences of the nearest primitives, one per direction."""
        cosine = self._vectors @ _unit(self._text.encode([_cleaned(sentence)]))[0]
        found: dict[str, str] = {}
        for index in np.argsort(-cosine, kind="stable"):
            said, primitive = self._said[int(index)]
            found.setdefault(primitive.direction, said)
            if len(found) == _CANDIDATES:
                break
        return tuple(found.values())


def _written(sentence: str) -> str:
    """Returns a sentence in small letters, without contractions and marks other than commas."""
    text = sentence.lower().replace("\u2019", "'").strip()
    text = re.sub(r"\s[-\u2013\u2014]+\s|[\u2013\u2014]|:\s", ", ", text)
    text = re.sub(r"[()\"\u201c\u201d\u2026]", " ", text)
    text = re.sub(r"(\d)([a-z])", r"\1 \2", text)
    text = re.sub(r"\b(that|it|we|you|i|what)'(s|re|m|d|ve)\b", _spelled, text)
    text = re.sub(r"[.!?]+(?=\s|$)", ", ", text)
    return " ".join(re.sub(r"\s*,[\s,]*", ", ", text).split()).strip(" ,;")


def _plain(sentence: str) -> str:
    """Returns the words alone, for sentences that mean something as a whole."""
    return " ".join(re.sub(r"[,;-]", " ", _written(sentence)).split())


def _cleaned(sentence: str) -> str:
    text = _written(sentence)
    for pattern in POLITE:
        text = " ".join(re.sub(pattern, " ", text).split()).strip(" ,;")
    text = re.sub(r"\b(?:would you mind|(while)) (\w+)ing\b", _infinitive, text)
    for pattern, meaning in REPAIRED:
        text = re.sub(pattern, meaning, text)
    text = re.sub(r"(?<=[a-z])-(?=[a-z])", " ", text)
    return " ".join(text.split()).strip(" ,;")


def _spelled(match: re.Match[str]) -> str:
    return f"{match[1]} {dict(s='is', re='are', m='am', d='would', ve='have')[match[2]]}"


def _infinitive(match: re.Match[str]) -> str:
    """The verb of "would you mind moving" or "while moving", where it is one that is known."""
    together, stem = match[1], match[2]
    for verb in (stem, f"{stem}e", stem[:-1]):
        if verb in _VERBS:
            return f"and {verb}" if together else verb
    return match[0]


def _same_words(a: str, b: str) -> bool:
    """Whether two sentences name the same directions and numbers."""

    def named(text: str) -> set[str]:
        known = {**DIRECTIONS, **TURNS}
        words = re.findall(r"[a-z]+|[0-9.]+", text)
        return {str(known.get(word, word)) for word in words if word in known or word[0].isdigit()}

    return named(a) == named(b)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
