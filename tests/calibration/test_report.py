"""The page of a calibration: complete, self-contained, safe, and honest about what is weak."""

import html.parser
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import needs_browser, title_in_browser

from calibration.board import Board, BoardKind
from calibration.detection import detect
from calibration.hand_eye.calibrate import calibrate_hand_eye
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, LensModel
from calibration.rendering import BoardPhotographer
from calibration.report.advice import advise
from calibration.report.charts import Bar, bar_chart
from calibration.report.page import render_report, write_report
from calibration.report.views import CameraViews, draw_corners, views_of
from calibration.result import CalibrationResult
from calibration.rigid import moved
from calibration.samples import write_image
from calibration.simulated_rig import diverse_views, random_rig
from robot_policy.core.geometry import inverse

BOARD = Board(BoardKind.CHARUCO, 6, 5, 0.03, 0.022, "5X5_50")
LENS = Lens(LensModel.PLUMB_BOB, 320, 240, np.array([300, 301, 161, 118, -0.1, 0.02, 0, 0, 0.0]))
POSES, BAD = 9, 4


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[CalibrationResult, CameraViews]:
    """A calibration of an eye in hand, with one pose that is wrong."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(2)
    rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
    at = diverse_views(BOARD, POSES, rng, distance_m=(0.35, 0.5), aside=0.04)
    poses = rig.arm_at(at)
    poses[BAD] = moved(poses[BAD], np.array([0.03, 0, 0.02, 0.01, 0, 0.01]))
    photographer = BoardPhotographer(BOARD, LENS)
    pictures = [photographer.take(view, rng) for view in at]
    paths = [folder / f"{i}.png" for i in range(POSES)]
    for path, picture in zip(paths, pictures, strict=True):
        write_image(path, picture)
    data = rig.data(poses, [detect(BOARD, picture) for picture in pictures])
    result = calibrate_hand_eye(data, rng=rng)
    found = inverse(result.transform("gripper_T_camera")) @ inverse(poses)
    used = set(result.values["used"])
    views = views_of(
        "camera",
        BOARD,
        LENS,
        labels=data.labels,
        paths=paths,
        seen=data.detections["camera"],
        camera_T_board=list(found @ result.transform("base_T_board")),
        used=[label in used for label in data.labels],
    )
    return result, views


class Page(html.parser.HTMLParser):
    """Collects tags, text and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_shows_every_pose_and_what_was_left_out(
    run: tuple[CalibrationResult, CameraViews],
) -> None:
    result, views = run
    page = render_report(result, views=[views])
    tags = Page(page).tags
    assert tags.count("rect") > 3 * POSES
    assert page.count(", left out</title>") == 3, "in every chart of residuals"
    assert f"pose {BAD}: left out" in page
    assert tags.count("ellipse") == 6
    assert tags.count("img") == 4
    for text in ("gripper_T_camera", "base_T_board", "95 %", "Coverage", "leave one out", "sha256"):
        assert text in page, text
    bar = re.search(rf"<title>pose {BAD}: ([\d.]+) mm, left out", page)
    assert bar is not None
    assert float(bar[1]) == pytest.approx(result.residuals["leave_one_out_mm"][BAD], rel=0.01)


def test_the_page_needs_nothing_else(run: tuple[CalibrationResult, CameraViews]) -> None:
    page = render_report(run[0], views=[run[1]])
    assert all(address.startswith("data:") for address in Page(page).addresses)
    assert "script" not in Page(page).tags
    assert re.findall(r"url\(|@import|https?://[^\"]*", page) == []


def test_what_comes_from_files_is_escaped(run: tuple[CalibrationResult, CameraViews]) -> None:
    attack = "<script>alert(1)</script>"
    result, views = run
    labels = [attack, *result.values["poses"][1:]]
    values = {**result.values, "poses": labels, "cameras": [attack]}
    hostile = replace(result, values=values, notes=(attack,))
    views = replace(views, camera=attack, labels=(attack,) * len(views.labels))
    page = render_report(hostile, views=[views])
    assert "script" not in Page(page).tags


