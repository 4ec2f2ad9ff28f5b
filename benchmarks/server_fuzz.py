"""Sends a policy server what nobody should send; its part of benchmarks/results/ros2.json.

The server runs in a process of its own, whose memory is watched. Every attack says what may come
of it: without the token nothing but a refusal, with it a refusal, or an answer where the message
happens to be one after all (a flipped bit in a pixel). After all of them the server has to answer
a proper question as it did before the first.
"""

import argparse
import asyncio
import multiprocessing
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import psutil
from measure import ROOT, Target, print_targets
from ros2_results import merge
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from robot_policy.core.files import write_json
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, per_row, standard_normal
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, image_spec
from robot_policy.serving import wire
from robot_policy.serving.remote_policy import RemotePolicy
from robot_policy.serving.sample_request import SampleRequest
from robot_policy.serving.server import PolicyServer, ServerSettings
from robot_policy.serving.warm_up import neutral_windows

RESULT = ROOT / "runs" / "server_fuzz" / "result.json"
COMMAND = "python benchmarks/server_fuzz.py"
TOKEN = "the-token-of-this-benchmark"
WANTED = 2000
_GROWTH_MB = 8.0
_ATTACK_S = 10.0

SPEC: PolicySpec = replace(
    load_robot("panda_twin").spec(), cameras={"wrist": image_spec(24, 32)}, history=2, horizon=8
)


class NoisePolicy:
    """Answers noise; what is tested lies before it."""

    spec = SPEC

    def reset(self) -> None:
        """Nothing is kept."""

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws (B, N, H, A)."""
        rows = per_row(generator, windows.batch_size)
        return Candidates(standard_normal((num_samples, SPEC.horizon, SPEC.action.size), rows))


@dataclass(frozen=True)
class Address:
    """Where the server is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Its URL."""
        return f"ws://{self.host}:{self.port}"


@dataclass(frozen=True)
class Outcome:
    """What came of an attack.

    Attributes:
        answered: Whether the server did what a client with the token may ask for.
        reply: First line of what it said.
    """

    answered: bool
    reply: str


type Attack = Callable[[Address, np.random.Generator], Awaitable[Outcome]]


def proper_request(rng: np.random.Generator) -> dict[str, Any]:
    """Returns a question as the client of this project asks it, or openpi's."""
    if rng.random() < 0.5:
        return {
            "observation/state": rng.standard_normal(SPEC.state.size),
            "observation/wrist": rng.integers(0, 256, (24, 32, 3), dtype=np.uint8),
            "prompt": "lift the cube",
        }
    return SampleRequest(neutral_windows(SPEC, 1), 2, (rng.spawn(1)[0],)).to_message()


# What is sent with the token: name -> bytes, or a text.


def truncated(rng: np.random.Generator) -> bytes:
    """The beginning of a message."""
    data = wire.encode(proper_request(rng))
    return data[: rng.integers(0, len(data))]


def bit_flipped(rng: np.random.Generator) -> bytes:
    """A message with up to eight wrong bits, most of them where the structure is."""
    data = bytearray(wire.encode(proper_request(rng)))
    for _ in range(rng.integers(1, 9)):
        end = len(data) if rng.random() < 0.3 else min(len(data), 200)
        data[rng.integers(0, end)] ^= 1 << int(rng.integers(0, 8))
    return bytes(data)


def random_bytes(rng: np.random.Generator) -> bytes:
    """Noise."""
    return rng.bytes(int(rng.integers(0, 4096)))


def text(rng: np.random.Generator) -> str:
    """A text frame."""
    return "{" * int(rng.integers(1, 1000))


def wrong_type(rng: np.random.Generator) -> bytes:
    """One entry is of another kind."""
    message = proper_request(rng)
    key = _pick(rng, list(message))
    others: list[Any] = [None, True, -1, 2**63, 0.5, "x", b"x", [], [[1]], {"a": 1}, np.zeros(3)]
    kept = type(message[key])
    message[key] = _pick(rng, [o for o in others if type(o) is not kept])
    if key == "prompt" and message[key] is None:
        message[key] = 3
    return wire.encode(message)


