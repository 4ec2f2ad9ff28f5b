"""A picture of the scene for who talks to the arm: in the terminal, or in a browser."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.images import resize
from robot_policy.data.formats.image_files import encode_png

type Pixels = NDArray[np.uint8]

_COLUMNS = 72
_PAGE = """<!doctype html><meta charset="utf-8"><title>robot-policy</title>
<style>body{margin:0;background:#111;color:#ddd;font:1.1rem sans-serif;text-align:center}
img{width:min(96vw,84vh);image-rendering:auto}</style>
<p id="said">waiting for the first sentence</p><img id="scene" alt="the scene">
<script>
async function show(){
  try{
    const now=await (await fetch("state")).text(); const [said,picture]=now.split("\\n");
    document.getElementById("said").textContent=said;
    if(picture) document.getElementById("scene").src="data:image/png;base64,"+picture;
  }catch(error){}
  setTimeout(show,400);
}
show();
</script>"""


def in_terminal(image: Pixels, *, columns: int = _COLUMNS) -> str:
    """Returns an image (h, w, 3) as lines of coloured half blocks, two rows of pixels in each."""
    height = max(2, 2 * round(image.shape[0] / image.shape[1] * columns / 2))
    small = resize(image, (height, columns))
    lines = []
    for upper, lower in zip(small[0::2], small[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m▀"
            for a, b in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


class ScenePage:
    """What a page shows: the last sentence and the picture after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = b"\n"
        self.address = ""

    def show(self, text: str, image: Pixels) -> None:
        """Replaces what is shown."""
        picture = base64.b64encode(encode_png(image))
        with self._lock:
            self._state = " ".join(text.split()).encode() + b"\n" + picture

    def state(self) -> bytes:
        """A line of text, and the picture in base 64."""
        with self._lock:
            return self._state


@contextmanager
def served_page(*, port: int = 0) -> Iterator[ScenePage]:
    """Yields a page that is served on this machine alone; any free port if it is 0.

    Raises:
        ConfigError: If the port is taken.
    """
    page = ScenePage()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kinds = {"/": ("text/html", _PAGE.encode()), "/state": ("text/plain", page.state())}
            if self.path not in kinds:
                self.send_error(404)
                return
            kind, body = kinds[self.path]
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ConfigError("cannot be served here", where=f"port {port}", got=error) from error
    page.address = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, name="scene page", daemon=True)
    thread.start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
