"""The report: complete, self-contained, safe, and opened by a browser."""

import base64
import html.parser
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, title_in_browser
from hypothesis import given
from hypothesis import strategies as st

from sim.charts import Series, histogram, interval_chart
from sim.replay import Video, write_mp4
from sim.report import render_report, write_report
from sim.result import EpisodeResult, EvaluationResult, Settings

VOID = {"meta", "link", "br"}


class Page(html.parser.HTMLParser):
    """Collects tags and addresses, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def a_result(outcomes: Sequence[bool] = (True, False, True)) -> EvaluationResult:
    return EvaluationResult(
        task="lift",
        checkpoint="runs/lift",
        episodes=tuple(
            EpisodeResult(100000 + i, ok, 40 + i, float(ok), policy_ms=(12.5, 11.25 + i))
            for i, ok in enumerate(outcomes)
        ),
        duration_s=2.5,
        settings=Settings(execute_steps=8, num_samples=1, max_steps=200, workers=2),
        command="robot-policy eval runs/lift --task lift",
        versions={"numpy": "2.2.6"},
        machine={"processor": "Example 9000", "cores": 2, "gpu": []},
    )


def a_video(folder: Path) -> Video:
    path = folder / "100000_success.mp4"
    frames = (np.full((32, 32, 3), shade, np.uint8) for shade in range(0, 250, 25))
    write_mp4(path, frames, rate_hz=20)
    return Video(path, seed=100000, success=True, steps=9, reproduced=False)


def test_the_page_shows_the_figures(tmp_path: Path) -> None:
    page = render_report(a_result(), videos=[a_video(tmp_path)])
    for text in (
        "66.7 %",
        "2 of 3 starts solved",
        "20.8 % to 93.9 %",
        "100001",
        "Example 9000",
        "2.2.6",
        "robot-policy eval runs/lift --task lift",
        "The replay ended differently",
    ):
        assert text in page
    assert Page(page).tags.count("svg") == 3


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    video = a_video(tmp_path)
    page = render_report(a_result(), videos=[video])
    addresses = Page(page).addresses
    assert all(address.startswith("data:") for address in addresses)
    assert "@import" not in page
    assert re.findall(r"url\(|https?://", page) == []
    (data,) = [a for a in addresses if a.startswith("data:video/mp4;base64,")]
    assert base64.b64decode(data.partition(",")[2]) == video.path.read_bytes()


def test_everything_that_comes_from_outside_is_escaped() -> None:
    attack = "</td><script>alert(1)</script>"
    result = replace(
        a_result(),
        task=attack,
        checkpoint=attack,
        command=attack,
        machine={attack: attack},
        versions={attack: attack},
        episodes=(EpisodeResult(1, False, 4, 0.0, stop=(attack,)),),
    )
    page = render_report(result, video_note=attack)
    assert Page(page).tags.count("script") == 1
    assert "alert(1)</script>" not in page


def test_a_result_without_timings_or_videos_has_no_empty_sections() -> None:
    result = replace(a_result(), episodes=(EpisodeResult(1, True, 4, 1.0),))
    page = render_report(result)
    assert "Time per policy call" not in page
    assert "Videos" not in page
    assert Page(page).tags.count("svg") == 2


def test_the_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")
    gone = Video(tmp_path / "gone.mp4", seed=1, success=True, steps=1, reproduced=True)
    with pytest.raises(FileNotFoundError):
        write_report(path, a_result(), videos=[gone])
    assert path.read_text() == "before"
    write_report(path, a_result())
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


numbers = st.lists(st.floats(0, 1e4, allow_subnormal=False), min_size=1, max_size=80)


@given(numbers, numbers)
def test_a_histogram_counts_every_value_once(first: list[float], second: list[float]) -> None:
    chart = histogram(
        [Series("a", "success", first), Series("b", "failure", second)], label="x", unit="ms"
    )
    counts = re.findall(r"ms: (\d+) ([ab])</title>", chart)
    assert sum(int(n) for n, name in counts if name == "a") == len(first)
    assert sum(int(n) for n, name in counts if name == "b") == len(second)
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([\d.]+)"', chart)]
    assert max(heights) <= 200
    assert "nan" not in chart


def test_a_few_slow_calls_do_not_squeeze_the_rest() -> None:
    values = [10 + i / 10 for i in range(100)] + [5000.0]
    chart = histogram([Series("calls", "plain", values)], label="x", unit="ms")
    assert "and more ms: " in chart
    assert chart.count("<rect") > 10


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_interval_is_drawn_in_order(a: float, b: float, c: float) -> None:
    low, rate, high = sorted((a, b, c))
    chart = interval_chart(rate, (low, high))
    x, width = re.search(r'class="interval" x="([\d.]+)".* width="([\d.]+)"', chart).groups()  # pyright: ignore
    middle = float(re.search(r'cx="([\d.]+)"', chart).group(1))  # pyright: ignore
    assert float(x) - 0.11 <= middle <= float(x) + float(width) + 0.11


@needs_browser
def test_a_browser_runs_the_page_and_plays_its_video(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, a_result(), videos=[a_video(tmp_path)])
    # The page itself tells what it came to: videos that decode, and a table that sorts.
    probe = """<script>
    addEventListener("load", () => {
      document.querySelectorAll("thead button")[2].click();
      document.querySelectorAll("thead button")[2].click();
      const first = document.querySelector("#episodes tbody td").textContent;
      const video = document.querySelector("video");
      const tell = () => { document.title = `first ${first} video ${video.videoWidth}`; };
      video.readyState ? tell() : video.addEventListener("loadedmetadata", tell);
    });
    </script>"""
    path.write_text(path.read_text().replace("</body>", probe + "</body>"))
    title = title_in_browser(path, tmp_path / "profile")
    assert title == "first 100002 video 32"
