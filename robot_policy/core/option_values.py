"""Hyper-parameters as ``key=value`` words, read by their types."""

from collections.abc import Sequence
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin

from robot_policy.core.errors import ConfigError, UnknownNameError


def split_words(words: Sequence[str], *, option: str) -> dict[str, str]:
    """Splits ``key=value`` words.

    Args:
        words: As typed.
        option: They were given with, named in the error.

    Raises:
        ConfigError: If a word is no ``key=value``, or a key comes twice.
    """
    pairs = [_split(word, option) for word in words]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ConfigError("an option is given twice", where=option, got=" ".join(words))
    return values


def parse_value(text: str, hint: Any, *, where: str, option: str = "--options") -> Any:
    """Reads one value of a hyper-parameter.

    Args:
        text: As typed.
        hint: int, float, bool, str, a Literal of texts, a tuple of one type, or one of these or
            None.
        where: Key, named in the error.
        option: It was given with, named in the error.

    Raises:
        ConfigError: If it is none; says what would have been.
    """
    if isinstance(hint, TypeAliasType):
        hint = hint.__value__
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if text not in arguments:
            raise UnknownNameError.of(where, text, arguments, where=option)
        return text
    if origin is tuple:
        return tuple(
            parse_value(part, arguments[0], where=where, option=option) for part in text.split(",")
        )
    if origin in (Union, UnionType):
        if text.lower() == "none" and NoneType in arguments:
            return None
        kind = next(a for a in arguments if a is not NoneType)
        return parse_value(text, kind, where=where, option=option)
    return _parse_plain(text, hint, f"{option} {where}")


def _parse_plain(text: str, kind: type, where: str) -> Any:
    booleans = {"true": True, "false": False}
    try:
        return booleans[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        expected = "true or false" if kind is bool else kind.__name__
        raise ConfigError(
            "not a value it can have", where=where, expected=expected, got=text
        ) from error


def _split(word: str, option: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not key or not separator or not value:
        raise ConfigError("not an option", where=option, expected="key=value", got=word)
    return key, value
