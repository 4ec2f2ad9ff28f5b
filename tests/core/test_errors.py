"""An error is one line that a person can act on."""

import pytest

from robot_policy.core.errors import RobotPolicyError, UnknownNameError
from robot_policy.core.registry import Registry


def test_every_part_appears_in_one_line() -> None:
    error = RobotPolicyError(
        "wrong\nsize", where="file.parquet", expected=3, got=4, valid=["a", "b"], hint="do this"
    )
    assert str(error) == "file.parquet: wrong size; expected 3; got 4; valid: a, b; do this"


def test_registry_imports_on_demand_and_names_the_closest() -> None:
    registry = Registry("thing", {"path": "os:path", "broken": "no.such.module:x"})
    assert registry["path"].join("a", "b") == "a/b"
    assert "broken" in registry
    assert list(registry) == ["path", "broken"]
    with pytest.raises(UnknownNameError, match=r"unknown thing 'pat'; valid: broken, path; did"):
        registry["pat"]
    with pytest.raises(ModuleNotFoundError):
        registry["broken"]