def test_predicted_corners_lie_on_those_seen_where_the_calibration_is_right(
    run: tuple[CalibrationResult, CameraViews],
) -> None:
    _, views = run
    best, bad = int(np.argmin(views.rms_px)), BAD
    assert views.rms_px[best] < 0.3
    assert views.rms_px[bad] > 3.0
    assert views.telling(9)[0] == best
    assert bad in views.telling(9)
    before = draw_corners(views, best)
    assert before.shape == (LENS.height, LENS.width, 3)
    x, y = np.round(views.seen[best].pixels[0]).astype(int)
    green, other = before[y, x, 1].astype(int), before[y, x, [0, 2]].astype(int)
    assert (green > other + 60).all()


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"poses": 8.0}, "Only 8 poses"),
        ({"diversity": 0.2, "weakest_turn_deg": 5.0}, "turns by 5 degrees"),
        ({"gripper_T_camera.std_mm": 4.0}, "only known to 4.00 mm.*next_base_T_gripper"),
        ({"dropped": 9.0}, "9 poses contradict"),
        ({"arm_noise_mm": 3.0}, "scatter by 3.0 mm.*--refine-joints"),
        ({"corner_noise_px": 1.0}, "Corners scatter by 1.00 px"),
        ({"board_scale": 1.01}, "1.0 % larger than stated"),
    ],
)
def test_what_is_weak_is_said_and_what_helps(
    figures: dict[str, float], message: str, run: tuple[CalibrationResult, CameraViews]
) -> None:
    good = {"poses": 20.0, "dropped": 0.0, "diversity": 1.0}
    result = replace(run[0], figures={**run[0].figures, **good})
    assert advise(result) == []
    assert "Nothing stands out" in render_report(result)
    (advice,) = advise(replace(result, figures={**result.figures, **figures}))
    assert re.search(message, advice.text)
    assert advice.urgent == ("dropped" in figures)


def test_other_kinds_and_results_without_pictures() -> None:
    figures = {
        "offset_ms": 31.0,
        "std_ms": 4.0,
        "turning_deg_s": 8.0,
        "arm_noise_mm": 0.1,
        "arm_noise_deg": 0.01,
    }
    result = CalibrationResult(
        "time_offset",
        {"offset_s": 0.031},
        ("offset_s",),
        np.array([[1.6e-5]]),
        {"reprojection_px": np.array([0.2, np.nan, 0.4])},
        figures,
    )
    page = render_report(result)
    assert "+31.00 ms = stamp of its joints" in page
    assert "record a longer motion" in page
    assert "faster turns" in page
    assert "<td>4 ms</td>" in page
    unknown = replace(result, kind="new", residuals={}, figures={})
    assert "Nothing stands out" in render_report(unknown)


def test_bars_far_above_the_others_do_not_flatten_them() -> None:
    bars = [Bar("a", 1.0), Bar("b", 0.9), Bar("c", 500.0, left_out=True)]
    drawn = bar_chart(bars, unit="mm", label="bars")
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"><title>', drawn)]
    assert heights[0] > 60
    assert heights[2] > heights[0]
    assert "↑" in drawn


@needs_browser
def test_a_browser_draws_the_page(
    run: tuple[CalibrationResult, CameraViews], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    write_report(path, run[0], views=[run[1]])
    probe = """<script>addEventListener("load", () => {
      const drawn = [...document.querySelectorAll("svg")].filter(s => s.getBBox().width > 50);
      const shown = [...document.images].filter(i => i.naturalWidth > 100);
      const wide = document.documentElement.scrollWidth > innerWidth;
      document.title = `charts ${drawn.length} pictures ${shown.length} overflows ${wide}`;
    });</script>"""
    path.write_text(path.read_text().replace("</body>", probe + "</body>"))
    title = title_in_browser(path, tmp_path / "profile", "--window-size=420,900")
    assert title == "charts 7 pictures 4 overflows false"
