"""`collect --language`, from sentences on the standard input to a dataset."""

import io
import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from robot_policy.cli.main import main
from robot_policy.core.errors import ConfigError
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.registry import FORMATS
from robot_policy.teleop.primitive_endpoint import PrimitiveEndpoint
from robot_policy.teleop.scene_picture import in_terminal, served_page

ROBOT = load_robot("panda_twin")


def talk(
    monkeypatch: pytest.MonkeyPatch, output: Path, *lines: str, options: tuple[str, ...] = ()
) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    command = ["collect", "lift", "--language", "--output", str(output), "--episodes", "1"]
    return main([*command, *options])


def test_sentences_become_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Undone motions are taken back on the arm and in the record; what is unclear moves nothing."""
    output = tmp_path / "talk"
    said = ("move left 2 cm", "make me a sandwich", "close the gripper", "undo", "again", "done")
    assert talk(monkeypatch, output, *said) == 0
    printed = capsys.readouterr()
    assert "sandwich" in printed.out
    assert "Did you mean" in printed.out
    assert "undone" in printed.out
    (episode,) = FORMATS["lerobot_v3"].read(output)
    sentences = episode.metadata["sentences"]
    assert [s["primitives"] for s in sentences] == ["left_2cm", "left_2cm"]
    assert sum(s["count"] for s in sentences) == len(episode)
    assert episode.task == "lift the red cube"
    moved = ROBOT.ee_position(episode.state[-1]) - ROBOT.ee_position(episode.state[0])
    assert moved[1] > 0.02  # to the left, twice; the last state is before the last action
    assert np.abs(moved[[0, 2]]).max() < 0.01
    assert (episode.actions[:, -1] == 0.0).all()  # the closed gripper was undone


def test_nothing_is_kept_of_what_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert talk(monkeypatch, tmp_path / "talk", "undo", "again", "up a bit") == 0
    printed = capsys.readouterr()
    assert "nothing to undo" in printed.out
    assert "nothing to do again" in printed.out
    assert "not kept" in printed.err
    assert not FORMATS["lerobot_v3"].detect(tmp_path / "talk")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--talk.endpoint", "nowhere", "--talk.model", "m"), "not an address"),
        (("--talk.endpoint", "http://localhost:1"), "name of a model"),
        (("--talk.text-encoder", "bert"), "text encoder"),
        (("--talk.via", "pigeon"), "pigeon"),
        (("--cameras", "nose"), "nose"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str,
) -> None:
    assert talk(monkeypatch, tmp_path / "talk", "up", options=options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "talk").exists()


@contextmanager
def answering(content: str) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """An endpoint that always says `content`, and what it was asked."""
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("says", "means"),
    [("left_2cm", "left_2cm"), ("fly away", None), ("ask", None), ("left_2cm; rm -rf", None)],
)
def test_a_language_model_can_only_choose_a_primitive(says: str, means: str | None) -> None:
    with answering(says) as (url, asked):
        endpoint = PrimitiveEndpoint(url, "m", ["left_2cm", "close"])
        assert endpoint("scooch over") == means
    assert "image" not in json.dumps(asked)


def test_an_endpoint_that_does_not_answer_knows_nothing() -> None:
    assert PrimitiveEndpoint("http://127.0.0.1:9", "m", ["close"])("grab") is None
    with pytest.raises(ConfigError, match="address"):
        PrimitiveEndpoint("ftp://x", "m", ["close"])


def test_the_picture_in_the_terminal_has_the_colours_of_the_image() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = (255, 0, 0)
    lines = in_terminal(image, columns=10).splitlines()
    assert len(lines) == 5
    assert "38;2;255;0;0" in lines[0]
    assert "48;2;0;0;0" in lines[-1]


def test_the_page_shows_the_last_sentence_and_listens_on_this_machine_only() -> None:
    with served_page() as page:
        page.show("move left: left_5cm", np.zeros((4, 4, 3), np.uint8))
        assert page.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(page.address + "state") as answer:
            said, picture = answer.read().decode().split("\n")
        assert said == "move left: left_5cm"
        assert picture
        with urllib.request.urlopen(page.address) as answer:
            assert b"<img" in answer.read()
