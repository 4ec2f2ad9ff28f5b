"""A policy that runs on another machine."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, per_row
from robot_policy.core.specs import PolicySpec
from robot_policy.serving import generator_state, wire
from robot_policy.serving.metadata import ServerMetadata
from robot_policy.serving.sample_request import SampleRequest, check_generators
from robot_policy.serving.tls import client_context
from robot_policy.serving.token import authorization

_MOST_BYTES = 64 * 1024 * 1024
_CLOSE_S = 1.0
_AGAIN_S = 0.2
"""Between two tries to connect again."""


class PolicyServerError(RobotPolicyError):
    """A server cannot be reached, refuses, or does not answer in time; `where` is its URL."""


class RemotePolicy:
    """Implements `Policy` by asking a server; made by `connect`.

    It draws as the policy would here: the generators travel with the question. A connection that
    breaks is made again, at once and by itself, and meanwhile `problem` says so; a call that meets
    it asks once more. A call takes at most the deadline, whatever the network does. Calls from
    several threads wait for each other.

    Args:
        url: ``ws://host:port`` or ``wss://host:port``.
        token: The server's.
        deadline_s: For each call, connecting included [s].
        authority: Certificate that signed the server's; None trusts the system's authorities.

    Raises:
        ConfigError: If `url` is none, or `authority` cannot be read.
    """

    def __init__(
        self, url: str, *, token: str, deadline_s: float = 1.0, authority: Path | None = None
    ) -> None:
        if not url.startswith(("ws://", "wss://")):
            raise ConfigError("not a server", where=url, expected="ws://host:port or wss://…")
        if deadline_s <= 0:
            raise ConfigError("must be positive", where="deadline_s", got=deadline_s)
        self.url = url
        self.timing: dict[str, float] = {}
        """What the server said of its last answer [ms]."""
        self._token = token
        self._deadline_s = deadline_s
        self._tls = client_context(url, authority)
        self._metadata: ServerMetadata | None = None
        self._connection: ClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        # A thread of its own keeps the connection alive between calls, and can give up on a send
        # that the network does not take.
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="policy client", daemon=True
        )
        self._thread.start()

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        token: str,
        deadline_s: float = 1.0,
        connect_s: float = 10.0,
        authority: Path | None = None,
    ) -> Self:
        """Connects and learns what is served.

        Args:
            url: See the class.
            token: Likewise.
            deadline_s: Likewise.
            connect_s: For this first connection [s].
            authority: See the class.

        Raises:
            PolicyServerError: If the server cannot be reached, refuses, or is of another kind.
            ConfigError: See the class.
        """
        policy = cls(url, token=token, deadline_s=deadline_s, authority=authority)
        try:
            policy._call(policy._connected(), within_s=connect_s)
        except BaseException:
            policy.close()
            raise
        return policy

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def spec(self) -> PolicySpec:
        """Spec of the policy behind."""
        return self.metadata.spec

    @property
    def device_type(self) -> str:
        """Where the policy behind runs."""
        return self.metadata.device

    @property
    def problem(self) -> str | None:
        """Why nobody would answer now; known as soon as the connection breaks, without a call."""
        if self._metadata is None or self._connection is not None:
            return None
        return f"no connection to {self.url}"

    @property
    def metadata(self) -> ServerMetadata:
        """What the server told at the first connection."""
        assert self._metadata is not None
        return self._metadata

    def reset(self) -> None:
        """Does nothing: the policy behind keeps nothing between calls."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Asks for (B, N, H, A) actions in the robot's units.

        Raises:
            PolicyServerError: If there is no answer within the deadline, or the server refuses.
        """
        given: Sequence[np.random.Generator] = (
            () if isinstance(generator, np.random.Generator) else tuple(generator)
        )
        generators = tuple(per_row(generator, windows.batch_size))
        check_generators(generators, windows.batch_size)
        request = SampleRequest(windows, num_samples, generators, return_generators=bool(given))
        data = wire.encode(request.to_message())
        reply = self._call(self._ask(data), within_s=self._deadline_s)
        try:
            # Generators that the caller keeps go on from where the draws ended.
            for kept, state in zip(given, reply["generators"] if given else (), strict=True):
                generator_state.adopt(kept, generator_state.from_message(state, where=self.url))
            self.timing = {str(k): float(v) for k, v in reply["server_timing"].items()}
            return _candidates(reply, self.spec, rows=windows.batch_size, num_samples=num_samples)
        except (KeyError, TypeError, ValueError, AttributeError, RobotPolicyError) as error:
            raise PolicyServerError("not an answer", where=self.url, got=error) from error

    def close(self) -> None:
        """Closes the connection; the policy cannot be used any more."""
        if self._loop.is_closed():
            return
        future = asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop)
        future.result(timeout=2 * _CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call[T](self, coroutine: Coroutine[Any, Any, T], *, within_s: float) -> T:
        """Runs `coroutine` in the client's thread; what goes wrong becomes one kind of error."""
        with self._lock:
            if self._loop.is_closed():
                coroutine.close()
                raise PolicyServerError("the client is closed", where=self.url)
            limited = self._limited(coroutine, within_s)
            return asyncio.run_coroutine_threadsafe(limited, self._loop).result()

    async def _limited[T](self, coroutine: Coroutine[Any, Any, T], within_s: float) -> T:
        try:
            async with asyncio.timeout(within_s):
                return await coroutine
        except PolicyServerError:
            raise
        except TimeoutError as error:
            # A late answer must not be taken for that to the next question.
            self._abort()
            raise PolicyServerError(f"no answer within {within_s:g} s", where=self.url) from error
        except InvalidStatus as error:
            raise PolicyServerError(
                "the server refuses", where=self.url, got=_refusal(error)
            ) from error
        except InvalidURI as error:
            raise ConfigError("not a server", where=self.url, got=error) from error
        except (OSError, WebSocketException, wire.WireError) as error:
            self._abort()
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            raise PolicyServerError("no connection", where=self.url, got=reason) from error

    async def _ask(self, data: bytes) -> dict[str, Any]:
        """Returns the answer to a question; asks again if the connection turns out to be broken."""
        fresh = self._connection is None
        try:
            connection = await self._connected()
            await connection.send(data)
            received = await connection.recv()
        except (ConnectionClosed, ConnectionError):
            self._abort()
            if fresh:
                raise
            return await self._ask(data)
        if isinstance(received, str):
            raise PolicyServerError("the server refuses", where=self.url, got=received[:500])
        reply = wire.decode(received)
        if not isinstance(reply, dict):
            raise wire.WireError("no map", where="answer", got=type(reply).__name__)
        return reply

    async def _connected(self) -> ClientConnection:
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._connect()
                self._watching = asyncio.create_task(self._reconnect(self._connection))
            return self._connection

    async def _reconnect(self, connection: ClientConnection) -> None:
        """Waits until a connection breaks, and makes another."""
        await connection.wait_closed()
        if self._connection is connection:
            self._connection = None
        while self._connection is None:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._connected()
            except (OSError, RobotPolicyError, WebSocketException):  # the next call says why
                await asyncio.sleep(_AGAIN_S)

    async def _connect(self) -> ClientConnection:
        connection = await connect(
            self.url,
            additional_headers={"Authorization": authorization(self._token)},
            ssl=self._tls,
            compression=None,
            max_size=_MOST_BYTES,
            open_timeout=None,
            close_timeout=_CLOSE_S,
            proxy=None,
        )
        try:
            received = await connection.recv()
            if isinstance(received, str):
                raise wire.WireError("a text", where="metadata", got=received[:200])
            metadata = ServerMetadata.from_message(wire.decode(received))
            if self._metadata is not None and metadata.spec != self._metadata.spec:
                raise PolicyServerError(
                    "the server has another policy now", where=self.url, got=metadata.name
                )
        except BaseException:
            _abort(connection)
            raise
        self._metadata = self._metadata or metadata
        return connection

    async def _disconnect(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _abort(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _abort(connection)


def _abort(connection: ClientConnection) -> None:
    # Python 3.12's transports raise it if they have closed by themselves.
    with suppress(AttributeError):
        connection.transport.abort()


def _candidates(
    reply: dict[str, Any], spec: PolicySpec, *, rows: int, num_samples: int
) -> Candidates:
    expected = (rows, num_samples, spec.horizon, *spec.action.shape)
    actions = _array(reply["candidates"], expected)
    past = reply.get("past")
    if past is not None:
        past = _array(past, (rows, num_samples, spec.past, *spec.action.shape))
    return Candidates(actions, past)


def _array(value: object, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype != np.float32:
        got = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value)
        raise wire.WireError("other actions", expected=f"float32 {shape}", got=got)
    return value.copy()


def _refusal(error: InvalidStatus) -> str:
    status = error.response.status_code
    reasons = {
        401: "the token is not the server's",
        404: "no policy server",
        503: "too many clients",
    }
    return f"HTTP {status}, {reasons.get(status, 'not a policy server')}"
