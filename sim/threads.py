"""Keeps the numerical libraries of worker processes from fighting over the cores."""

import os
from collections.abc import Generator
from contextlib import contextmanager

_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextmanager
def one_thread_each() -> Generator[None]:
    """Processes started in the block use one thread each.

    The libraries read their limit when they are loaded, so it has to be in the environment before
    the process starts.
    """
    before = {name: os.environ.get(name) for name in _LIMITS}
    os.environ.update(dict.fromkeys(_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
