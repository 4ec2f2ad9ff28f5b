"""A line that shows how things stand, and the keys that are pressed while a command goes on."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from robot_policy.teleop.terminal import pressed_keys

__all__ = ["pressed_keys", "status_line"]


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Yields a function that shows a line: over the last on a terminal, else when it changes."""
    on_terminal = sys.stderr.isatty()
    last = ""

    def show(line: str) -> None:
        nonlocal last
        if on_terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif line != last:
            print(line, file=sys.stderr, flush=True)
        last = line

    yield show
    if on_terminal:
        print(file=sys.stderr)
