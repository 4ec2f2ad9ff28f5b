"""A person at a page: headless Chromium, driven by the keys and the mouse that it would have.

Speaks Chromium's DevTools protocol over a websocket; nothing has to be installed beside Chromium.
"""

import base64
import itertools
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

_PATIENCE_S = 60.0
_KEYS = {"Space": " ", "Enter": "Enter", "Escape": "Escape"}


class Page:
    """One page in one window of its own.

    Args:
        profile: Folder for a profile.
        size: (width, height) of the window [px].
        phone: Touch and a coarse pointer instead of a mouse.
    """

    def __init__(
        self, profile: Path, *, size: tuple[int, int] = (1280, 800), phone: bool = False
    ) -> None:
        profile.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                "chromium",
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--hide-scrollbars", "--remote-debugging-port=0"),
                *(f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"),
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._numbers = itertools.count(1)
        self._phone = phone
        self._fingers = 0
        try:
            self._socket = connect(self._target(profile), max_size=None)
            self._call(
                "Emulation.setDeviceMetricsOverride",
                width=size[0],
                height=size[1],
                deviceScaleFactor=2 if phone else 1,
                mobile=phone,
            )
            if phone:
                self._call("Emulation.setTouchEmulationEnabled", enabled=True)
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the window."""
        self._socket.close()
        self._end()

    def open(self, url: str) -> None:
        """Goes to an address."""
        self._call("Page.enable")
        self._call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """Returns what an expression comes to on the page."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_for(self, expression: str, *, timeout_s: float = _PATIENCE_S) -> None:
        """Waits until an expression is true."""
        deadline_s = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{expression}; the page shows: {self.text()[:1500]}")
            time.sleep(0.02)

    def text(self) -> str:
        """Returns what can be read on the page."""
        return self.evaluate("document.body.innerText")

    def read(self, selector: str) -> str:
        """Returns what can be read in an element."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).textContent")

    def key(self, code: str, *, down: bool) -> None:
        """Presses a key or lets go of it."""
        text = _KEYS.get(code, code.removeprefix("Key").lower())
        self._call(
            "Input.dispatchKeyEvent", type="keyDown" if down else "keyUp", code=code, key=text
        )

    def tap(self, code: str) -> None:
        """Presses a key shortly."""
        self.key(code, down=True)
        self.key(code, down=False)

    def click(self, selector: str) -> None:
        """Clicks on an element, once it can be."""
        name = json.dumps(selector)
        self.wait_for(f"!document.querySelector({name}).disabled")
        x, y = self.place(selector)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def place(self, selector: str) -> tuple[float, float]:
        """Returns the middle of an element in the window [px], after scrolling to it.

        A person presses where an element is seen. Until the scrolled page has been drawn, presses
        still go to what was there before.
        """
        box = self.evaluate(
            f"(async () => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const drawn = (f) => requestAnimationFrame(() => requestAnimationFrame(f));"
            " await new Promise(drawn);"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def place_now(self, selector: str) -> tuple[float, float]:
        """Returns the middle of an element in the window [px], without scrolling."""
        box = self.evaluate(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def press(self, selector: str) -> None:
        """Activates a button by the focus, as a keyboard does; nothing scrolls."""
        name = json.dumps(selector)
        self.wait_for(f"!document.querySelector({name}).disabled")
        self.evaluate(f"document.querySelector({name}).click()")

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Moves the mouse, or presses its left button or lets go of it; on a phone a finger."""
        if self._phone:
            touch = {"mousePressed": "touchStart", "mouseMoved": "touchMove"}.get(kind, "touchEnd")
            points = [] if touch == "touchEnd" else [{"x": x, "y": y}]
            self._call("Input.dispatchTouchEvent", type=touch, touchPoints=points)
            return
        button = "none" if kind == "mouseMoved" else "left"
        held = 0 if kind == "mouseReleased" else 1
        self._call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button=button,
            buttons=held,
            clickCount=1,
        )

    def touch(self, *fingers: tuple[float, float]) -> None:
        """Puts fingers where they are now [px]; those that were down before move, or are lifted."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        if not points:
            kind = "touchEnd"
        else:
            kind = "touchMove" if len(points) == self._fingers else "touchStart"
        self._fingers = len(points)
        self._call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def type(self, selector: str, text: str) -> None:
        """Writes into a field."""
        self.click(selector)
        self.evaluate(f"document.querySelector({json.dumps(selector)}).select()")
        self._call("Input.insertText", text=text)
        self.tap("Enter")

    def screenshot(self, path: Path) -> None:
        """Saves what the window shows, as PNG or JPEG; the latter at one to one, and faster."""
        options: dict[str, Any] = {"format": "png"}
        if path.suffix == ".jpg":
            size = self.evaluate("[innerWidth, innerHeight, devicePixelRatio]")
            clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 / size[2]}
            options = {"format": "jpeg", "quality": 70, "optimizeForSpeed": True, "clip": clip}
        data = self._call("Page.captureScreenshot", **options)["data"]
        path.write_bytes(base64.b64decode(data))

    def _target(self, profile: Path) -> str:
        place = profile / "DevToolsActivePort"
        deadline_s = time.monotonic() + _PATIENCE_S
        while not place.exists() or not place.read_text().strip():
            if time.monotonic() > deadline_s or self._process.poll() is not None:
                raise RuntimeError("Chromium does not start")
            time.sleep(0.05)
        port = place.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            targets = json.load(answer)
        return next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page")

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_PATIENCE_S))
            if answer.get("id") != number:
                continue
            if "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            return answer["result"]

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
