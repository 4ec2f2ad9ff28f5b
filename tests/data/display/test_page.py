"""The page: complete, self-contained, safe, and alive in a browser."""

import base64
import html.parser
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, title_in_browser

from robot_policy.cli.main import main
from robot_policy.data.display.page import render_page
from robot_policy.data.display.shown_episode import ShownEpisode, shown_episode
from robot_policy.data.formats.registry import FORMATS, find_format
from robot_policy.data.summary import DatasetSummary, summarize

from .conftest import LENGTH, SPEC, episode


class Page(html.parser.HTMLParser):
    """Collects tags, addresses, and what lies in the data element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def opened(path: Path) -> tuple[DatasetSummary, list[ShownEpisode]]:
    name, dataset_format = find_format(path)
    reader = dataset_format.open(path)
    episodes = [shown_episode(reader, number) for number in range(len(reader))]
    return summarize(path, name, reader), episodes


def data_of(page: str) -> list[dict]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    return json.loads(text)


def test_the_page_shows_what_is_there(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert main(["data", "view", str(dataset), "--html", str(path), "--where", "success"]) == 0
    page = path.read_text()
    for text in ("shades", "panda_twin, 20 Hz", "2 of them are shown", "2 yes", "1 no", "lift"):
        assert text in page
    assert [e["length"] for e in data_of(page)] == [LENGTH, LENGTH]
    group = {g["key"]: g for g in data_of(page)[0]["groups"]}
    assert list(group) == ["observation.state", "action"]
    assert [e["name"] for e in group["observation.state"]["entries"]] == ["x", "y", "z"]
    assert [e["unit"] for e in group["observation.state"]["entries"]] == ["m", "m", "rad"]
    assert group["observation.state"]["entries"][0]["values"] == list(range(LENGTH))


def test_the_page_needs_nothing_else(dataset: Path) -> None:
    page = render_page(*opened(dataset))
    addresses = Page(page).addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "@import" not in page
    assert [a for a in re.findall(r"url\(|https?://[^\"]*", page) if "w3.org" not in a] == []
    videos = [a for a in addresses if a.startswith("data:video/mp4;base64,")]
    assert len(videos) == 3 * 2
    assert base64.b64decode(videos[0].partition(",")[2])[4:8] == b"ftyp"


def test_everything_that_comes_from_outside_is_escaped(tmp_path: Path) -> None:
    attack = "</script><script>alert(1)</script>"
    spec = replace(SPEC, cameras={}, state=replace(SPEC.state, names=(attack, "y", "z")))
    hostile = replace(episode(0, task=attack), images={}, metadata={attack: attack})
    path = tmp_path / "set.hdf5"
    FORMATS["robomimic_hdf5"].write(path, [hostile], spec)
    page = render_page(*opened(path))
    assert Page(page).tags.count("script") == 2
    assert "alert(1)</script>" not in page
    assert data_of(page)[0]["groups"][0]["entries"][0]["name"] == attack


def test_gaps_long_episodes_and_many_entries(dataset: Path) -> None:
    summary, (shown, *_) = opened(dataset)
    values = np.zeros((4000, 2))
    values[1] = np.nan
    long = replace(shown, groups=(replace(shown.groups[1], values=values, left_out=3),), cameras={})
    (entry, _) = data_of(render_page(summary, [long]))[0]["groups"][0]["entries"]
    assert len(entry["values"]) <= 1500
    values[:] = np.inf
    (entry, _) = data_of(render_page(summary, [long]))[0]["groups"][0]["entries"]
    assert set(entry["values"]) == {None}


def test_a_page_is_written_whole_or_not_at_all(dataset: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(dataset, tmp_path / "damaged"))
    video = next(damaged.glob("videos/*/*/file-002.mp4"))
    video.write_bytes(video.read_bytes()[:100])
    page, recording = tmp_path / "page.html", tmp_path / "recording.rrd"
    page.write_text("before")
    for option, path in (("--html", page), ("--rrd", recording)):
        assert main(["data", "view", str(damaged), option, str(path)]) == 2
    assert page.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged", "page.html"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to write; expected --html or --rrd"),
        (["--html", "{page}", "--episodes", "3"], "no such episode; expected 0 .. 2"),
        (["--html", "{page}", "--where", "length > 99"], "no episode to show"),
        (["--html", "{page}", "--where", "lengt > 9"], "did you mean 'length'"),
    ],
)
def test_mistakes(
    dataset: Path,
    tmp_path: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word.format(page=tmp_path / "page.html") for word in options]
    assert main(["data", "view", str(dataset), *words]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


PROBE = """<script>
addEventListener("load", () => {
  document.querySelectorAll(".item")[1].click();
  document.getElementById("play").click();
  const here = "section:not([hidden])";
  const video = document.querySelector(`${here} video`), slider = document.getElementById("slider");
  const drawn = () => [...document.querySelectorAll(`${here} path.line`)]
    .filter(path => path.getAttribute("d").split("L").length > 25).length;
  const tell = () => {
    const runs = video.currentTime > 0.3 && Number(slider.value) > 4;
    document.title = `runs ${runs} lines ${drawn()} width ${video.videoWidth}`;
    if (!runs) setTimeout(tell, 20);
  };
  tell();
});
</script>"""


@needs_browser
def test_a_browser_draws_the_plots_and_plays_the_video(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    page = render_page(*opened(dataset))
    # The page itself tells what it came to.
    path.write_text(page.replace("</body>", PROBE + "</body>"))
    title = title_in_browser(path, tmp_path / "profile")
    assert title == "runs true lines 5 width 48"
