"""Serves a policy over websockets, to clients of this project and of openpi."""

import asyncio
import http
import ipaddress
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.policy import Policy
from robot_policy.serving import generator_state, wire
from robot_policy.serving.batcher import Batcher, BatchSettings, SampleAnswer
from robot_policy.serving.metadata import metadata_of
from robot_policy.serving.openpi_request import OpenpiKeys, OpenpiSession
from robot_policy.serving.sample_request import REQUEST, Limits, SampleRequest, message_bytes
from robot_policy.serving.token import is_authorized

HEALTH_PATH = "/healthz"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How a policy is served.

    Attributes:
        host: Address to listen on; by default nobody else can reach it.
        port: TCP port, 0 for any that is free.
        max_connections: Clients at once.
        max_message_bytes: Largest request; None computes it from what the policy needs.
        limits: Of a request.
        batch: How requests share a call.
        renamed: Names that openpi clients give to their entries, as ``client key=dataset key``.
        seed: Of the draws of clients that bring no generator.
        tls: Encrypts; None does not.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_connections: int = 32
    max_message_bytes: int | None = None
    limits: Limits = field(default_factory=Limits)
    batch: BatchSettings = field(default_factory=BatchSettings)
    renamed: tuple[str, ...] = ()
    seed: int = 0
    tls: ssl.SSLContext | None = None

    @property
    def stays_here(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class PolicyServer:
    """Answers whoever shows the token.

    A connection gets metadata first, then one answer per request, in order. A request that does
    not fit the policy is answered by a line of text that says why; what is no message of the
    protocol at all ends the connection. Nothing a client sends ends the server.

    Args:
        policy: Must keep nothing between calls.
        token: That clients must show.
        name: Of the checkpoint, for clients to display.
        device: ``cpu`` or ``cuda``, likewise.
        settings: How it is served.

    Raises:
        WireError: If a renaming is wrong.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        token: str,
        name: str = "",
        device: str = "cpu",
        settings: ServerSettings,
    ) -> None:
        spec = policy.spec
        self._policy = policy
        self._spec = spec
        self._token = token
        self._settings = settings
        self._keys = OpenpiKeys.parse(settings.renamed, spec)
        rows = max(settings.batch.max_rows, settings.limits.rows)
        self.max_message_bytes = settings.max_message_bytes or message_bytes(spec, rows=rows)
        self._metadata = wire.encode(metadata_of(spec, name=name, device=device))
        self._generator = np.random.default_rng(settings.seed)
        self._connections: set[ServerConnection] = set()
        self._stopping: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, *, started: Callable[[str], None] = lambda _: None) -> None:
        """Serves until `stop`.

        Args:
            started: Called with the URL once clients can connect.

        Raises:
            ConfigError: If the address cannot be listened on.
        """
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        settings = self._settings
        self._batcher = Batcher(self._policy, settings.batch, alone=self._is_alone)
        batching = asyncio.create_task(self._batcher.run())
        try:
            async with await self._listen() as server:
                port = next(iter(server.sockets)).getsockname()[1]
                started(_url(settings, port))
                stopping = asyncio.create_task(self._stopping.wait())
                await asyncio.wait({stopping, batching}, return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
        finally:
            self._loop = None
            batching.cancel()
            with suppress(asyncio.CancelledError):
                await batching

    def stop(self) -> None:
        """Ends `run`; may be called from any thread, and when it has ended."""
        loop, stopping = self._loop, self._stopping
        if loop is not None and stopping is not None:
            with suppress(RuntimeError):  # it has ended meanwhile
                loop.call_soon_threadsafe(stopping.set)

    async def _listen(self) -> Server:
        settings = self._settings
        quiet = logging.getLogger(f"{__name__}.websockets")
        # What strangers send is not an event; what goes wrong here is logged below.
        quiet.setLevel(logging.CRITICAL)
        try:
            return await serve(
                self._handle,
                settings.host,
                settings.port,
                ssl=settings.tls,
                # Pages in a browser say where they are from; robots do not.
                origins=[None],
                process_request=self._admit,
                compression=None,
                max_size=self.max_message_bytes,
                max_queue=2,
                server_header=None,
                logger=quiet,
            )
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise ConfigError("cannot listen", where=where, got=error.strerror or error) from error

    def _is_alone(self) -> bool:
        return len(self._connections) < 2

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answers plain HTTP and refuses; None goes on with the handshake."""
        if request.path == HEALTH_PATH:
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        if request.path != "/":
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no such path\n")
        headers = request.headers.get_all("Authorization")
        if len(headers) != 1 or not is_authorized(headers[0], self._token):
            return connection.respond(
                http.HTTPStatus.UNAUTHORIZED, "expected the header Authorization: Api-Key TOKEN\n"
            )
        if len(self._connections) >= self._settings.max_connections:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many clients\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        closed = asyncio.create_task(connection.wait_closed())
        try:
            await connection.send(self._metadata)
            await self._converse(connection, closed)
        except ConnectionClosed:
            pass
        except Exception:
            _log.exception("a request failed")
            with suppress(Exception):  # whatever the state of the connection is now
                await connection.send("internal error; the server's log has more")
                await connection.close(CloseCode.INTERNAL_ERROR)
        finally:
            self._connections.discard(connection)
            closed.cancel()

    async def _converse(self, connection: ServerConnection, closed: "asyncio.Task[None]") -> None:
        session = OpenpiSession(
            self._spec,
            keys=self._keys,
            limits=self._settings.limits,
            generator=self._generator.spawn(1)[0],
        )
        previous_ms: float | None = None
        while True:
            received = await connection.recv()
            start_ns = time.monotonic_ns()
            try:
                if isinstance(received, str):
                    raise wire.WireError("a text", where="message", expected="msgpack")
                message = wire.decode(received)
            except wire.WireError as error:
                await connection.send(str(error))
                await connection.close(CloseCode.INVALID_DATA)
                return
            try:
                reply = await self._reply(message, session, closed)
            except RobotPolicyError as error:
                await connection.send(str(error))
                continue
            if reply is None:
                return
            if previous_ms is not None:
                reply["server_timing"]["prev_total_ms"] = previous_ms
            await connection.send(wire.encode(reply))
            previous_ms = (time.monotonic_ns() - start_ns) * 1e-6

    async def _reply(
        self, message: Any, session: OpenpiSession, closed: "asyncio.Task[None]"
    ) -> dict[str, Any] | None:
        """Returns the answer, None if the client has gone meanwhile."""
        if not isinstance(message, Mapping):
            raise wire.WireError("no map", where="request", got=type(message).__name__)
        own = REQUEST in message
        if own:
            request = SampleRequest.from_message(message, self._spec, self._settings.limits)
        else:
            request = session.parse(message)
        asking = asyncio.create_task(self._batcher.ask(request))
        await asyncio.wait({asking, closed}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
            return None
        answer = asking.result()
        reply = _to_windows(request, answer) if own else _to_openpi(answer)
        reply["server_timing"] = {
            "infer_ms": answer.infer_ms,
            "queue_ms": answer.queue_ms,
            "batch_rows": answer.batch_rows,
        }
        return reply


def _to_windows(request: SampleRequest, answer: SampleAnswer) -> dict[str, Any]:
    reply: dict[str, Any] = {"candidates": answer.candidates.actions}
    if answer.candidates.past is not None:
        reply["past"] = answer.candidates.past
    if request.return_generators:
        reply["generators"] = [generator_state.to_message(g) for g in request.generators]
    return reply


def _to_openpi(answer: SampleAnswer) -> dict[str, Any]:
    # openpi's chunk broker slices every array along its first axis, so there is only one, (H, A).
    actions = answer.candidates.actions[0]
    reply: dict[str, Any] = {"actions": actions[0]}
    if len(actions) > 1:
        reply["candidates"] = actions
    return reply


def _url(settings: ServerSettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'ws' if settings.tls is None else 'wss'}://{host}:{port}"
