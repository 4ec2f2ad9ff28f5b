"""Explicit registries: a name and where its implementation is, imported only when asked for."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from robot_policy.core.errors import UnknownNameError


class Registry(Mapping[str, Any]):
    """Maps names to objects given as ``"package.module:attribute"``.

    Reading a name imports its module, so that listing the valid names costs nothing and an
    optional dependency is needed only by what uses it.

    Args:
        kind: What the names are, in the singular, for messages: ``"task"``, ``"policy"``.
        entries: Name to ``"package.module:attribute"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Any:
        """Returns the object registered as `name`.

        Raises:
            UnknownNameError: If there is none; lists the valid names.
        """
        if name not in self._entries:
            raise UnknownNameError.of(self.kind, name, self._entries)
        module, _, attribute = self._entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __contains__(self, name: object) -> bool:
        """Whether `name` is registered; imports nothing."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
