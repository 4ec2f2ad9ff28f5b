"""The other process of the tests of shared arrays, in a module that it can import."""

from multiprocessing.connection import Connection
from typing import Any

from robot_policy.runtime.shared_arrays import ArrayReceiver


def echo(connection: Connection) -> None:
    """Sends back the first that came, and the last, until the pipe is closed."""
    receiver = ArrayReceiver(connection)
    first: Any = None
    try:
        while True:
            last = receiver.receive()
            first = last if first is None else first  # kept, as a policy may
            connection.send((first, last))
    except EOFError:
        return
