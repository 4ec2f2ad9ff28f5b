"""key=value words become values of the hyper-parameter's type."""

from pathlib import Path
from typing import Literal

import pytest

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError
from robot_policy.core.option_values import parse_value

type Sampler = Literal["ddim", "ddpm"]


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("5", int, 5),
        ("0.5", float, 0.5),
        ("2", float, 2.0),
        ("true", bool, True),
        ("False", bool, False),
        ("ddpm", Literal["ddim", "ddpm"], "ddpm"),
        ("ddpm", Sampler, "ddpm"),
        ("a=b", str, "a=b"),
        ("3,4", tuple[int, ...], (3, 4)),
        ("none", int | None, None),
        ("7", int | None, 7),
    ],
)
def test_values_have_the_type_of_the_hyper_parameter(
    text: str, hint: object, value: object
) -> None:
    parsed = parse_value(text, hint, where="x")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("many", int, "--options x: not a value it can have; expected int; got many"),
        ("1.5", int, "expected int"),
        ("1", bool, "expected true or false"),
        ("dpm", Sampler, "unknown x 'dpm'; valid: ddim, ddpm"),
        ("3,b", tuple[int, ...], "expected int; got b"),
    ],
)
def test_what_is_no_such_value_is_refused(text: str, hint: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_value(text, hint, where="x")


@pytest.mark.parametrize("words", [["a"], ["=3"], ["a="], ["a=1", "a=2"]])
def test_what_is_no_option_is_refused_before_anything_is_read(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="--options"):
        parse_options(words, checkpoint=Path("no/run"))


def test_no_options_need_no_checkpoint() -> None:
    assert parse_options([], checkpoint=Path("no/run")) == {}
