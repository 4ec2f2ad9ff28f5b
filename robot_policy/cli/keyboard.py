"""Keys that are pressed while a command goes on, and a line that shows how things stand."""

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
