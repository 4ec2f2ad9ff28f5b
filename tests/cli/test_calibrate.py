"""`robot-policy calibrate …` as a person types it, on rendered pictures."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.board import Board
from calibration.camera_info import write_camera_info
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, LensModel
from calibration.pose_text import pose_from_json
from calibration.rendering import BoardPhotographer
from calibration.result import CalibrationResult
from calibration.rigid import step_between
from calibration.samples import (
    POSES,
    Sample,
    load_samples,
    read_image,
    save_samples,
    write_image,
)
from calibration.simulated_rig import diverse_views, random_rig
from robot_policy.cli.main import main
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import rotvec_from_matrix

LENS = Lens(LensModel.PLUMB_BOB, 320, 240, np.array([300, 301, 161, 118, -0.1, 0.02, 0, 0, 0.0]))
STAMP_NS = 1_700_000_000_000_000_000


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a board, samples of a rig whose truth is known, and its intrinsics."""
    folder = tmp_path_factory.mktemp("lab")
    assert main(["calibrate", "board", "--output", str(folder / "board")]) == 0
    board = Board.load(folder / "board/board.yaml")
    rng = np.random.default_rng(3)
    rig = random_rig(Mounting.EYE_IN_HAND, board, LENS, rng)
    views = diverse_views(board, 12, rng, distance_m=(0.4, 0.6), aside=0.08)
    photographer = BoardPhotographer(board, LENS)
    samples, images = [], {}
    for i, (view, pose) in enumerate(zip(views, rig.arm_at(views), strict=True)):
        name = f"images/{i:06d}.png"
        images[name] = photographer.take(view, rng)
        stamp = STAMP_NS + i * 10**9
        samples.append(Sample(stamp, {"camera": name}, {"j1": 0.1 * i}, pose, stamp + 10**7))
    save_samples(folder / "samples", samples, images=images)
    write_camera_info(folder / "camera.yaml", LENS, camera="camera")
    np.save(folder / "truth.npy", rig.parent_T_camera)
    return folder


def hand_eye(lab: Path, output: Path, *more: str, samples: Path | None = None) -> list[str]:
    options = {
        "--mounting": "eye_in_hand",
        "--board": str(lab / "board/board.yaml"),
        "--intrinsics": str(lab / "camera.yaml"),
        "--output": str(output),
    }
    options |= dict(zip(more[::2], more[1::2], strict=True))
    words = [word for pair in options.items() for word in pair]
    return ["calibrate", "hand-eye", str(samples or lab / "samples"), *words]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    status = main(arguments)
    error = capsys.readouterr().err.strip()
    assert status == 2, error
    assert error.startswith("robot-policy: ")
    assert "\n" not in error
    return error


