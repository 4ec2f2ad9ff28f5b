"""How old each input may be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self

from robot_policy.core.errors import ConfigError, UnknownNameError

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class InputAges:
    """Oldest stamps that may be acted upon.

    Attributes:
        default_ns: Of inputs without a limit of their own [ns].
        own_ns: Of the others, by the name of the input [ns].
    """

    default_ns: int
    own_ns: Mapping[str, int] = field(default_factory=dict[str, int])

    def limit_ns(self, name: str) -> int:
        """Returns the limit of an input [ns]."""
        return self.own_ns.get(name, self.default_ns)

    @classmethod
    def parse(cls, text: str, *, default_s: float, names: Collection[str]) -> Self:
        """Reads ``wrist=0.1,ee_pose=0.05``.

        Args:
            text: Limits of inputs that have their own [s].
            default_s: Of the others [s].
            names: Inputs that there are.

        Raises:
            ConfigError: If an entry is not of that form, or its limit is not positive.
            UnknownNameError: If there is no such input.
        """
        own_ns: dict[str, int] = {}
        for entry in filter(None, (part.strip() for part in text.split(","))):
            name, _, value = (word.strip() for word in entry.partition("="))
            if name not in names:
                raise UnknownNameError.of("input", name, names, where="max_ages")
            try:
                seconds = float(value)
            except ValueError:
                seconds = 0.0
            if not 0.0 < seconds < float("inf"):
                raise ConfigError("no age", where="max_ages", expected="name=seconds,…", got=entry)
            own_ns[name] = round(seconds * _NS_PER_S)
        return cls(round(default_s * _NS_PER_S), own_ns)
