"""Errors that a person can act on: what, where, expected, got, valid names, in one line."""

import difflib
from collections.abc import Iterable
from typing import Self


class RobotPolicyError(Exception):
    """Root of every error this project raises on bad input.

    The command line prints ``str(error)`` and exits with status 2.

    Args:
        what: What is wrong, in words.
        where: File, field, topic or argument it was found in.
        expected: What would have been right.
        got: What was there instead.
        valid: Names that would have been accepted.
        hint: What to do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        got: object = None,
        valid: Iterable[str] | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.got = got
        self.valid = None if valid is None else tuple(valid)
        self.hint = hint
        super().__init__(self._line())

    def _line(self) -> str:
        head = self.what if self.where is None else f"{self.where}: {self.what}"
        details: list[str] = []
        if self.expected is not None:
            details.append(f"expected {self.expected}")
        if self.got is not None:
            details.append(f"got {self.got}")
        if self.valid is not None:
            details.append(f"valid: {', '.join(self.valid) or 'none'}")
        if self.hint is not None:
            details.append(self.hint)
        return " ".join("; ".join([head, *details]).split())


class ConfigError(RobotPolicyError):
    """A setting is wrong, or two settings contradict each other."""


class UnknownNameError(ConfigError):
    """A name that no registry holds."""

    @classmethod
    def of(cls, kind: str, name: str, valid: Iterable[str], *, where: object = None) -> Self:
        """Builds the error for a `name` of a `kind` (``"task"``, ``"policy"``, …).

        Names the closest valid one, if any is close.
        """
        names = sorted(map(str, valid))
        close = difflib.get_close_matches(name, names, n=1)
        return cls(
            f"unknown {kind} {name!r}",
            where=where,
            valid=names,
            hint=f"did you mean {close[0]!r}?" if close else None,
        )


class SpecError(RobotPolicyError):
    """A value does not fit the specification of its boundary."""


class DataError(RobotPolicyError):
    """A dataset is missing, damaged or holds values it must not."""


class CheckpointError(RobotPolicyError):
    """A checkpoint folder is missing, incomplete, damaged or of another kind."""


class SimulationError(RobotPolicyError):
    """The simulator cannot do what was asked, rendering without a display for example."""


class SafetyError(RobotPolicyError):
    """The robot must stop: an input or an action that no limit may repair."""
