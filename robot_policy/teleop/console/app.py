"""The web application: one page, one websocket, recorded episodes."""

import asyncio
import contextlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from robot_policy.core.errors import RobotPolicyError
from robot_policy.serving.token import is_authorized
from robot_policy.teleop.console.board import Board
from robot_policy.teleop.console.jpeg import jpeg
from robot_policy.teleop.console.playback import episode_page
from robot_policy.teleop.console.seats import Seats
from robot_policy.teleop.controls import Command
from robot_policy.teleop.devices.browser import Browser

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "hands.js": "text/javascript",
}
_HELLO_S = 5.0
_STATE_S = 0.05
_PICTURE_S = 1 / 15
_LONGEST_TASK = 500
NO_TOKEN, REFUSED = 4401, 4400
"""Codes with which a websocket is closed."""
_WATCHING = "another operator is connected; you are watching"


@dataclass(frozen=True)
class Console:
    """What the page is connected to.

    Attributes:
        token: That it must show.
        board: What it shows.
        browser: The device that it is.
        press: Takes buttons.
        say: Tells all pages something: level and text.
        set_task: Takes the instruction text.
        about: What does not change: robot, controls, cameras.
        dataset: Whose episodes can be played; None where nothing is recorded.
    """

    token: str
    board: Board
    browser: Browser
    press: Callable[[Command], None]
    say: Callable[[str, str], None]
    set_task: Callable[[str], None]
    about: Mapping[str, Any]
    dataset: Path | None = None
    seats: Seats = field(default_factory=Seats)


def make_app(console: Console) -> FastAPI:
    """Builds the application. Everything but the page itself asks for the token."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def _headers(request: Request, answer: Any) -> Response:
        response = await answer(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @app.get("/")
    async def _page() -> HTMLResponse:
        return HTMLResponse((_STATIC / "page.html").read_text())

    @app.get("/static/{name}")
    async def _static(name: str) -> Response:
        if name not in _TYPES:
            return PlainTextResponse("no such file\n", status_code=404)
        return Response((_STATIC / name).read_text(), media_type=_TYPES[name])

    @app.get("/episodes/{number}")
    async def _episode(number: int, request: Request) -> Response:
        if not is_authorized(request.headers.get("authorization"), console.token):
            return PlainTextResponse("no token\n", status_code=401)
        if console.dataset is None:
            return PlainTextResponse("nothing is recorded\n", status_code=404)
        try:
            return HTMLResponse(await asyncio.to_thread(episode_page, console.dataset, number))
        except RobotPolicyError as error:
            return PlainTextResponse(f"{error}\n", status_code=404)

    @app.websocket("/ws")
    async def _socket(socket: WebSocket) -> None:
        await socket.accept()
        if not _same_origin(socket):
            await socket.close(REFUSED, "from another page")
            return
        if not await _shows_token(socket, console.token):
            await socket.close(NO_TOKEN, "no token, or a wrong one")
            return
        await _Connection(socket, console).run()

    return app


class _Connection:
    """One page."""

    def __init__(self, socket: WebSocket, console: Console) -> None:
        self._socket = socket
        self._console = console
        self._number = console.seats.enter()
        self._sending = asyncio.Lock()
        self._held = False
        self._warned = False

    async def run(self) -> None:
        drives = self._console.seats.drives(self._number)
        try:
            await self._send({"type": "welcome", "drives": drives, **self._console.about})
            if not drives:
                await self._send({"type": "message", "level": "warning", "text": _WATCHING})
            await self._converse()
        except (WebSocketDisconnect, RuntimeError):
            pass  # the page is gone
        finally:
            if self._console.seats.leave(self._number):
                self._console.browser.let_go()
                if self._held:
                    self._console.say(
                        "error", "the connection was lost while the arm was held: it holds still"
                    )

    async def _converse(self) -> None:
        shows = [
            asyncio.create_task(self._show_state()),
            asyncio.create_task(self._show_pictures()),
        ]
        try:
            while True:
                await self._take(await self._socket.receive_text())
        finally:
            for task in shows:
                task.cancel()
            for task in shows:
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task

    async def _take(self, text: str) -> None:
        try:
            message = json.loads(text)
            if not isinstance(message, dict):
                raise ValueError
        except ValueError:
            await self._complain("not a message of this page")
            return
        kind = message.get("type")
        if kind == "ping":
            sent = message.get("t")
            if isinstance(sent, int | float) and math.isfinite(sent):
                await self._send({"type": "pong", "t": sent})
            return
        if kind == "command" and message.get("name") == Command.EMERGENCY_STOP.value:
            self._console.press(Command.EMERGENCY_STOP)  # whoever sees danger may stop the arm
            return
        if not self._console.seats.drives(self._number):
            wants = kind != "controls" or message.get("active") is True
            if wants and not self._warned:
                self._warned = True
                await self._complain(_WATCHING)
            return
        try:
            self._obey(kind, message)
        except RobotPolicyError as error:
            await self._complain(str(error))

    def _obey(self, kind: object, message: Mapping[str, Any]) -> None:
        match kind:
            case "controls":
                self._console.browser.put(message)
                self._held = message.get("active") is True
            case "command" if message.get("name") in list(Command):
                self._console.press(Command(message["name"]))
            case "task" if isinstance(message.get("text"), str):
                self._console.set_task(message["text"].strip()[:_LONGEST_TASK])
            case _:
                raise RobotPolicyError("not a message of this page", got=str(kind)[:40])

    async def _show_state(self) -> None:
        shown: object = None
        while True:
            state = self._console.board.state()
            if state and state is not shown:
                shown = state
                await self._send({**state, "drives": self._console.seats.drives(self._number)})
            await asyncio.sleep(_STATE_S)

    async def _show_pictures(self) -> None:
        sent: dict[str, int] = {}
        board = self._console.board
        while True:
            for index, camera in enumerate(board.cameras):
                found = board.picture(camera)
                if found is None or sent.get(camera) == found[0]:
                    continue
                sent[camera] = found[0]
                data = await asyncio.to_thread(jpeg, found[1])
                async with self._sending:
                    await self._socket.send_bytes(bytes([index]) + data)
            await asyncio.sleep(_PICTURE_S)

    async def _complain(self, text: str) -> None:
        await self._send({"type": "message", "level": "warning", "text": text})

    async def _send(self, message: Mapping[str, Any]) -> None:
        text = json.dumps(message, allow_nan=False)
        async with self._sending:
            await self._socket.send_text(text)


async def _shows_token(socket: WebSocket, token: str) -> bool:
    """Waits for the first message, which has to show the token."""
    try:
        text = await asyncio.wait_for(socket.receive_text(), _HELLO_S)
        hello = json.loads(text)
    except (TimeoutError, ValueError, KeyError, WebSocketDisconnect, RuntimeError):
        return False
    shown = hello.get("token") if isinstance(hello, dict) else None
    return isinstance(shown, str) and hmac.compare_digest(shown.encode(), token.encode())


def _same_origin(socket: WebSocket) -> bool:
    """Whether the page is from here; programs say nothing of where they are from."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == socket.headers.get("host")
