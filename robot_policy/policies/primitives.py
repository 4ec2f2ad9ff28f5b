"""Motion primitives: the small vocabulary of motions that sentences and policies share.

A primitive is one signed amount along or about one axis of the robot's base, a change of the
gripper, or `done`. Amounts come with the robot: its description may list them, else those of
`primitives.yaml` are taken that suit its workspace. The gripper is a state that lasts: a primitive
that moves says nothing about it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot_description import RobotDescription

AXES = ("x", "y", "z", "rx", "ry", "rz")
"""Entries of a motion: translation [m] and rotation vector [rad] in the base frame."""
TRANSLATIONS = 3

_FILE = Path(__file__).with_name("primitives.yaml")
_LARGEST_PART = 0.75
"""Of the workspace's shortest side: a longer primitive could be executed nowhere."""


class Kind(StrEnum):
    """What a primitive does."""

    MOVE = "move"
    CLOSE = "close"
    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Primitive:
    """One primitive.

    Attributes:
        name: Unique, for example ``left_2cm``.
        kind: What it does.
        axis: Index into `AXES`; -1 where nothing moves.
        amount: Signed, [m] or [rad]; 0 where nothing moves.
        direction: Key of `primitives.yaml`, for example ``left``; the kind where nothing moves.
        sentences: Ways to say it, the usual one first.
    """

    name: str
    kind: Kind
    axis: int
    amount: float
    direction: str
    sentences: tuple[str, ...]

    @property
    def motion(self) -> NDArray[np.float64]:
        """(6,) translation [m] and rotation vector [rad] in the base frame."""
        motion = np.zeros(len(AXES))
        if self.kind is Kind.MOVE:
            motion[self.axis] = self.amount
        return motion


@dataclass(frozen=True, slots=True)
class Move:
    """What is done in one decision: at most one primitive per axis, and the gripper's state.

    Attributes:
        primitives: Those that are composed; a diagonal has two or three.
        closed: State of the gripper while it is done and from then on.
        done: Whether the task is done, so that nothing follows.
    """

    primitives: tuple[Primitive, ...]
    closed: bool
    done: bool = False

    @property
    def motion(self) -> NDArray[np.float64]:
        """(6,) sum of its primitives' motions."""
        return sum((p.motion for p in self.primitives), np.zeros(len(AXES)))

    @property
    def sentence(self) -> str:
        """How it is said; ``wait`` where nothing is done."""
        said = [p.sentences[0] for p in self.primitives]
        return " and ".join(said) if said else "wait"


class PrimitiveSet(Sequence[Primitive]):
    """All primitives of a robot, in an order that depends on its amounts alone.

    Motions come axis by axis from the most negative to the most positive amount, then `close`,
    `open` and `done`.

    Args:
        translation_m: Positive amounts [m], ascending.
        rotation_rad: Likewise [rad].

    Raises:
        ConfigError: If there is no amount, or they are not positive and ascending.
    """

    def __init__(self, *, translation_m: Sequence[float], rotation_rad: Sequence[float]) -> None:
        for name, values in (("translation_m", translation_m), ("rotation_rad", rotation_rad)):
            _check_amounts(name, values)
        self.translation_m = tuple(map(float, translation_m))
        self.rotation_rad = tuple(map(float, rotation_rad))
        self._all = tuple(_build(self.translation_m, self.rotation_rad))
        self._index = {primitive.name: i for i, primitive in enumerate(self._all)}

    @classmethod
    def for_robot(cls, robot: RobotDescription) -> Self:
        """Those of a robot: of its description, else the usual ones that fit its workspace.

        Raises:
            ConfigError: If its workspace is too small for any of the usual ones.
        """
        data = _data()
        box = robot.workspace
        side = min(high - low for low, high in zip(box.low, box.high, strict=True))
        usual = [m for m in data["translation_m"] if m <= _LARGEST_PART * side]
        known = robot.primitives
        return cls(
            translation_m=usual if known is None else known.translation_m,
            rotation_rad=np.deg2rad(data["rotation_deg"]).tolist()
            if known is None
            else known.rotation_rad,
        )

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: Any) -> Any:
        return self._all[index]

    def named(self, name: str) -> Primitive:
        """Returns a primitive by name.

        Raises:
            UnknownNameError: If there is none.
        """
        if name not in self._index:
            raise UnknownNameError.of("primitive", name, self._index)
        return self._all[self._index[name]]

    def index_of(self, primitive: Primitive) -> int:
        """Place of a primitive in this set."""
        return self._index[primitive.name]

    def amounts(self, axis: int) -> tuple[float, ...]:
        """Positive amounts of an axis, ascending [m] or [rad]."""
        return self.translation_m if axis < TRANSLATIONS else self.rotation_rad

    def along(self, axis: int, amount: float) -> Primitive | None:
        """The primitive closest to a signed amount along or about an axis; None for the least.

        Close is meant by ratio, as the amounts are spaced. What is less than half the smallest
        amount is not worth a primitive.
        """
        amounts = np.array(self.amounts(axis))
        size = abs(amount)
        if size < amounts[0] / 2:
            return None
        nearest = int(np.argmin(np.abs(np.log(amounts / max(size, 1e-12)))))
        return self._moves[axis, nearest, amount > 0]

    def compose(self, motion: NDArray[np.floating], *, closed: bool, done: bool = False) -> Move:
        """The move whose primitives are closest to `motion` (6,), axis by axis."""
        found = (self.along(axis, float(amount)) for axis, amount in enumerate(motion))
        return Move(tuple(p for p in found if p is not None), closed=closed, done=done)

    def inverse(self, move: Move, *, closed_before: bool) -> Move:
        """The move that takes a move back, to the gripper's state before it."""
        opposite = tuple(self.opposite(p) for p in move.primitives if p.kind is Kind.MOVE)
        return Move(opposite, closed=closed_before)

    def opposite(self, primitive: Primitive) -> Primitive:
        """The primitive of the same amount the other way; close for open.

        Raises:
            ConfigError: If it has none: `done`.
        """
        if primitive.kind is Kind.DONE:
            raise ConfigError("has no opposite", where=f"primitive {primitive.name}")
        if primitive.kind is not Kind.MOVE:
            return self.named("open" if primitive.kind is Kind.CLOSE else "close")
        level = self.amounts(primitive.axis).index(abs(primitive.amount))
        return self._moves[primitive.axis, level, primitive.amount < 0]

    @cached_property
    def _moves(self) -> dict[tuple[int, int, bool], Primitive]:
        """(axis, level, whether positive) to primitive."""
        return {
            (p.axis, self.amounts(p.axis).index(abs(p.amount)), p.amount > 0): p
            for p in self._all
            if p.kind is Kind.MOVE
        }


