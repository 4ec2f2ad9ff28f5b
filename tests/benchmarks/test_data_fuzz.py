"""Damaged datasets: one clear line, or everything that is there, with what is not told."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
damage = pytest.importorskip("fuzz_damage")
sets = pytest.importorskip("fuzz_sets")
trial = pytest.importorskip("fuzz_trial")


@pytest.mark.filterwarnings("default")  # as the program has it; one on stderr is no clear line
@pytest.mark.parametrize("kind", damage.DAMAGES)
def test_damage_is_told_or_does_no_harm(
    kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, datasets = _datasets(tmp_path_factory)
    outcomes: Counter[str] = Counter()
    for of, whole in datasets:
        told, findings = trial.run_case(
            trial.Case(of, kind, 0, 7), whole, folder=folder, ways=("read", "convert")
        )
        for finding in findings:
            assert finding.outcome not in trial.WRONG, f"{of.name}: {told}: {finding}"
            outcomes[finding.outcome] += 1
    assert outcomes[trial.Outcome.REFUSED]


_WRITTEN: list = []


def _datasets(factory: pytest.TempPathFactory) -> tuple[Path, list]:
    """One of every format, whole, and what it holds; written once."""
    if not _WRITTEN:
        folder = factory.mktemp("fuzz")
        made = sets.write_sets(folder / "sets", peers=False)
        _WRITTEN.append((folder, [(of, trial.whole(of, folder)) for of in made]))
    return _WRITTEN[0]


def test_the_judge_sees_what_is_wrong(tmp_path: Path) -> None:
    """A reader that dropped an episode, or a frame, in silence would be found out."""
    made = sets.write_sets(tmp_path / "sets", peers=False)[0]
    content = trial.read_content(made.path, made.options)
    case = trial.Case(made, "bit_flipped", 0, 0)
    fewer = trial.Content(content.recordings[1:], content.features, ())
    found = trial._judged("read", case, "", content, fewer, reported=False)
    assert found.outcome == trial.Outcome.LOST
    found = trial._judged("read", case, "", content, fewer, reported=True)
    assert found.outcome == trial.Outcome.REPORTED
    state = content.recordings[0].columns["observation.state"] + np.float32(1)
    recordings = (_with(content.recordings[0], state), *content.recordings[1:])
    other = trial.Content(recordings, content.features, ())
    found = trial._judged("read", case, "", content, other, reported=False)
    assert found.outcome == trial.Outcome.ALTERED
    edit = trial.Case(made, "edited", 0, 0)
    assert trial._judged("read", edit, "", content, other, reported=False).outcome == "as_it_stands"
    assert trial._refused("info", "Traceback (most recent call last)\n").outcome == "no_clear_line"


def _with(recording, state):
    return replace(recording, columns={**recording.columns, "observation.state": state})
