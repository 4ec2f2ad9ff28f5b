"""The grammar of sentences whose every word is known; see `sentence_parser`."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from robot_policy.policies.primitives import (
    TRANSLATIONS,
    Kind,
    Primitive,
    PrimitiveSet,
    vague_level,
)
from robot_policy.policies.sentence_words import (
    CLOSING,
    DEGREES,
    DIRECTIONS,
    FILLERS,
    HAND,
    HELD,
    IMPLIED,
    METRES,
    MOVING,
    NUMBERS,
    OPENING,
    OPPOSITE,
    ROLLING,
    SHUTTING,
    SMALL,
    THING,
    TILTED,
    TILTING,
    TURNING,
    TURNS,
    VAGUE,
)

_MOST_PRIMITIVES = 3
"""Of which one amount may be made up: what is longer is asked for again."""
_EXACT_PART = 0.5
"""Of the smallest amount: what may be missing from an amount that was said."""
_FOLLOWED = (
    r"\s*(?:,|;|\b(?:and )?(?:then|after (?:that|this|which)|afterwards|finally)\b)"
    r"(?:\s|,|;|\b(?:and )?(?:then|after (?:that|this|which)|afterwards|finally)\b)*(?:and )?"
)
"""Between what is done one after the other."""


class UnknownSentenceError(Exception):
    """A sentence that the grammar does not accept."""


class ContradictionError(Exception):
    """A sentence that asks for what cannot be done together, or at all."""


@dataclass
class _Clause:
    """One part of a sentence, between `and` and `then`."""

    verb: str = ""
    directions: tuple[str, ...] = ()
    size: str = ""
    number: float | None = None
    unit: str = ""
    gripper: str = ""
    hand: bool = False
    thing: bool = False
    held: bool = False
    shuts: bool = False


class Grammar:
    """Sentences whose every word is known.

    sentence := group (then group)*; group := clause (and clause)*; a clause has a direction or an
    action of the gripper, and at most one verb and one amount.
    """

    def __init__(self, primitives: PrimitiveSet) -> None:
        self._primitives = primitives

    def steps(self, cleaned: str) -> list[tuple[Primitive, ...]]:
        """Returns what to do, step by step.

        Raises:
            UnknownSentenceError: If the sentence is none of the grammar.
            ContradictionError: If it asks for opposites, or for more than there is.
        """
        parts = _amounts_joined(re.split(_FOLLOWED, _listed_together(cleaned)))
        groups: list[list[_Clause]] = []
        for part in parts:
            if not _says_nothing(part):
                groups.append(self._group(part, groups[-1][-1].unit if groups else ""))
        if not groups:
            raise UnknownSentenceError("nothing is asked for")
        for group in groups:
            _refuse_opposites(group)
        _refuse_twice(groups)
        return [step for group in groups for step in self._done(group)]

    def _group(self, text: str, unit: str) -> list[_Clause]:
        clauses = [_clause(part) for part in re.split(r"\s+and\s+|^and\s+", text) if part.strip()]
        for before, clause in itertools.pairwise(clauses):
            if not clause.verb and not clause.gripper and clause.directions:
                clause.verb = before.verb
        # "left five centimetres and down two" says of what once.
        for clause in clauses:
            if clause.number is not None and not clause.unit:
                clause.unit = unit
            unit = clause.unit or unit
        if any(c.number is not None and not c.unit for c in clauses):
            raise UnknownSentenceError("it does not say how much of what")
        # "up and a bit to the left" says one amount each; "a bit up and left" one for both.
        if len(clauses) > 1 and not any(c.gripper for c in clauses):
            said = [c for c in clauses if c.size or c.number is not None]
            if len(said) == 1:
                for clause in clauses:
                    clause.size, clause.number = said[0].size, said[0].number
                    clause.unit = said[0].unit
        return clauses

    def _done(self, group: Sequence[_Clause]) -> Iterator[tuple[Primitive, ...]]:
        together: list[list[Primitive]] = []
        for clause in group:
            if clause.gripper:
                yield from _zipped(together)
                together = []
                yield (self._primitives.named(clause.gripper),)
            else:
                together += [self._amount(clause, d) for d in clause.directions]
        yield from _zipped(together)

    def _amount(self, clause: _Clause, direction: str) -> list[Primitive]:
        name = _direction_name(clause.verb, direction)
        if clause.unit in DEGREES and f"turn_{name}" in self._first and not clause.verb:
            name = f"turn_{name}"
        if name not in self._first:
            raise UnknownSentenceError("that is no direction for such a motion")
        axis, sign = self._first[name].axis, np.sign(self._first[name].amount)
        amounts = self._primitives.amounts(axis)
        if clause.number is None:
            usual = "small" if clause.verb in SMALL else "medium"
            level = vague_level(clause.size or usual, len(amounts))
            wanted = [amounts[level]]
        else:
            wanted = _made_up(_metric(clause, turns=axis >= TRANSLATIONS), amounts)
        found = [self._primitives.along(axis, float(sign * amount)) for amount in wanted]
        return [primitive for primitive in found if primitive is not None]

    @property
    def _first(self) -> dict[str, Primitive]:
        return {p.direction: p for p in self._primitives if p.kind is Kind.MOVE}


def _listed_together(text: str) -> str:
    """Puts "and" between directions that a list names: "forward, left and up"."""
    *first, last = text.split(", ")
    listed = [*first, last.split(" and ")[0]]
    if len(listed) < 2 or " and " not in last or not all(map(_names_a_direction, listed)):
        return text
    return " and ".join([*first, last])


def _names_a_direction(text: str) -> bool:
    words = text.split()
    directions = sum(word in DIRECTIONS for word in words)
    return directions == 1 and all(word in DIRECTIONS or word in MOVING for word in words)


def _refuse_twice(groups: Sequence[Sequence[_Clause]]) -> None:
    """Refuses "onward, straight forward": whether that is once or twice is not clear."""
    named = [[_direction_name(c.verb, d) for c in group for d in c.directions] for group in groups]
    if any(before and before == after for before, after in itertools.pairwise(named)):
        raise UnknownSentenceError("it says the same direction twice")


def _amounts_joined(parts: Sequence[str]) -> list[str]:
    """Parts, with what is only an amount, or only a verb, put to the one before it.

    "Left turn, 15 degrees"; "15 degrees to the left, turn".
    """
    joined: list[str] = []
    for part in parts:
        words = [word for word in part.split() if word not in FILLERS]
        number, used = _number(words, 0)
        amount = number is not None and used == len(words) - 1
        if joined and (amount or (len(words) == 1 and words[0] in TURNING)):
            joined[-1] += f" {' '.join(words)}"
        else:
            joined.append(part)
    return joined


def _says_nothing(text: str) -> bool:
    """Whether it is only how somebody is spoken to."""
    return all(word in FILLERS for word in text.split())


def _zipped(together: Sequence[Sequence[Primitive]]) -> Iterator[tuple[Primitive, ...]]:
    """Motions side by side; of those made up of several primitives the rest follows."""
    for place in range(max(map(len, together), default=0)):
        parts = [made[place] for made in together if place < len(made)]
        yield tuple(sorted(parts, key=lambda primitive: primitive.axis))


def _clause(text: str) -> _Clause:
    clause = _Clause()
    for size, pattern in VAGUE:
        shorter = re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", " ", text)
        if shorter != text and not clause.size:
            clause.size, text = size, shorter
    tokens = text.split()
    place = 0
    while place < len(tokens):
        place += _take(tokens, place, clause)
    _complete(clause)
    return clause


def _take(tokens: Sequence[str], place: int, clause: _Clause) -> int:
    """Takes the words at `place` into the clause; returns how many.

    Raises:
        UnknownSentenceError: If they are not known or not there.
    """
    word = tokens[place]
    number, used = _number(tokens, place)
    if number is not None:
        unit = tokens[place + used] if place + used < len(tokens) else ""
        if unit and unit not in METRES and unit not in DEGREES:
            raise UnknownSentenceError(f"it does not say {word} of what")
        if clause.number is not None:
            raise UnknownSentenceError("it names two amounts")
        clause.number, clause.unit = number, unit
        return used + 1
    if word in DIRECTIONS or word in TURNS:
        direction = DIRECTIONS.get(word) or f"turn {TURNS[word]}"
        if direction not in clause.directions:
            clause.directions = (*clause.directions, direction)
    elif word in CLOSING or word in OPENING:
        clause.gripper = _one(clause.gripper, "close" if word in CLOSING else "open")
        clause.shuts = word in SHUTTING
    elif word in MOVING or word in TURNING or word in ROLLING or word in TILTING or word in IMPLIED:
        clause.verb = _one(clause.verb, word)
    elif word in HAND:
        clause.hand = True
    elif word in THING:
        clause.thing = True
    elif word in HELD:
        clause.held = True
    elif word not in FILLERS:
        raise UnknownSentenceError(f"the word “{word}” is not one I know here")
    return 1


def _one(before: str, word: str) -> str:
    if before and before != word:
        if OPPOSITE.get(before) == word:
            raise ContradictionError(f"it asks to {before} and to {word}")
        raise UnknownSentenceError(f"it says {before} and {word} at once")
    return word


def _complete(clause: _Clause) -> None:
    """Checks that the parts of a clause make a meaning."""
    if clause.held and (clause.shuts or not clause.gripper):
        raise UnknownSentenceError("what to do with that I do not know")
    if clause.gripper:
        if clause.directions or clause.number is not None or clause.verb:
            raise UnknownSentenceError("it mixes the gripper with a motion")
        clause.size = ""
        return
    if not clause.directions and clause.verb in IMPLIED:
        clause.directions = (IMPLIED[clause.verb],)
    elif clause.verb in IMPLIED and IMPLIED[clause.verb] not in clause.directions:
        if OPPOSITE[IMPLIED[clause.verb]] in clause.directions:
            raise ContradictionError(f"it asks to {clause.verb} the other way")
        if clause.verb not in MOVING:
            clause.directions = (IMPLIED[clause.verb], *clause.directions)
    if not clause.directions:
        raise UnknownSentenceError("it does not say in which direction")
    _refuse_opposites([clause])


def _refuse_opposites(clauses: Sequence[_Clause]) -> None:
    """Refuses left with right; left with a turn to the right is none of that."""
    moves = [_direction_name(c.verb, d) for c in clauses for d in c.directions]
    asked = [*moves, *(c.gripper for c in clauses if c.gripper)]
    for name in asked:
        kind, _, side = name.rpartition("_")
        opposite = f"{kind}_{OPPOSITE[side]}".removeprefix("_")
        if opposite in asked:
            said = " and for ".join(n.replace("_", " ") for n in (name, opposite))
            raise ContradictionError(f"it asks for {said}, which are opposite")


def _direction_name(verb: str, direction: str) -> str:
    if direction.startswith("turn "):
        side = direction.removeprefix("turn ")
        return f"roll_{side}" if verb in ROLLING else f"turn_{side}"
    if verb in TURNING:
        return f"turn_{direction}"
    if verb in ROLLING:
        return f"roll_{direction}"
    if verb in TILTING:
        return f"tilt_{TILTED.get(direction, direction)}"
    return direction


def _metric(clause: _Clause, *, turns: bool) -> float:
    assert clause.number is not None
    if turns != (clause.unit in DEGREES):
        raise UnknownSentenceError(f"{clause.unit} is no unit for that motion")
    scale = np.pi / 180 if turns else METRES[clause.unit]
    return float(clause.number * scale)


def _made_up(amount: float, amounts: Sequence[float]) -> list[float]:
    """Amounts that add up to the one that was said, the largest first."""
    parts: list[float] = []
    rest = amount
    for part in sorted(amounts, reverse=True):
        while rest > part - 0.1 * amounts[0] and len(parts) <= _MOST_PRIMITIVES:
            parts.append(part)
            rest -= part
    if not parts:
        raise ContradictionError("that is less than I can move")
    if len(parts) > _MOST_PRIMITIVES or rest > _EXACT_PART * amounts[0]:
        raise ContradictionError("I cannot move by that much at once")
    return parts


def _number(tokens: Sequence[str], place: int) -> tuple[float | None, int]:
    """The number at `place` and of how many words it is: 12, 0.5, twenty-five, two half."""
    total, used, goes_on = 0.0, 0, False
    while place + used < len(tokens):
        word = tokens[place + used]
        if re.fullmatch(r"\d*\.?\d+", word):
            value = float(word)
        elif word in NUMBERS and (NUMBERS[word] < 10 or goes_on or not used or word == "hundred"):
            value = NUMBERS[word]
        else:
            break
        goes_on = word == "hundred"
        total = total * value if word == "hundred" and used else total + value
        used += 1
    return (total, used) if used else (None, 0)
