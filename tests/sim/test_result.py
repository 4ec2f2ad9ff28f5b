"""The result file: what is in it, that it comes back, that damage is seen."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.errors import DataError
from sim import provenance
from sim.result import EpisodeResult, EvaluationResult, Settings, Via

SETTINGS = Settings(execute_steps=8, num_samples=1, max_steps=200, workers=2)

episodes = st.lists(
    st.builds(
        EpisodeResult,
        seed=st.integers(0, 10**6),
        success=st.booleans(),
        steps=st.integers(1, 400),
        return_=st.floats(-1e6, 1e6),
        stop=st.lists(st.text(min_size=1), max_size=2).map(tuple),
        limited_steps=st.integers(0, 400),
        held_steps=st.integers(0, 400),
        jerk=st.none() | st.floats(0, 1e6),
        measured_jerk=st.none() | st.floats(0, 1e6),
        policy_ms=st.lists(st.integers(0, 10**6).map(lambda us: us / 1000)).map(tuple),
    ),
    min_size=1,
    unique_by=lambda episode: episode.seed,
).map(tuple)


def a_result(outcomes: tuple[bool, ...] = (True, False, True)) -> EvaluationResult:
    return EvaluationResult(
        task="lift",
        checkpoint="runs/lift",
        episodes=tuple(
            EpisodeResult(100000 + i, success, 40 + i, float(success), policy_ms=(12.5, 11.25))
            for i, success in enumerate(outcomes)
        ),
        duration_s=2.5,
        settings=SETTINGS,
        command="robot-policy eval runs/lift",
        versions=provenance.versions(),
        machine=provenance.machine(),
    )


@given(episodes=episodes, via=st.sampled_from(Via))
def test_saving_and_loading_gives_the_same_result(
    tmp_path_factory: pytest.TempPathFactory, episodes: tuple[EpisodeResult, ...], via: Via
) -> None:
    path = tmp_path_factory.mktemp("result") / "result.json"
    result = replace(a_result(), episodes=episodes, via=via)
    result.save(path)
    assert EvaluationResult.load(path) == result


def test_the_file_holds_what_others_read_from_it(tmp_path: Path) -> None:
    a_result().save(tmp_path / "result.json")
    data = json.loads((tmp_path / "result.json").read_text())
    assert data["task"] == "lift"
    assert data["checkpoint"] == "runs/lift"
    assert data["success_rate"] == pytest.approx(2 / 3)
    assert data["ci95"] == pytest.approx([0.2077, 0.9385], abs=1e-4)
    assert data["policy_ms"] == {"p50": 11.875, "p99": 12.5}
    assert data["env_steps_per_s"] == pytest.approx((40 + 41 + 42) / 2.5)
    assert (
        data["episodes"][1].items()
        >= {
            "seed": 100001,
            "success": False,
            "steps": 41,
            "return": 0.0,
        }.items()
    )
    assert {"robot_policy", "python", "numpy"} <= set(data["versions"])
    assert {"processor", "cores", "memory_gb"} <= set(data["machine"])
    assert data["settings"]["workers"] == 2
    assert data["via"] == "in_process"


def test_a_result_without_timings_has_no_percentiles() -> None:
    quiet = replace(a_result(), episodes=(EpisodeResult(1, True, 40, 1.0),))
    assert quiet.policy_ms == {"p50": None, "p99": None}


def without(key: str) -> Any:
    return lambda data: {k: v for k, v in data.items() if k != key}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without("task"), "'task' is missing"),
        (lambda d: d | {"success_rate": 1.0}, "success_rate"),
        (lambda d: d | {"episodes": []}, "at least one"),
        (lambda d: d | {"episodes": d["episodes"] * 2}, "twice"),
        (lambda d: d | {"episodes": [{"seed": 1, "success": 1}]}, "expected bool"),
        (lambda d: d | {"episodes": [{"seed": 1}]}, "'success' is missing"),
        (lambda d: d | {"settings": {"speed": 3}}, "speed"),
        (lambda d: d | {"via": "post"}, "post"),
        (lambda d: d | {"duration_s": "long"}, "long"),
        (lambda _: [1, 2], "not an evaluation result"),
    ],
)
def test_damage_is_one_line_that_names_file_and_entry(
    tmp_path: Path, damage: Any, words: str
) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(damage(a_result().to_json())))
    with pytest.raises(DataError) as caught:
        EvaluationResult.load(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", '{"task": "li', "\x00\x01"])
def test_a_file_that_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(DataError, match="JSON"):
        EvaluationResult.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.json: no such file"):
        EvaluationResult.load(tmp_path / "nothing.json")


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    a_result().save(path)
    before = path.read_bytes()
    endless = EpisodeResult(1, True, 1, float("nan"))
    with pytest.raises(ValueError, match="JSON"):
        replace(a_result(), episodes=(endless,)).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