def test_pictures_to_intrinsics_to_hand_eye(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--board", str(lab / "board/board.yaml"), "--output", str(tmp_path / "lens.yaml")]
    words += ["--camera-info", str(tmp_path / "info.yaml")]
    words += ["--coverage", str(tmp_path / "coverage.png"), "--json", str(tmp_path / "lens.json")]
    assert main(["calibrate", "intrinsics", str(lab / "samples"), *words]) == 0
    assert "held_out_px" in capsys.readouterr().out
    lens = CalibrationResult.load(tmp_path / "lens.yaml")
    assert lens.values["lens_parameters"][0] == pytest.approx(300, rel=0.02)
    assert json.loads((tmp_path / "lens.json").read_text())["kind"] == "intrinsics"
    assert (tmp_path / "coverage.png").stat().st_size > 1000
    found = {}
    for name, intrinsics in (("exact", lab / "camera.yaml"), ("found", tmp_path / "lens.yaml")):
        arguments = hand_eye(lab, tmp_path / f"{name}.yaml", "--intrinsics", str(intrinsics))
        assert main(arguments) == 0
        found[name] = CalibrationResult.load(tmp_path / f"{name}.yaml")
        step = step_between(found[name].transform("gripper_T_camera"), np.load(lab / "truth.npy"))
        assert 1000 * np.linalg.norm(step[3:]) < (1.0 if name == "exact" else 8.0)
    # Intrinsics that say how uncertain they are make the result say it too.
    std = {name: result.figures["gripper_T_camera.std_mm"] for name, result in found.items()}
    assert std["found"] > 2 * std["exact"]
    digests = {r.provenance.inputs_sha256 for r in (*found.values(), lens)}
    assert len(digests) == 2
    assert found["exact"].provenance.date.startswith("20")


def test_nothing_is_overwritten(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    error = refused(hand_eye(lab, tmp_path / "mine.yaml"), capsys)
    assert "exists and will not be overwritten" in error
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert "cannot tell the format" in refused(hand_eye(lab, tmp_path / "a.txt"), capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--mounting", "eye_on_hand"),
            "unknown mounting 'eye_on_hand'; valid: eye_in_hand, eye_to_hand",
        ),
        (("--mounting", "eye_to_hand"), "the data fit the other mounting"),
        (("--intrinsics", "no.yaml"), "no.yaml: no such file"),
        (("--intrinsics", "{lab}/board/board.yaml"), "not a calibration result"),
        (("--intrinsics", "wrist={lab}/camera.yaml"), "unknown camera 'wrist'; valid: camera"),
        (("--intrinsics", "{lab}/small.yaml"), "another resolution.*320 x 240.*got 160 x 120"),
        (("--board", "{lab}/other.yaml"), "in none of the pictures.*got markers of 5X5_"),
        (("--board", "{lab}/huge.yaml"), "in millimetres. then square_m is 0.035"),
    ],
)
def test_mistakes_are_said_in_one_line(
    options: tuple[str, str],
    message: str,
    lab: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = Board.load(lab / "board/board.yaml")
    replace(board, dictionary="4X4_50").save(lab / "other.yaml")
    text = (lab / "board/board.yaml").read_text()
    (lab / "huge.yaml").write_text(text.replace("0.035", "35").replace("0.02625", "26.25"))
    small = Lens(LENS.model, 160, 120, LENS.parameters)
    write_camera_info(lab / "small.yaml", small, camera="camera")
    name, value = options
    error = refused(hand_eye(lab, tmp_path / "a.yaml", name, value.format(lab=lab)), capsys)
    assert re.search(message, error), error
    assert not (tmp_path / "a.yaml").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line["joints"].update(j1=90.0), "joint 'j1'.*positions in degrees"),
        (lambda line: line.update(joint_stamp_ns=5), "stamped by different clocks"),
        (lambda line: line.pop("base_T_gripper"), "no sample has a pose of the arm"),
        (lambda line: line["base_T_gripper"].update(position=[500, 0, 0]), "in millimetres"),
        (lambda line: line.update(image="images/x.png"), "poses.jsonl:1: no such image"),
    ],
)
def test_mistakes_in_samples_are_named(
    change, message: str, lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(lab / "samples", tmp_path / "samples")
    lines = [json.loads(t) for t in (tmp_path / "samples" / POSES).read_text().splitlines()]
    for line in lines:
        change(line)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "samples" / POSES).write_text(text)
    error = refused(hand_eye(lab, tmp_path / "a.yaml", samples=tmp_path / "samples"), capsys)
    assert re.search(message, error), error


def resized(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture[::2, ::2])


