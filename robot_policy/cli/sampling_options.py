"""How a policy draws, as ``key=value`` words on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from robot_policy.core.errors import UnknownNameError
from robot_policy.core.option_values import parse_value, split_words
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
    values = split_words(words, option="--options")
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
