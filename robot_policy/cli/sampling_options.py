"""How a policy draws, as ``key=value`` words on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.runtime.policy_folder import PolicyFolder, PolicyKind


def parse_options(words: Sequence[str], *, checkpoint: Path) -> Mapping[str, Any]:
    """Reads `words` by the types of the hyper-parameters that the checkpoint's policy has.

    Args:
        words: ``key=value`` each.
        checkpoint: Whose policy says which keys there are. An exported one has none: its words
            are returned as they are, for `load_policy` to refuse.

    Raises:
        ConfigError: If a word is no ``key=value``, a key comes twice or a value does not suit.
        UnknownNameError: If the policy has no such option.
        CheckpointError: If there is no checkpoint.
    """
    pairs = [_split(word) for word in words]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ConfigError("an option is given twice", where="--options", got=" ".join(words))
    if not values:
        return {}
    folder = PolicyFolder.find(checkpoint)
    if folder.kind != PolicyKind.CHECKPOINT:
        return values
    from robot_policy.policies.registry import POLICIES  # its classes need torch

    name = folder.config().get("policy", "")
    policy_class = POLICIES[name]
    hints = get_type_hints(policy_class.config_type)
    valid = policy_class.sampling_options
    for key in values:
        if key not in valid:
            raise UnknownNameError.of("sampling option", key, valid, where=name)
    return {key: parse_value(text, hints[key], where=key) for key, text in values.items()}


def parse_value(text: str, hint: Any, *, where: str) -> Any:
    """Reads one value of a hyper-parameter.

    Args:
        text: As typed.
        hint: int, float, bool, str, a Literal of texts, a tuple of one type, or one of these or
            None.
        where: Named in the error.

    Raises:
        ConfigError: If it is none; says what would have been.
    """
    if isinstance(hint, TypeAliasType):
        hint = hint.__value__
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if text not in arguments:
            raise UnknownNameError.of(where, text, arguments, where="--options")
        return text
    if origin is tuple:
        return tuple(parse_value(part, arguments[0], where=where) for part in text.split(","))
    if origin in (Union, UnionType):
        if text.lower() == "none" and NoneType in arguments:
            return None
        return parse_value(text, next(a for a in arguments if a is not NoneType), where=where)
    return _parse_plain(text, hint, where)


def _parse_plain(text: str, kind: type, where: str) -> Any:
    booleans = {"true": True, "false": False}
    try:
        return booleans[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError) as error:
        expected = "true or false" if kind is bool else kind.__name__
        raise ConfigError(
            "not a value it can have", where=f"--options {where}", expected=expected, got=text
        ) from error


def _split(word: str) -> tuple[str, str]:
    key, separator, value = word.partition("=")
    if not key or not separator or not value:
        raise ConfigError("not an option", where="--options", expected="key=value", got=word)
    return key, value
