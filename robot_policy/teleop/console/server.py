"""Serves the console from a thread of its own."""

import ipaddress
import socket
import threading

import uvicorn

from robot_policy.core.errors import ConfigError
from robot_policy.teleop.console.app import Console, make_app

_START_S = 30.0
_LONGEST_BYTES = 64 * 1024


class ConsoleServer:
    """Listens from the beginning to `close`.

    Args:
        console: What the page is connected to.
        host: Address; by default nobody else can reach it.
        port: TCP port, 0 for any that is free.

    Raises:
        ConfigError: If the address cannot be listened on.
    """

    def __init__(self, console: Console, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _listening(host, port)
        self._token = console.token
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            make_app(console),
            log_level="error",
            access_log=False,
            ws="websockets-sansio",
            ws_max_size=_LONGEST_BYTES,
            ws_ping_interval=5.0,
            ws_ping_timeout=5.0,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()
        self._wait()

    @property
    def url(self) -> str:
        """Address of the page with its token, which a browser keeps to itself behind the #."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/#token={self._token}"

    @property
    def stays_here(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return self._host == "localhost" or ipaddress.ip_address(self._host).is_loopback
        except ValueError:
            return False

    def close(self) -> None:
        """Ends all connections."""
        self._server.should_exit = True
        self._thread.join(timeout=5.0)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _wait(self) -> None:
        waiting = threading.Event()
        for _ in range(round(_START_S / 0.02)):
            if self._server.started or not self._thread.is_alive():
                return
            waiting.wait(0.02)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _refused(host, port, error) from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise _refused(host, port, error) from error
    return listening


def _refused(host: str, port: int, error: OSError) -> ConfigError:
    return ConfigError("cannot listen", where=f"{host}:{port}", got=error.strerror or error)
