"""Jobs run after what they need, are not run again, and a failure takes only its own along."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
jobs = pytest.importorskip("jobs")

WRITER = """\
import sys, pathlib
names, own = sys.argv[1:-1], sys.argv[-1]
log = pathlib.Path(own).with_name("order")
with log.open("a") as file:
    file.write(pathlib.Path(own).name + "\\n")
if "fail" not in names:
    pathlib.Path(own).touch()
"""


def job(folder: Path, name: str, *words: str, needs: tuple[str, ...] = ()):
    script = folder / "writer.py"
    script.write_text(WRITER)
    result = folder / name
    return jobs.Job(name, (str(script), *words, str(result)), result, needs)


def order(folder: Path) -> list[str]:
    path = folder / "order"
    return path.read_text().split() if path.exists() else []


def test_needs_come_first_and_nothing_runs_twice(tmp_path: Path) -> None:
    listed = [job(tmp_path, "b", needs=("a",)), job(tmp_path, "a"), job(tmp_path, "c")]
    assert jobs.run_jobs(listed, at_once=2, logs=tmp_path / "logs") == []
    ran = order(tmp_path)
    assert sorted(ran) == ["a", "b", "c"]
    assert ran.index("a") < ran.index("b")
    assert jobs.run_jobs(listed, at_once=2, logs=tmp_path / "logs") == []
    assert order(tmp_path) == ran


def test_a_failure_leaves_out_what_needs_it(tmp_path: Path) -> None:
    listed = [job(tmp_path, "a", "fail"), job(tmp_path, "b", needs=("a",)), job(tmp_path, "c")]
    assert jobs.run_jobs(listed, at_once=1, logs=tmp_path / "logs") == ["a", "b"]
    assert order(tmp_path) == ["a", "c"]


def test_choosing_a_job_brings_what_it_needs(tmp_path: Path) -> None:
    listed = [job(tmp_path, "a"), job(tmp_path, "b", needs=("a",)), job(tmp_path, "c")]
    assert [chosen.name for chosen in jobs.with_needs(listed, ["b"])] == ["a", "b"]
    assert [chosen.name for chosen in jobs.with_needs(listed, None)] == ["a", "b", "c"]


def test_a_stopped_job_goes_on(tmp_path: Path) -> None:
    started = tmp_path / "started"
    plain = jobs.Job("x", ("train",), tmp_path / "r", resume=("--resume",), started=started)
    assert "--resume" not in plain.command(1)
    started.touch()
    assert plain.command(1)[-1] == "--resume"
    assert Path(plain.command(1)[0]).name == "robot-policy"
    assert Path(sys.executable).parent == Path(plain.command(1)[0]).parent


def test_threads_of_the_environment_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the option of the command too: two threads on one idle core are far slower than one."""
    script = tmp_path / "writer.py"
    script.write_text("import os, sys\nopen(sys.argv[1], 'w').write(str(sys.argv[2:]))\n")
    result = tmp_path / "r"
    words = (str(script), str(result))
    listed = [jobs.Job("x", words, result, threads_option="--threads")]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert jobs.run_jobs(listed, at_once=1, logs=tmp_path / "logs") == []
    assert result.read_text() == "['--threads', '3']"
