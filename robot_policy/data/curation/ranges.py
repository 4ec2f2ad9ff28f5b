"""Episode numbers as a person writes them: ``0-9,12``."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from robot_policy.core.errors import ConfigError

_MOST = 10_000_000


def parse_ranges(text: str, *, where: object) -> tuple[int, ...]:
    """Returns the numbers, sorted, each once.

    Args:
        text: Numbers and ranges with both ends included, separated by commas; may be empty.
        where: Named in the error.

    Raises:
        ConfigError: If it is something else.
    """
    numbers: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"([0-9]{1,9})(?:\s*-\s*([0-9]{1,9}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last - first > _MOST:
            raise ConfigError("not episodes", where=where, expected="0-9,12", got=repr(part))
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def format_ranges(numbers: Iterable[int]) -> str:
    """Inverse of `parse_ranges`."""
    return ",".join(_runs(sorted(set(numbers))))


def _runs(numbers: list[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        first, last = members[0], members[-1]
        yield str(first) if first == last else f"{first}-{last}"
