"""A result comes back from its file, and is not written where it is not whole."""

from pathlib import Path

import numpy as np
import pytest

from calibration.provenance import digest_of_arrays, digest_of_files, provenance
from calibration.result import CalibrationResult, transform_parameters
from robot_policy.core.errors import ConfigError, DataError


def result() -> CalibrationResult:
    spread = np.random.default_rng(1).normal(size=(7, 7))
    return CalibrationResult(
        kind="hand_eye",
        values={
            "gripper_T_camera": np.eye(4) * [1, 1, 1, 1],
            "mounting": "eye_in_hand",
            "cameras": ["camera"],
            "samples": 20,
            "offset_s": 1e-5,
        },
        parameters=(*transform_parameters("gripper_T_camera"), "offset_s"),
        covariance=spread @ spread.T * 1e-9,
        residuals={"reprojection_px": np.array([0.25, -0.5])},
        figures={"leave_one_out_mm": 0.4},
        notes=("sample 3 was left out: 12 px",),
        provenance=provenance("ab", date="2026-01-02"),
    )


@pytest.mark.parametrize("name", ["r.yaml", "r.json"])
def test_a_result_comes_back(name: str, tmp_path: Path) -> None:
    result().save(tmp_path / name)
    back = CalibrationResult.load(tmp_path / name)
    np.testing.assert_array_equal(back.transform("gripper_T_camera"), np.eye(4))
    np.testing.assert_array_equal(back.covariance, result().covariance)
    np.testing.assert_array_equal(back.residuals["reprojection_px"], [0.25, -0.5])
    assert {k: back.values[k] for k in ("mounting", "cameras", "samples", "offset_s")} == {
        "mounting": "eye_in_hand",
        "cameras": ["camera"],
        "samples": 20,
        "offset_s": 1e-5,
    }
    for field in ("kind", "parameters", "figures", "notes", "provenance"):
        assert getattr(back, field) == getattr(result(), field)


def test_blocks_of_the_covariance_go_by_name() -> None:
    assert result().covariance_of("gripper_T_camera").shape == (6, 6)
    with pytest.raises(DataError, match="no covariance of 'base'; valid: gripper_T_camera"):
        result().covariance_of("base")
    with pytest.raises(DataError, match="no transform 'mounting'; valid: gripper_T_camera"):
        result().transform("mounting")


@pytest.mark.parametrize("name", ["r.yaml", "r.json"])
def test_what_is_not_finite_is_not_written(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("old")
    for bad in (
        CalibrationResult("x", {"a": np.array([np.nan])}),
        CalibrationResult("x", {}, figures={"a": float("inf")}),
    ):
        with pytest.raises(DataError, match="not finite"):
            bad.save(tmp_path / name)
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_no_result_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot tell the format.*valid: \.json"):
        result().save(tmp_path / "r.txt")
    with pytest.raises(DataError, match=r"r\.yaml: no such file"):
        CalibrationResult.load(tmp_path / "r.yaml")
    for text in ("a: 1", "[]", "{", "kind: x\nvalues: 3"):
        (tmp_path / "r.yaml").write_text(text)
        with pytest.raises(DataError, match=r"r\.yaml: not a"):
            CalibrationResult.load(tmp_path / "r.yaml")
    with pytest.raises(DataError, match="covariance does not fit"):
        CalibrationResult("x", {}, parameters=("a",))


def test_a_digest_changes_with_what_was_digested(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    digests = {digest_of_files([a, b]), digest_of_files([b, a]), digest_of_files([a])}
    b.write_text("3")
    assert len(digests | {digest_of_files([a, b])}) == 4
    x = np.arange(6.0)
    assert digest_of_arrays([x]) == digest_of_arrays([x.copy()])
    assert digest_of_arrays([x]) != digest_of_arrays([x.reshape(2, 3)])
