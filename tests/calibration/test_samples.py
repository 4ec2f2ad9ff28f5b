"""A folder of samples comes back as it was written, and what is wrong with one is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from calibration.samples import (
    POSES,
    Sample,
    append_sample,
    load_samples,
    read_image,
    save_samples,
    write_image,
)
from robot_policy.core.errors import ConfigError, DataError, RobotPolicyError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, transform

POSE = transform(matrix_from_rotvec(np.array([0.3, -2.0, 0.5])), np.array([0.4, -0.1, 0.3]))
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
DEPTH = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000


def sample(number: int = 0) -> Sample:
    return Sample(
        stamp_ns=1_700_000_000_000_000_000 + number,
        images={"wrist": f"images/w{number}.png", "depth": f"images/d{number}.png"},
        joints={"j1": 0.25, "j2": -1.5},
        base_T_gripper=POSE,
        joint_stamp_ns=1_700_000_000_000_000_000 - 7,
    )


def pixels(number: int = 0) -> dict[str, np.ndarray]:
    return {f"images/w{number}.png": PIXELS, f"images/d{number}.png": DEPTH}


def same(a: Sample, b: Sample) -> bool:
    assert a.base_T_gripper is not None
    assert b.base_T_gripper is not None
    np.testing.assert_allclose(a.base_T_gripper, b.base_T_gripper, atol=1e-12)
    return (a.stamp_ns, dict(a.images), dict(a.joints), a.joint_stamp_ns) == (
        b.stamp_ns,
        dict(b.images),
        dict(b.joints),
        b.joint_stamp_ns,
    )


def write_line(folder: Path, **entries: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / POSES).write_text(json.dumps({"stamp_ns": 1, **entries}) + "\n")


def test_samples_come_back(tmp_path: Path) -> None:
    save_samples(tmp_path / "set", [sample()], images=pixels())
    back = load_samples(tmp_path / "set")
    assert len(back.samples) == 1
    assert same(back.samples[0], sample())
    assert back.cameras == ("wrist", "depth")
    np.testing.assert_array_equal(read_image(back.image_paths("wrist")[0]), PIXELS)
    np.testing.assert_array_equal(read_image(back.image_paths("depth")[0]), DEPTH)


def test_appending_is_the_same_as_saving(tmp_path: Path) -> None:
    for number in range(2):
        append_sample(tmp_path / "a", sample(number), images=pixels(number))
    save_samples(tmp_path / "b", [sample(0), sample(1)], images=pixels(0) | pixels(1))
    assert (tmp_path / "a" / POSES).read_text() == (tmp_path / "b" / POSES).read_text()


def test_a_line_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    append_sample(tmp_path, sample(0), images=pixels(0))
    whole = (tmp_path / POSES).read_text()
    (tmp_path / POSES).write_text(whole + whole[:40])
    assert len(load_samples(tmp_path).samples) == 1
    append_sample(tmp_path, sample(1), images=pixels(1))
    assert [s.stamp_ns for s in load_samples(tmp_path).samples] == [
        sample(0).stamp_ns,
        sample(1).stamp_ns,
    ]


def test_one_camera_needs_no_name(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", PIXELS)
    write_line(tmp_path, image="a.png")
    back = load_samples(tmp_path)
    assert back.cameras == ("camera",)
    with pytest.raises(UnknownNameError, match="unknown camera 'wirst'"):
        back.image_paths("wirst")


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    save_samples(tmp_path / "set", [sample()], images=pixels())
    with pytest.raises(ConfigError, match="will not be overwritten"):
        save_samples(tmp_path / "set", [sample()], images=pixels())
    with pytest.raises(DataError, match="no pixels"):
        save_samples(tmp_path / "new", [sample()], images={})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"stamp_ns": 1.5}, "integer stamp_ns"),
        ({"pose": []}, "unknown entry 'pose'"),
        ({"image": "no.png"}, "no such image; got no.png"),
        ({"joints": {"a": "x"}}, "a wrong entry"),
        ({"base_T_gripper": [1, 2]}, "not a pose"),
        ({"base_T_gripper": {"position": [0, 0, 0], "quat_wxyz": [2, 0, 0, 0]}}, "not of length 1"),
        (
            {"base_T_gripper": {"position": [500, 0, 0], "quat_wxyz": [1, 0, 0, 0]}},
            "positions in millimetres",
        ),
        ({"base_T_gripper": np.diag([1.0, 1, -1, 1]).tolist()}, "a reflection"),
        ({"base_T_gripper": POSE.T.tolist()}, "it looks transposed"),
        ({"base_T_gripper": np.diag([2.0, 2, 2, 1]).tolist()}, "not orthogonal; got scale 2"),
        ({"base_T_gripper": np.full((4, 4), np.nan).tolist()}, "not finite"),
    ],
)
def test_a_wrong_line_is_named(entries: dict[str, object], message: str, tmp_path: Path) -> None:
    write_line(tmp_path, **entries)
    with pytest.raises(RobotPolicyError, match=message) as raised:
        load_samples(tmp_path)
    assert "poses.jsonl:1" in str(raised.value)


def test_a_folder_without_samples_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no samples here"):
        load_samples(tmp_path)
    (tmp_path / POSES).write_text("")
    with pytest.raises(DataError, match="holds no samples"):
        load_samples(tmp_path)
