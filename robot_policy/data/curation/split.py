"""Divides episodes at random into parts of given sizes."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from robot_policy.core.errors import ConfigError


def parse_parts(words: Sequence[str], *, where: str) -> dict[str, float]:
    """Reads parts as a person types them: ``train=0.8 test=0.2``.

    Raises:
        ConfigError: If one is not of that form, or they are more than the whole.
    """
    parts: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            share = float(text)
        except ValueError:
            share = -1.0
        if not 0.0 < share <= 1.0 or not name.replace("-", "_").isidentifier() or name in parts:
            raise ConfigError(
                "not a part", where=where, expected="NAME=SHARE, share in (0, 1]", got=repr(word)
            )
        parts[name] = share
    if not parts:
        raise ConfigError("no parts", where=where, expected="train=0.8 test=0.2")
    if sum(parts.values()) > 1.0 + 1e-9:
        raise ConfigError("more than the whole", where=where, got=f"{sum(parts.values()):g}")
    return parts


def split(
    groups: Sequence[Hashable], parts: Mapping[str, float], *, seed: int
) -> dict[str, list[int]]:
    """Assigns every episode to at most one part, keeping the mix of groups in each.

    Episodes of a group are shuffled and laid out behind each other with those of the others; the
    parts are cut out of every group in proportion, and what does not come out even goes where
    most is missing. Shares below 1 in all leave the rest out.

    Args:
        groups: Of every episode; all the same where nothing is to be kept.
        parts: Name to share.
        seed: Of the choice.

    Returns:
        Sorted episode numbers by part.

    Raises:
        ConfigError: If a part would be empty.
    """
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    by_group: dict[Hashable, list[int]] = {}
    for episode in order:
        by_group.setdefault(groups[episode], []).append(episode)
    chosen: dict[str, list[int]] = {name: [] for name in parts}
    rest = 1.0 - sum(parts.values())
    shares = dict(parts) if rest < 1e-9 else {**parts, "": rest}
    wanted, taken = dict.fromkeys(shares, 0.0), dict.fromkeys(shares, 0)
    for members in by_group.values():
        for name, share in shares.items():
            wanted[name] += share * len(members)
        whole = {name: int(wanted[name] - taken[name] + 1e-9) for name in shares}
        for name, count in whole.items():
            _take(members, count, name, chosen, taken)
        while members:
            most = max(shares, key=lambda name: wanted[name] - taken[name])
            _take(members, 1, most, chosen, taken)
    for name, episodes in chosen.items():
        if not episodes:
            raise ConfigError(
                "a part without an episode", where=name, got=f"{len(groups)} episodes in all"
            )
    return {name: sorted(episodes) for name, episodes in chosen.items()}


def _take(
    members: list[int], count: int, name: str, chosen: dict[str, list[int]], taken: dict[str, int]
) -> None:
    some, members[:count] = members[:count], []
    taken[name] += len(some)
    if name in chosen:
        chosen[name] += some
