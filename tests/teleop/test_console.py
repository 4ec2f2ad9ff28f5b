"""The console as a person uses it: a real browser, a real server, an arm by its kinematics."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("websockets")
from browser import needs_browser
from chromium import Page
from driven_arm import DrivenArm
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError
from robot_policy.data.compressed_image import decode_picture
from robot_policy.data.formats.registry import FORMATS
from robot_policy.teleop.console.app import Console
from robot_policy.teleop.console.board import Board
from robot_policy.teleop.console.buttons import Buttons
from robot_policy.teleop.console.jpeg import jpeg
from robot_policy.teleop.console.server import ConsoleServer
from robot_policy.teleop.devices.browser import Browser
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.loop import TeleopLoop, Wake
from robot_policy.teleop.mapping import Mapping, MappingConfig
from robot_policy.teleop.session import Phase, Session

TOKEN = "a-token-for-this-test-only"
FORMAT = FORMATS["lerobot_v3"]


class Rig:
    """A console that is served, and the control loop behind it, in threads."""

    def __init__(self, output: Path | None) -> None:
        self.arm = DrivenArm("agentview")
        wake = Wake()
        self.browser = Browser(woken=wake)
        driving = Driving(self.arm.robot, Mapping(self.arm.robot, MappingConfig()))
        self.session = Session(
            driving, Episodes(output, self.arm.spec), task="push", reset=self.arm.reset
        )
        board = Board(self.arm, self.session, ("agentview",))
        buttons = Buttons(self.session, self.browser)
        self.server = ConsoleServer(
            Console(
                token=TOKEN,
                board=board,
                browser=self.browser,
                press=self.browser.press,
                say=buttons.say,
                set_task=buttons.set_task,
                about={"robot": "panda", "cameras": ["agentview"], "help": [["W", "forward"]]},
                dataset=output,
            )
        )

        def show() -> None:
            buttons.carry_out()
            board.show()

        self.loop = TeleopLoop(self.arm, self.browser, self.session, wake=wake, shown=show)
        self._thread = threading.Thread(target=self.loop.run)
        self._thread.start()

    def close(self) -> None:
        self.loop.stop()
        self._thread.join()
        self.server.close()
        assert self.session.close() == 0

    @property
    def told(self) -> str:
        return " | ".join(message.text for message in self.session.messages)

    def client(self, token: str | None = TOKEN, **options: Any) -> ClientConnection:
        client = connect(f"ws://127.0.0.1:{self.server.port}/ws", max_queue=None, **options)
        if token is not None:
            client.send(json.dumps({"type": "hello", "token": token}))
        return client


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "set")
    yield rig
    rig.close()


def until(condition: Callable[[], object], *, timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def hear(client: ClientConnection, kind: str, *, timeout_s: float = 20.0) -> dict[str, Any]:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        heard = client.recv(timeout=timeout_s)
        if isinstance(heard, str) and json.loads(heard)["type"] == kind:
            return json.loads(heard)
    raise AssertionError(f"no {kind}")


@needs_browser
def test_a_person_records_plays_and_takes_back_an_episode(rig: Rig, tmp_path: Path) -> None:
    with Page(tmp_path / "profile") as page:
        page.open(rig.server.url)
        page.wait_for("document.querySelector('#phase').textContent === 'idle'")
        page.wait_for("document.querySelector('.camera img').naturalWidth === 84")
        page.wait_for("Number(document.querySelector('#rtt').textContent) >= 0")
        page.type("#task", "push it away")
        until(lambda: rig.session.task == "push it away")
        page.click("#start")
        page.wait_for("document.querySelector('#phase').textContent === 'recording'")
        assert not rig.arm.actions[-1][:6].any()
        page.key("KeyW", down=True)
        until(lambda: rig.arm.actions[-1][0] > 0)
        until(lambda: rig.session.episodes.steps > 5)
        page.key("KeyW", down=False)
        until(lambda: not rig.arm.actions[-1][:6].any())
        page.tap("Space")
        until(lambda: rig.arm.actions[-1][-1] == 1.0)
        x, y = page.place("#pad_right")
        page.mouse("mousePressed", x, y)
        page.mouse("mouseMoved", x, y - 40)
        until(lambda: rig.arm.actions[-1][2] > 0)  # up
        page.mouse("mouseReleased", x, y - 40)
        until(lambda: not rig.arm.actions[-1][:6].any())
        page.tap("KeyY")
        page.wait_for("document.querySelector('#episodes li')")
        assert "success" in page.read("#episodes li")
        until(lambda: rig.session.episodes.waiting == 0)
        page.click("#episodes li button")
        page.wait_for("document.querySelector('#player').open")
        page.wait_for("document.querySelector('#player iframe').srcdoc.includes('push it away')")
        page.click("#close")
        page.click("#start")
        page.key("KeyS", down=True)
        until(lambda: rig.session.episodes.steps > 2)
        page.key("KeyS", down=False)
        page.click("#discard")
        page.wait_for("document.querySelector('#phase').textContent === 'idle'")
        page.tap("Escape")
        page.wait_for("document.querySelector('#banner').innerText.includes('emergency stop')")
        page.click("#release")
        page.wait_for("document.querySelector('#phase').textContent === 'idle'")
        (episode,) = FORMAT.read(tmp_path / "set")
        assert episode.success == Success.YES
        assert episode.task == "push it away"
        page.click("#undo")
        until(lambda: not FORMAT.detect(tmp_path / "set"))


@needs_browser
def test_the_arm_holds_as_soon_as_the_page_is_gone(rig: Rig, tmp_path: Path) -> None:
    with Page(tmp_path / "profile") as page:
        page.open(rig.server.url)
        page.wait_for("document.querySelector('#phase').textContent === 'idle'")
        page.key("KeyW", down=True)
        until(lambda: rig.arm.actions[-1][0] > 0)
        page.evaluate("socket.close()")
        until(lambda: not rig.arm.actions[-1][:6].any(), timeout_s=2.0)
        until(lambda: "the connection was lost while the arm was held" in rig.told)


@needs_browser
def test_a_page_without_a_token_says_so(rig: Rig, tmp_path: Path) -> None:
    with Page(tmp_path / "profile") as page:
        page.open(rig.server.url.partition("#")[0])
        page.wait_for("document.querySelector('#banner').innerText.includes('no token')")
        page.open("about:blank")
        page.open(rig.server.url.partition("#")[0] + "#token=wrong-and-long-enough")
        page.wait_for("document.querySelector('#banner').innerText.includes('a wrong one')")


def test_nobody_drives_without_the_token(rig: Rig) -> None:
    for token in (None, "", "x" * 30):
        client = rig.client(token)
        if token is None:
            client.send(json.dumps({"type": "controls", "active": True, "velocity": [1] + [0] * 5}))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
    assert not any(action[:6].any() for action in rig.arm.actions)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{rig.server.port}/episodes/0", timeout=10)


def test_a_page_of_somebody_else_is_refused(rig: Rig) -> None:
    client = rig.client(None, origin="http://evil.example")
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


def test_a_second_operator_watches_and_may_stop_the_arm(rig: Rig) -> None:
    moving = json.dumps({"type": "controls", "active": True, "velocity": [1] + [0] * 5})
    with rig.client() as first, rig.client() as second:
        assert hear(first, "welcome")["drives"]
        assert not hear(second, "welcome")["drives"]
        assert "another operator" in hear(second, "message")["text"]
        second.send(moving)
        hear(second, "message")
        assert not rig.arm.actions[-1][:6].any()
        first.send(moving)
        until(lambda: rig.arm.actions[-1][0] > 0)
        second.send(json.dumps({"type": "command", "name": "emergency_stop"}))
        until(lambda: rig.session.phase == Phase.STOPPED)
        second.send(json.dumps({"type": "command", "name": "release"}))
        time.sleep(0.2)
        assert rig.session.phase == Phase.STOPPED
        first.send(json.dumps({"type": "command", "name": "release"}))
        until(lambda: rig.session.phase == Phase.IDLE)
        first.close()
        time.sleep(0.3)
        second.send(moving)  # the seat is free now
        until(lambda: rig.arm.actions[-1][0] > 0)


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1]",
        '{"type": "fly"}',
        '{"type": "command", "name": "explode"}',
        '{"type": "controls", "active": true, "velocity": [NaN, 0, 0, 0, 0, 0]}',
        '{"type": "controls", "active": true, "velocity": [7, 0, 0, 0, 0, 0]}',
        '{"type": "task", "text": 5}',
    ],
)
def test_nonsense_is_answered_in_words_and_moves_nothing(rig: Rig, text: str) -> None:
    with rig.client() as client:
        client.send(text)
        assert hear(client, "message")["level"] == "warning"
        client.send(json.dumps({"type": "ping", "t": 5}))
        assert hear(client, "pong")["t"] == 5
    assert not any(action[:6].any() for action in rig.arm.actions)


def test_a_key_becomes_a_command_without_waiting_for_the_next_period(rig: Rig) -> None:
    delays_ms: list[float] = []
    with rig.client() as client:
        hear(client, "welcome")
        for _ in range(8):
            time.sleep(0.13)
            before = len(rig.arm.actions)
            sent_ns = time.monotonic_ns()
            client.send(json.dumps({"type": "controls", "active": True, "velocity": [1] + [0] * 5}))
            until(lambda before=before: any(a[0] > 0 for a in rig.arm.actions[before:]))
            number = next(i for i, a in enumerate(rig.arm.actions) if i >= before and a[0] > 0)
            delays_ms.append((rig.arm.sent_ns[number] - sent_ns) * 1e-6)
            client.send(json.dumps({"type": "controls", "active": False}))
    assert np.median(delays_ms) < 25.0  # half a period without being woken


def test_pictures_are_sent_as_they_are() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, 32:] = (200, 40, 90)
    decoded = decode_picture(memoryview(jpeg(image)), where="test")
    assert np.abs(decoded.astype(int) - image).mean() < 6


def test_a_port_that_is_taken_is_named(rig: Rig) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{rig.server.port}: cannot listen"):
        ConsoleServer(None, port=rig.server.port)  # type: ignore[arg-type]
