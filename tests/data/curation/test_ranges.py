"""Ranges are read back as they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError
from robot_policy.data.curation.ranges import format_ranges, parse_ranges


@given(st.sets(st.integers(0, 300)))
def test_there_and_back(numbers: set[int]) -> None:
    assert parse_ranges(format_ranges(numbers), where="x") == tuple(sorted(numbers))


def test_as_a_person_writes_them() -> None:
    assert parse_ranges("3, 0-2 ,2, 7 - 8", where="x") == (0, 1, 2, 3, 7, 8)
    assert format_ranges([5, 3, 4, 9]) == "3-5,9"


@pytest.mark.parametrize("text", ["a", "3-1", "-1", "1-", "1.5", "0-999999999", "\u0661"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match="--episodes: not episodes; expected 0-9,12; got"):
        parse_ranges(text, where="--episodes")
