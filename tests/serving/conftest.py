"""A server in a thread, and a small policy whose answers show what it was asked."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("websockets")

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, per_row, standard_normal
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec, image_spec
from robot_policy.serving.batcher import BatchSettings
from robot_policy.serving.server import PolicyServer, ServerSettings

TOKEN = "a-token-of-these-tests"


class NoisyPolicy:
    """Answers with noise of the row's generator, plus the last state's height."""

    def __init__(self) -> None:
        self.spec: PolicySpec = replace(
            load_robot("panda_twin").spec(),
            cameras={"wrist": image_spec(6, 8)},
            history=2,
            horizon=4,
            past=1,
        )
        self.batches: list[Windows] = []
        self.before: Callable[[], None] = lambda: None
        """Called before every answer."""

    def reset(self) -> None:
        raise AssertionError("several robots share it")

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.batches.append(windows)
        self.before()
        spec = self.spec
        noise = standard_normal(
            (num_samples, spec.past + spec.horizon, 7), per_row(generator, windows.batch_size)
        )
        chunks = noise + windows.state[:, -1, 10][:, None, None, None]
        return Candidates(chunks[:, :, spec.past :], chunks[:, :, : spec.past])


class ServerThread:
    """Serves until `close`."""

    def __init__(self, policy: Any, **settings: Any) -> None:
        settings = {"port": 0, **settings}
        self.server = PolicyServer(
            policy, token=TOKEN, name="noisy", settings=ServerSettings(**settings)
        )
        self.url = ""
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10), "the server did not start"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self.server.run(started=self._started))
        except BaseException as error:
            self.error = error
        finally:
            self._ready.set()

    def _started(self, url: str) -> None:
        self.url = url
        self._ready.set()

    def close(self) -> None:
        self.server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server did not stop"
        assert self.error is None


@pytest.fixture
def policy() -> NoisyPolicy:
    return NoisyPolicy()


type Serve = Callable[..., ServerThread]


@pytest.fixture
def serve(policy: NoisyPolicy) -> Iterator[Serve]:
    """Starts servers; by default of `policy`, alone in its batches."""
    started: list[ServerThread] = []

    def start(served: Any = None, **settings: Any) -> ServerThread:
        settings.setdefault("batch", BatchSettings(max_rows=1))
        started.append(ServerThread(served or policy, **settings))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def server(serve: Serve) -> ServerThread:
    return serve()


@pytest.fixture
def windows(policy: NoisyPolicy) -> Windows:
    """Of two robots."""
    rng = np.random.default_rng(0)
    return windows_of(policy.spec, rng, rows=2)


def windows_of(spec: PolicySpec, rng: np.random.Generator, *, rows: int) -> Windows:
    T, P = spec.history, spec.past
    return Windows(
        state=rng.standard_normal((rows, T, spec.state.size), dtype=np.float32),
        past=rng.standard_normal((rows, P, 7), dtype=np.float32),
        valid=np.tile([False, True], (rows, 1)),
        past_valid=np.ones((rows, P), np.bool_),
        images={"wrist": rng.integers(0, 256, (rows, T, 6, 8, 3), dtype=np.uint8)},
        instructions=tuple(f"task {row}" for row in range(rows)),
    )
