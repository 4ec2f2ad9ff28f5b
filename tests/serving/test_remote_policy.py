"""A policy behind the server answers as the policy itself; what goes wrong is one clear error."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trustme
from websockets.asyncio.server import ServerConnection

from robot_policy.core.errors import ConfigError, SpecError
from robot_policy.core.observation import Windows
from robot_policy.core.policy import LoadedPolicy
from robot_policy.core.specs import image_spec
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.thread_worker import ThreadWorker
from robot_policy.serving.remote_policy import PolicyServerError, RemotePolicy
from robot_policy.serving.server import PolicyServer
from robot_policy.serving.tls import server_context

TOKEN = "a-token-of-these-tests"


Connect = Callable[..., RemotePolicy]


@pytest.fixture
def connect(server: Any) -> Iterator[Connect]:
    made: list[RemotePolicy] = []

    def start(url: str = "", **options: Any) -> RemotePolicy:
        options = {"token": TOKEN, "deadline_s": 10.0, **options}
        made.append(RemotePolicy.connect(url or server.url, **options))
        return made[-1]

    yield start
    for policy in made:
        policy.close()


def test_it_answers_as_the_policy_itself(connect: Connect, policy: Any, windows: Windows) -> None:
    remote = connect()
    assert isinstance(remote, LoadedPolicy)
    assert remote.spec == policy.spec
    here, there = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(3):
        expected = policy.sample(windows, num_samples=3, generator=here)
        got = remote.sample(windows, num_samples=3, generator=there)
        np.testing.assert_array_equal(got.actions, expected.actions)
        assert got.past is not None
        np.testing.assert_array_equal(got.past, expected.past)
        assert got.actions.flags.writeable
    seen = policy.batches[-1]
    for name in ("state", "past", "valid", "past_valid"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(windows, name))
    np.testing.assert_array_equal(seen.images["wrist"], windows.images["wrist"])
    assert seen.instructions == windows.instructions
    assert remote.timing["batch_rows"] == 2
    assert remote.timing["infer_ms"] > 0


def test_generators_of_the_caller_go_on_as_they_would_here(
    connect: Connect, policy: Any, windows: Windows
) -> None:
    here = [np.random.default_rng(seed) for seed in (1, 2)]
    there = [np.random.default_rng(seed) for seed in (1, 2)]
    for generator in (*here, *there):
        generator.integers(0, 9, dtype=np.int32)  # leaves half a word behind
    remote = connect()
    for _ in range(2):
        expected = policy.sample(windows, generator=here)
        np.testing.assert_array_equal(
            remote.sample(windows, generator=there).actions, expected.actions
        )
    assert [g.integers(0, 2**40) for g in here] == [g.integers(0, 2**40) for g in there]


def test_the_prefix_and_privileged_state_travel(
    serve: Any, policy: Any, windows: Windows, connect: Connect
) -> None:
    privileged = replace(policy.spec.state, shape=(3,), names=(), units=())
    policy.spec = replace(policy.spec, environment_state=privileged, joins_prefix=True)
    remote = connect(serve(policy).url)
    asked = replace(
        windows,
        environment_state=np.ones((2, 2, 3), np.float32),
        prefix=np.full((2, 3, 7), 0.5, np.float32),
        prefix_weights=np.array([[1, 0.5, 0], [1, 1, 0.2]], np.float32),
    )
    remote.sample(asked, generator=np.random.default_rng(0))
    seen = policy.batches[-1]
    np.testing.assert_array_equal(seen.prefix_weights, asked.prefix_weights)
    too_much = replace(asked, prefix_weights=np.full((2, 3), 1.5, np.float32))
    with pytest.raises(PolicyServerError, match=r"action_prefix_weights: out of range"):
        remote.sample(too_much, generator=np.random.default_rng(0))
    with pytest.raises(PolicyServerError, match=r"action_prefix_weights: weights of nothing"):
        remote.sample(replace(asked, prefix=None), generator=np.random.default_rng(0))
    np.testing.assert_array_equal(seen.environment_state, asked.environment_state)
    np.testing.assert_array_equal(seen.prefix, asked.prefix)


def test_wrong_windows_are_refused_by_the_server_and_the_connection_lives(
    connect: Connect, windows: Windows, server: Any
) -> None:
    remote = connect()
    nan = replace(windows, state=np.full_like(windows.state, np.nan))
    with pytest.raises(PolicyServerError, match=r"observation\.state: not finite") as caught:
        remote.sample(nan, generator=np.random.default_rng(0))
    assert caught.value.where == server.url
    without = replace(windows, images={})
    with pytest.raises(PolicyServerError, match=r"'observation\.images\.wrist' is missing"):
        remote.sample(without, generator=np.random.default_rng(0))
    with pytest.raises(PolicyServerError, match=r"num_samples: out of range; expected 1 \.\. 256"):
        remote.sample(windows, num_samples=257, generator=np.random.default_rng(0))
    with pytest.raises(SpecError, match="one generator per row"):
        remote.sample(windows, generator=[np.random.default_rng(0)])
    remote.sample(windows, generator=np.random.default_rng(0))


def test_an_error_in_the_policy_does_not_end_the_server(
    connect: Connect, policy: Any, windows: Windows
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    remote = connect()
    policy.before = fail
    with pytest.raises(PolicyServerError, match="internal error"):
        remote.sample(windows, generator=np.random.default_rng(0))
    policy.before = lambda: None
    remote.sample(windows, generator=np.random.default_rng(0))


def test_it_reconnects_to_a_server_that_was_restarted(
    serve: Any, connect: Connect, windows: Windows
) -> None:
    first = serve()
    port = first.port
    remote = connect(first.url)
    remote.sample(windows, generator=np.random.default_rng(0))
    first.close()
    with pytest.raises(PolicyServerError, match="no connection") as caught:
        remote.sample(windows, generator=np.random.default_rng(0))
    assert str(caught.value).startswith(first.url)
    serve(port=port)
    remote.sample(windows, generator=np.random.default_rng(0))


def test_a_connection_that_breaks_is_known_without_a_call_and_made_again(
    serve: Any, connect: Connect
) -> None:
    """An arm must not go on until its plan is used up."""
    first = serve()
    remote = connect(first.url)
    worker = ThreadWorker(Planner(remote))
    assert worker.state().problem is None
    first.close()
    until(lambda: worker.state().problem == f"no connection to {first.url}")
    assert worker.state().died is None
    serve(port=first.port)
    until(lambda: worker.state().problem is None)
    worker.close()


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end_s, "timed out"
        time.sleep(0.005)


def test_a_restart_between_two_calls_is_not_noticed(
    serve: Any, connect: Connect, windows: Windows
) -> None:
    first = serve()
    remote = connect(first.url)
    first.close()
    serve(port=first.port)
    remote.sample(windows, generator=np.random.default_rng(0))


def test_another_policy_after_a_restart_is_refused(
    serve: Any, connect: Connect, policy: Any, windows: Windows
) -> None:
    first = serve()
    remote = connect(first.url)
    first.close()
    other = type(policy)()
    other.spec = replace(policy.spec, cameras={"wrist": image_spec(6, 6)})
    serve(other, port=first.port)
    with pytest.raises(PolicyServerError, match="another policy now"):
        remote.sample(windows, generator=np.random.default_rng(0))


def test_a_late_answer_is_an_error_and_not_the_next_answer(
    connect: Connect, policy: Any, windows: Windows
) -> None:
    release = threading.Event()
    remote = connect(deadline_s=0.2)
    policy.before = lambda: release.wait(10)
    with pytest.raises(PolicyServerError, match=r"no answer within 0\.2 s"):
        remote.sample(windows, generator=np.random.default_rng(0))
    policy.before = lambda: None
    release.set()
    patient = connect()
    other = replace(windows, state=windows.state + 100.0)
    got = patient.sample(other, generator=np.random.default_rng(0)).actions
    expected = policy.sample(other, generator=np.random.default_rng(0)).actions
    np.testing.assert_array_equal(got, expected)


def test_what_does_not_admit_a_client_is_said(server: Any, serve: Any) -> None:
    with pytest.raises(PolicyServerError, match="HTTP 401, the token is not the server's"):
        RemotePolicy.connect(server.url, token="another-token-than-that")
    with pytest.raises(PolicyServerError, match="HTTP 404"):
        RemotePolicy.connect(f"{server.url}/other", token=TOKEN)
    full = serve(max_connections=1)
    with (
        RemotePolicy.connect(full.url, token=TOKEN),
        pytest.raises(PolicyServerError, match="HTTP 503, too many clients"),
    ):
        RemotePolicy.connect(full.url, token=TOKEN)
    with pytest.raises(ConfigError, match="expected ws://host:port"):
        RemotePolicy.connect("http://localhost", token=TOKEN)
    with pytest.raises(PolicyServerError, match="no connection"):
        RemotePolicy.connect("ws://127.0.0.1:1", token=TOKEN)


def test_tls_with_a_certificate_made_here(
    serve: Any, connect: Connect, windows: Windows, tmp_path: Path
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key, root = (tmp_path / f"{name}.pem" for name in ("cert", "key", "ca"))
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(str(root))
    server = serve(tls=server_context(certificate, key))
    assert server.url.startswith("wss://")
    remote = connect(server.url, authority=root)
    remote.sample(windows, generator=np.random.default_rng(0))
    with pytest.raises(PolicyServerError, match="certificate verify failed"):
        connect(server.url)
    with pytest.raises(PolicyServerError):
        connect(server.url.replace("wss", "ws"))
    with pytest.raises(ConfigError, match="both or neither"):
        server_context(certificate, None)
    with pytest.raises(ConfigError, match="not a certificate and its key"):
        server_context(key, certificate)
    with pytest.raises(ConfigError, match="not an encrypted connection"):
        connect("ws://127.0.0.1:1", authority=root)


def test_a_server_of_another_kind_is_refused(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def greet(self: PolicyServer, connection: ServerConnection) -> None:
        await connection.send(b"\x80")

    monkeypatch.setattr(PolicyServer, "_handle", greet)
    with pytest.raises(PolicyServerError, match="not a server of this project"):
        RemotePolicy.connect(serve().url, token=TOKEN)


def test_a_port_in_use_is_one_line(server: Any, policy: Any) -> None:
    import asyncio

    from robot_policy.serving.server import ServerSettings

    other = PolicyServer(policy, token=TOKEN, settings=ServerSettings(port=server.port))
    with pytest.raises(ConfigError, match="cannot listen"):
        asyncio.run(other.run())