def directions() -> Mapping[str, tuple[int, int]]:
    """Name of every direction to its axis, an index into `AXES`, and its sign."""
    return {name: (AXES.index(d["axis"]), d["sign"]) for name, d in _data()["directions"].items()}


def phrases(direction: str) -> tuple[str, ...]:
    """Ways to ask for a direction, with ``{amount}`` in them, or to close, open or be done."""
    data = _data()
    if direction in data:
        return tuple(data[direction])
    return tuple(data["directions"][direction]["phrases"])


def amount_words() -> Mapping[str, tuple[str, ...]]:
    """``smallest``, ``small`` and ``large`` to how they are said."""
    return {size: tuple(words) for size, words in _data()["amounts"].items()}


def vague_level(size: str, levels: int) -> int:
    """Which of `levels` amounts is meant by ``smallest``, ``small``, ``medium`` or ``large``.

    Small is the amount a third of the way up, large the one before the last, so that no vague word
    asks for the longest motion there is.
    """
    places = {
        "smallest": 0,
        "small": levels // 3,
        "medium": levels // 2,
        "large": max(levels - 2, 0),
    }
    return min(places[size], levels - 1)


def _build(translation_m: Sequence[float], rotation_rad: Sequence[float]) -> list[Primitive]:
    built: list[Primitive] = []
    for axis in range(len(AXES)):
        amounts = translation_m if axis < TRANSLATIONS else rotation_rad
        for name, (of, sign) in sorted(directions().items(), key=lambda item: item[1][1]):
            if of == axis:
                levels = range(len(amounts)) if sign > 0 else reversed(range(len(amounts)))
                built += [_move(name, axis, sign, amounts, level) for level in levels]
    built += [
        Primitive(kind.value, kind, -1, 0.0, kind.value, phrases(kind.value))
        for kind in (Kind.CLOSE, Kind.OPEN, Kind.DONE)
    ]
    return built


def _move(name: str, axis: int, sign: int, amounts: Sequence[float], level: int) -> Primitive:
    amount = amounts[level]
    number, unit = (amount * 100, "cm") if axis < TRANSLATIONS else (np.rad2deg(amount), "deg")
    said = [f"by {number:.3g} {'centimeters' if unit == 'cm' else 'degrees'}"]
    for size, words in amount_words().items():
        if vague_level(size, len(amounts)) == level:
            said += words
    sentences = tuple(phrase.format(amount=how) for how in said for phrase in phrases(name))
    return Primitive(f"{name}_{number:.3g}{unit}", Kind.MOVE, axis, sign * amount, name, sentences)


def _check_amounts(name: str, values: Sequence[float]) -> None:
    amounts = np.asarray(values, dtype=np.float64)
    ascending = amounts.ndim == 1 and len(amounts) > 0 and (np.diff(amounts) > 0).all()
    if not ascending or not np.isfinite(amounts).all() or amounts[0] <= 0:
        raise ConfigError(
            "amounts of primitives must be positive and ascending", where=name, got=values
        )


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    return yaml.safe_load(_FILE.read_text())