def huge_shape(rng: np.random.Generator) -> bytes:
    """An array that claims more than there is."""
    sizes = [2**31 - 1, 2**40, 2**62, 10**6, -1, 0]
    shape = [_pick(rng, sizes) for _ in range(int(rng.integers(1, 12)))]
    return _with_array(rng, shape=[*shape, 7])


def wrong_dtype(rng: np.random.Generator) -> bytes:
    """An array of something that is no number, or of numbers turned round."""
    names = ["O", "|O8", "object", ">f4", "<c8", "<U4", "|S4", "|V8", "<M8[s]", "float32", "", "f"]
    return _with_array(rng, dtype=_pick(rng, [*names, b"|O", None, 3, [["a", "<f4"]], "<f4" * 50]))


def wrong_scalar(rng: np.random.Generator) -> bytes:
    """A numpy scalar that is none."""
    entries = {b"__npgeneric__": True, b"data": _pick(rng, [2**70 // 2**10, "x", b"", None, [1]])}
    entries[b"dtype"] = _pick(rng, ["<f4", "|i1", "O", "<M8[s]"])
    return _packed(proper_request(rng), {"seed": entries})


def deep_nesting(rng: np.random.Generator) -> bytes:
    """Lists or maps in each other."""
    depth = int(rng.integers(300, 30_000))
    return _pick(rng, [b"\x91" * depth + b"\xc0", b"\x81\xa1a" * depth + b"\xc0"])


def many_containers(rng: np.random.Generator) -> bytes:
    """A byte each on the wire, and many in memory."""
    return msgpack.packb([[{}] * 900] * int(rng.integers(4, 60)))


def claimed_length(rng: np.random.Generator) -> bytes:
    """A header that promises four gigabytes."""
    header = _pick(rng, [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"])
    return header + struct.pack(">I", int(rng.integers(2**28, 2**32))) + rng.bytes(64)


def extension(rng: np.random.Generator) -> bytes:
    """A msgpack extension, timestamps among them."""
    code = int(_pick(rng, [0, 1, 5, 127]))
    return _packed(proper_request(rng), {"prompt": msgpack.ExtType(code, rng.bytes(8))})


def missing_key(rng: np.random.Generator) -> bytes:
    """One entry that is needed is not there."""
    message = proper_request(rng)
    del message[_pick(rng, [k for k in message if k not in ("prompt", "request")])]
    return wire.encode(message)


def unknown_key(rng: np.random.Generator) -> bytes:
    """An entry that nobody knows, in our own form, which has no such entries."""
    message = SampleRequest(neutral_windows(SPEC, 1), 2, (rng.spawn(1)[0],)).to_message()
    return wire.encode({**message, f"key{rng.integers(100)}": 1})


def not_finite(rng: np.random.Generator) -> bytes:
    """NaN and infinity, also such as appear when a float64 becomes a float32."""
    value = _pick(rng, [np.nan, np.inf, -np.inf, 1e300])
    state = np.zeros(SPEC.state.size)
    state[rng.integers(len(state))] = value
    return wire.encode({**_openpi(rng), "observation/state": state})


def too_much(rng: np.random.Generator) -> bytes:
    """More candidates, or more rows, than a request may ask for."""
    request = SampleRequest(neutral_windows(SPEC, 1), 2, (rng.spawn(1)[0],)).to_message()
    if rng.random() < 0.5:
        return wire.encode({**request, "num_samples": int(rng.integers(257, 2**62))})
    return wire.encode({**request, "observation.state": np.zeros((65, 2, 17), np.float32)})


def wrong_generator(rng: np.random.Generator) -> bytes:
    """A random generator in a state that it cannot have."""
    request = SampleRequest(neutral_windows(SPEC, 1), 2, (rng.spawn(1)[0],)).to_message()
    wrong: list[Any] = [
        {}, None, {"state": b"", "inc": b"", "half": None}, {"state": 1, "inc": 1, "half": 0},
        {"state": bytes(16), "inc": bytes(16), "half": None},
        {"state": bytes(16), "inc": b"\x01" * 16, "half": 2**32},
    ]  # fmt: skip
    return wire.encode({**request, "generators": [_pick(rng, wrong)]})


def oversized(rng: np.random.Generator) -> bytes:
    """More bytes than any request has."""
    return wire.encode({**_openpi(rng), "observation/extra": np.zeros(8 * 1024 * 1024, np.uint8)})


MESSAGES: dict[str, Callable[[np.random.Generator], bytes | str]] = {
    function.__name__: function
    for function in (
        truncated, bit_flipped, random_bytes, text, wrong_type, huge_shape, wrong_dtype,
        wrong_scalar, deep_nesting, many_containers, claimed_length, extension, missing_key,
        unknown_key, not_finite, too_much, wrong_generator,
    )
}  # fmt: skip
RARE_MESSAGES = {"oversized": oversized}
"""Take longer; sent less often."""

MAY_BE_ANSWERED = frozenset({"bit_flipped"})
"""Attacks after which a message may still be a proper one."""


def _with_token(make: Callable[[np.random.Generator], bytes | str]) -> Attack:
    async def attack(address: Address, rng: np.random.Generator) -> Outcome:
        headers = {"Authorization": f"Api-Key {TOKEN}"}
        client = await connect(
            address.url, additional_headers=headers, compression=None, proxy=None, close_timeout=1
        )
        try:
            await client.recv()
            return await _ask(client, make(rng))
        finally:
            # Python 3.12's transports raise it if they have closed by themselves.
            with suppress(AttributeError):
                await client.close()

    return attack


async def _ask(client: ClientConnection, data: bytes | str) -> Outcome:
    try:
        await client.send(data)
        reply = await client.recv()
    except ConnectionClosed as error:
        return Outcome(False, f"closed: {error}")
    if isinstance(reply, str):
        return Outcome(False, reply.partition("\n")[0])
    return Outcome(True, "an answer")


def _with_headers(make: Callable[[np.random.Generator], list[tuple[str, str]]]) -> Attack:
    """An attack at the door: the handshake must fail."""

    async def attack(address: Address, rng: np.random.Generator) -> Outcome:
        try:
            async with connect(
                address.url, additional_headers=make(rng), proxy=None, close_timeout=1
            ) as client:
                await client.recv()
                return Outcome(True, "admitted")
        except (InvalidHandshake, ConnectionError, EOFError) as error:
            return Outcome(False, str(error))

    return attack


def _wrong_token(rng: np.random.Generator) -> list[tuple[str, str]]:
    wrong = ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "x" * 7000, "é" * 9, rng.bytes(16).hex()]
    return [("Authorization", f"Api-Key {_pick(rng, wrong)}")]


def _wrong_scheme(rng: np.random.Generator) -> list[tuple[str, str]]:
    scheme = _pick(rng, ["Basic", "Digest", "Token", "", "Api-Key:"])
    return [("Authorization", f"{scheme} {TOKEN}")]


def _two_tokens(rng: np.random.Generator) -> list[tuple[str, str]]:
    other = f"Api-Key {rng.bytes(9).hex()}"
    return [("Authorization", other), ("Authorization", f"Api-Key {TOKEN}")]


def _other_header(rng: np.random.Generator) -> list[tuple[str, str]]:
    name = _pick(rng, ["X-Api-Key", "Cookie", "Proxy-Authorization", "Authorisation"])
    return [(name, f"Api-Key {TOKEN}")]


def _from_a_page(rng: np.random.Generator) -> list[tuple[str, str]]:
    origin = _pick(rng, ["https://example.org", "null", "http://localhost"])
    return [("Authorization", f"Api-Key {TOKEN}"), ("Origin", origin)]


_HANDSHAKE = (
    "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)


def _raw(make: Callable[[np.random.Generator], bytes], *, end: bool = False) -> Attack:
    """An attack by hand on the socket: no switch to websockets may come of it.

    With `end` nothing more comes, for which the server would wait a while otherwise.
    """

    async def attack(address: Address, rng: np.random.Generator) -> Outcome:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            writer.write(make(rng))
            with suppress(ConnectionError):
                await writer.drain()
                if end:
                    writer.write_eof()
            try:
                line = (await reader.readline()).decode(errors="replace").strip()
            except ConnectionError:
                line = ""
            return Outcome(" 101 " in line, line or "closed")
        finally:
            writer.close()

    return attack


def _wrong_path(rng: np.random.Generator) -> bytes:
    paths = [
        "/admin",
        "//",
        "/?token=" + TOKEN,
        "/../",
        "/healthz/../",
        "*",
        "/%00",
        "/" + "a" * 99,
    ]
    more = f"Authorization: Api-Key {TOKEN}\r\n"
    return _HANDSHAKE.format(method="GET", path=_pick(rng, paths), more=more).encode()


def _wrong_method(rng: np.random.Generator) -> bytes:
    method = _pick(rng, ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "G" * 5000])
    more = f"Authorization: Api-Key {TOKEN}\r\n"
    return _HANDSHAKE.format(method=method, path="/", more=more).encode()


def _noise(rng: np.random.Generator) -> bytes:
    return _pick(
        rng, [b"\x16\x03\x01\x02\x00\x01" + rng.bytes(500), rng.bytes(2000), b"\r\n" * 500]
    )


def _many_headers(rng: np.random.Generator) -> bytes:
    more = "".join(f"X-{i}: {rng.bytes(20).hex()}\r\n" for i in range(int(rng.integers(200, 900))))
    return _HANDSHAKE.format(method="GET", path="/", more=more).encode()


def _half_a_handshake(rng: np.random.Generator) -> bytes:
    more = f"Authorization: Api-Key {TOKEN}\r\n"
    whole = _HANDSHAKE.format(method="GET", path="/", more=more).encode()
    return whole[: rng.integers(0, len(whole) - 2)]


DOOR: dict[str, Attack] = {
    "no_token": _with_headers(lambda _: []),
    "wrong_token": _with_headers(_wrong_token),
    "wrong_scheme": _with_headers(_wrong_scheme),
    "two_tokens": _with_headers(_two_tokens),
    "other_header": _with_headers(_other_header),
    "from_a_page": _with_headers(_from_a_page),
    "wrong_path": _raw(_wrong_path),
    "wrong_method": _raw(_wrong_method),
    "noise": _raw(_noise, end=True),
    "many_headers": _raw(_many_headers, end=True),
    "half_a_handshake": _raw(_half_a_handshake, end=True),
}
ATTACKS: dict[str, Attack] = {name: _with_token(make) for name, make in MESSAGES.items()} | DOOR
RARE_ATTACKS: dict[str, Attack] = {n: _with_token(make) for n, make in RARE_MESSAGES.items()}
_RARITY = 10


@dataclass(frozen=True)
class Row:
    """All attacks of one kind.

    Attributes:
        kind: Name.
        door: Whether the client had no right to be there.
        sent: How often.
        refused: How often the server refused.
        answered: How often it answered.
        unanswered: How often nothing came in time.
        example: What it said once.
    """

    kind: str
    door: bool
    sent: int
    refused: int
    answered: int
    unanswered: int
    example: str


async def attack_server(address: Address, count: int, *, seed: int) -> list[Row]:
    """Makes at least `count` attacks, one after the other, of every kind as many."""
    rows: list[Row] = []
    each = -(-count // len(ATTACKS))
    kinds = [(name, attack, each) for name, attack in ATTACKS.items()]
    kinds += [(name, attack, -(-each // _RARITY)) for name, attack in RARE_ATTACKS.items()]
    for number, (name, attack, times) in enumerate(kinds):
        rng = np.random.default_rng([seed, number])
        outcomes: list[Outcome | None] = []
        for _ in range(times):
            try:
                outcomes.append(await asyncio.wait_for(attack(address, rng), _ATTACK_S))
            except TimeoutError:
                outcomes.append(None)
        heard = [o for o in outcomes if o is not None]
        answered = sum(o.answered for o in heard)
        examples = [o.reply for o in heard if not o.answered]
        rows.append(
            Row(
                kind=name,
                door=name in DOOR,
                sent=times,
                refused=len(heard) - answered,
                answered=answered,
                unanswered=times - len(heard),
                example=(examples or [""])[-1][:160],
            )
        )
    return rows


def measure(count: int, *, seed: int) -> tuple[list[dict[str, Any]], list[Target]]:
    """Attacks a server in a process of its own.

    Returns:
        Rows and targets, for whoever writes the results file.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        address = Address("127.0.0.1", here.recv())
        watched = psutil.Process(process.pid)
        before = _proper_answer(address)
        # The first round fills caches of the interpreter and the allocator.
        asyncio.run(attack_server(address, count // 2, seed=seed))
        settled_mb = watched.memory_info().rss / 1e6
        attacks = asyncio.run(attack_server(address, count, seed=seed + 1))
        growth_mb = watched.memory_info().rss / 1e6 - settled_mb
        alive = process.is_alive() and np.array_equal(_proper_answer(address), before)
    finally:
        process.terminate()
        process.join()
    rows: list[dict[str, Any]] = [
        {"cell": f"server_fuzz/{row.kind}", "seed": seed, **asdict(row)} for row in attacks
    ]
    memory = {"settled_mb": round(settled_mb, 2), "growth_mb": round(growth_mb, 2)}
    rows.append({"cell": "server_fuzz/memory", "seed": seed, **memory})
    return rows, targets(attacks, growth_mb=growth_mb, alive=alive, count=count)


def targets(rows: list[Row], *, growth_mb: float, alive: bool, count: int) -> list[Target]:
    """Returns what was promised of the server, and whether it holds."""
    command = f"{COMMAND} --count {count}"
    sent = sum(row.sent for row in rows)
    admitted = sum(row.answered for row in rows if row.door)
    wrongly = sum(r.answered for r in rows if not r.door and r.kind not in MAY_BE_ANSWERED)
    silent = sum(row.unanswered for row in rows)

    def target(name: str, wanted: str, measured: float, unit: str, *, holds: bool) -> Target:
        return Target(f"server_fuzz_{name}", wanted, measured, unit, holds, command)

    return [
        target("messages", f"at least {WANTED}", sent, "attacks", holds=sent >= WANTED),
        target("alive", "answers afterwards as before", float(alive), "yes", holds=alive),
        target("admitted", "0 without the token", admitted, "attacks", holds=admitted == 0),
        target("accepted", "0 malformed accepted", wrongly, "attacks", holds=wrongly == 0),
        target("silent", "0 without any reaction", silent, "attacks", holds=silent == 0),
        target(
            "growth",
            f"under {_GROWTH_MB:g}",
            round(growth_mb, 2),
            "MB",
            holds=growth_mb < _GROWTH_MB,
        ),
    ]


def main() -> int:
    """Returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2500, help="attacks, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rows, judged = measure(arguments.count, seed=arguments.seed)
    write_json(arguments.output, {"rows": rows, "targets": [asdict(t) for t in judged]})
    if arguments.count >= WANTED:
        merge(rows=rows, targets=judged, command=f"{COMMAND} --count {arguments.count}")
    else:  # a trial, which is no result
        print_targets(judged)
    return int(not all(target.holds for target in judged))


def _serve(connection: Connection) -> None:
    def started(url: str) -> None:
        connection.send(int(url.rpartition(":")[2]))

    server = PolicyServer(NoisePolicy(), token=TOKEN, settings=ServerSettings(port=0))
    asyncio.run(server.run(started=started))


def _proper_answer(address: Address) -> np.ndarray:
    with RemotePolicy.connect(address.url, token=TOKEN, deadline_s=10) as policy:
        generator = np.random.default_rng(7)
        return policy.sample(neutral_windows(SPEC, 1), num_samples=3, generator=generator).actions


def _openpi(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "observation/state": rng.standard_normal(SPEC.state.size),
        "observation/wrist": rng.integers(0, 256, (24, 32, 3), dtype=np.uint8),
    }


def _with_array(rng: np.random.Generator, **changes: Any) -> bytes:
    entries: dict[bytes, Any] = {
        b"__ndarray__": True,
        b"data": bytes(4 * SPEC.state.size),
        b"dtype": "<f4",
        b"shape": [SPEC.state.size],
    }
    entries |= {key.encode(): value for key, value in changes.items()}
    return _packed(_openpi(rng), {"observation/state": entries})


def _packed(message: dict[str, Any], changes: dict[str, Any]) -> bytes:
    parts = {key: msgpack.unpackb(wire.encode(value)) for key, value in message.items()}
    return msgpack.packb({**parts, **changes})


def _pick(rng: np.random.Generator, options: list[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


if __name__ == "__main__":
    sys.exit(main())
