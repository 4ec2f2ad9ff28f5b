"""Keys pressed on a terminal, without waiting for them and without an X server."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def pressed_keys() -> Iterator[Callable[[], str]]:
    """Yields a function that returns the keys pressed since it was last called, without waiting.

    On a terminal every key counts at once. Otherwise it is what is written to the standard input.
    """
    if sys.stdin is None:
        yield lambda: ""
        return
    if not sys.stdin.isatty():
        yield lambda: _available(sys.stdin.fileno())
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)  # Ctrl-C stays what it is
    try:
        yield lambda: _available(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _available(number: int) -> str:
    if not select.select([number], [], [], 0.0)[0]:
        return ""
    return os.read(number, 1024).decode(errors="replace")