@pytest.mark.parametrize(
    ("change", "some", "message"),
    [
        (
            lambda picture: np.full_like(picture, 90),
            False,
            "in none of the pictures.*got 12 pictures without a board; too far away, blurred",
        ),
        (
            lambda picture: picture[:, ::-1].copy(),
            False,
            "in none of the pictures.*got mirrored pictures",
        ),
        (resized, True, "pictures of different sizes.*expected 320 x 240.*got 160 x 120 px in 1"),
    ],
)
def test_mistakes_in_pictures_are_named(
    change,
    some: bool,
    message: str,
    lab: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(lab / "samples", tmp_path / "samples")
    paths = sorted((tmp_path / "samples/images").iterdir())
    for path in paths[:1] if some else paths:
        write_image(path, change(read_image(path)))
    error = refused(hand_eye(lab, tmp_path / "a.yaml", samples=tmp_path / "samples"), capsys)
    assert re.search(message, error), error
    intrinsics = ["calibrate", "intrinsics", str(tmp_path / "samples")]
    intrinsics += ["--board", str(lab / "board/board.yaml"), "--output", str(tmp_path / "a.yaml")]
    assert re.search(message, refused(intrinsics, capsys))


def in_degrees(line: dict) -> None:
    pose = pose_from_json(line["base_T_gripper"], where="")
    degrees = np.rad2deg(rotvec_from_matrix(pose[:3, :3]))
    line["base_T_gripper"] = {"position": pose[:3, 3].tolist(), "rotvec_rad": degrees.tolist()}


def test_poses_in_degrees_are_recognised(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(lab / "samples", tmp_path / "samples")
    lines = [json.loads(t) for t in (tmp_path / "samples" / POSES).read_text().splitlines()]
    for line in lines:
        in_degrees(line)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "samples" / POSES).write_text(text)
    error = refused(hand_eye(lab, tmp_path / "a.yaml", samples=tmp_path / "samples"), capsys)
    assert "longer than a whole turn" in error
    assert "rotations in degrees?" in error


def test_a_page_goes_with_every_result(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, again = tmp_path / "page.html", tmp_path / "again.html"
    assert main(hand_eye(lab, tmp_path / "a.yaml", "--report", str(page))) == 0
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") >= 3
    assert "images/000003.png" in text
    report = ["calibrate", "report", str(tmp_path / "a.yaml"), "--output"]
    assert main([*report, str(again)]) == 0
    assert "gripper_T_camera" in again.read_text()
    assert "data:image" not in again.read_text()
    capsys.readouterr()
    assert "will not be overwritten" in refused([*report, str(again)], capsys)
    assert "cannot tell the format" in refused([*report, str(tmp_path / "a.pdf")], capsys)
    broken = ["calibrate", "report", str(lab / "camera.yaml"), "--output", str(tmp_path / "b.html")]
    assert "not a calibration result" in refused(broken, capsys)
    assert not (tmp_path / "b.html").exists()
    lens = ["--board", str(lab / "board/board.yaml"), "--output", str(tmp_path / "lens.yaml")]
    lens += ["--report", str(tmp_path / "lens.html")]
    assert main(["calibrate", "intrinsics", str(lab / "samples"), *lens]) == 0
    assert "Corners were seen in" in (tmp_path / "lens.html").read_text()


def test_a_folder_without_pictures_and_several_cameras(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--board", str(lab / "board/board.yaml"), "--output", str(tmp_path / "a.yaml")]
    assert "no such folder" in refused(["calibrate", "intrinsics", "no", *words], capsys)
    (tmp_path / "empty").mkdir()
    empty = ["calibrate", "intrinsics", str(tmp_path / "empty"), *words]
    assert "no pictures here" in refused(empty, capsys)
    wrong = ["calibrate", "intrinsics", str(lab / "samples"), *words, "--model", "pinhole"]
    assert "unknown lens model 'pinhole'; valid: equidistant" in refused(wrong, capsys)
    board = ["calibrate", "board", "--output", str(tmp_path / "b"), "--square", "35"]
    assert "in millimetres" in refused(board, capsys)
    assert not (tmp_path / "b").exists()
    with pytest.raises(DataError):
        load_samples(tmp_path / "empty")


def test_the_time_offset_needs_a_motion(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = hand_eye(lab, tmp_path / "a.yaml")
    words[1] = "time-offset"
    assert "too few pictures with the board in sight" in refused(words, capsys)
