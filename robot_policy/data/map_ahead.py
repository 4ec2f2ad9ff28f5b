"""Computes ahead of who takes the results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

_AHEAD = 3


def map_ahead[Item, Result](
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int = _AHEAD
) -> Generator[Result]:
    """Yields ``function(item)`` in order, computed by a thread while the ones before are used.

    Pays where both release Python's lock, as decoders and encoders do.

    Args:
        function: Of one item; must not need the thread of the caller, as what renders does.
        items: Taken in the thread of the caller.
        ahead: How many results may wait.

    Raises:
        Exception: What `function` or `items` raise.
    """
    worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="map_ahead")
    coming: deque[Future[Result]] = deque()
    try:
        for item in items:
            coming.append(worker.submit(function, item))
            if len(coming) > ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        worker.shutdown(cancel_futures=True)
