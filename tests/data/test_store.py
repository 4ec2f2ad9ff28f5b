"""The store holds every frame where it says, and refuses what must not be learned from."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robot_policy.core.errors import DataError
from robot_policy.core.specs import ActionSpace, PolicySpec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.store import EpisodeStore

from .conftest import counting_episode

LENGTHS = (3, 1, 5)
DATA = "data/chunk-000/file-002.parquet"


@pytest.fixture
def dataset(tmp_path: Path, counting_spec: PolicySpec) -> Path:
    spec = replace(counting_spec, cameras={})
    episodes = (replace(counting_episode(i, n), images={}) for i, n in enumerate(LENGTHS))
    FORMATS["lerobot_v3"].write(tmp_path / "set", episodes, spec)
    return tmp_path / "set"


def spoil(dataset: Path, column: str, values: Callable[[pa.ChunkedArray], pa.Array]) -> None:
    table = pq.read_table(dataset / DATA)
    place = table.column_names.index(column)
    pq.write_table(
        table.set_column(place, table.schema.field(column), values(table[column])), dataset / DATA
    )


def test_flat_arrays_and_boundaries(dataset: Path) -> None:
    store = EpisodeStore.open(dataset)
    assert len(store) == 9
    assert store.starts.tolist() == [0, 3, 4, 9]
    assert store.episode_of.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 2]
    assert store.state[:, 0].tolist() == store.episode_of.tolist()
    assert [(e.length, e.task) for e in store.episodes] == [
        (n, f"task {i}") for i, n in enumerate(LENGTHS)
    ]


def test_frames_are_gathered_from_their_episodes(
    counting_store: Callable[[Sequence[int]], EpisodeStore],
) -> None:
    store = counting_store(LENGTHS)
    frames = store.frames("wrist", np.array([[0, 3], [8, 4]]))
    assert frames.shape == (2, 2, 2, 2, 3)
    assert frames[..., 0, 0, 0].tolist() == [[0, 10], [24, 20]]


def test_statistics_are_of_the_values(dataset: Path) -> None:
    """Not of what stats.json says, which a foreign tool may have left behind the data."""
    (dataset / "meta/stats.json").unlink()
    store = EpisodeStore.open(dataset)
    assert store.statistics["observation.state"]["max"].tolist() == [2, 4]
    np.testing.assert_allclose(store.statistics["action"]["mean"], store.actions.mean(axis=0))
    assert store.statistics["action"]["count"] == [9]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["observation.state", "action", "observation.environment_state"])
def test_values_that_are_not_finite_are_located(dataset: Path, key: str, value: float) -> None:
    def poisoned(column: pa.ChunkedArray) -> pa.Array:
        flat = np.array(column.combine_chunks().flatten().to_numpy()) if key != SCALAR else None
        if flat is None:
            flat = np.array(column.to_numpy())
        size = len(flat) // len(column)
        flat[3 * size] = value
        array = pa.array(flat)
        return array if key == SCALAR else pa.FixedSizeListArray.from_arrays(array, size)

    SCALAR = "observation.environment_state"
    spoil(dataset, key, poisoned)
    expected = rf"{DATA}, episode 2: {key}.* is not finite at frame 3; got {value}"
    with pytest.raises(DataError, match=expected):
        EpisodeStore.open(dataset)


def test_a_missing_frame(dataset: Path) -> None:
    table = pq.read_table(dataset / DATA)
    pq.write_table(table.slice(1), dataset / DATA)
    with pytest.raises(DataError, match=r"episode 2: wrong number of frames; expected 5; got 4"):
        EpisodeStore.open(dataset)


def test_a_missing_column(dataset: Path) -> None:
    table = pq.read_table(dataset / DATA)
    pq.write_table(table.drop_columns(["action"]), dataset / DATA)
    with pytest.raises(DataError, match="no column 'action'"):
        EpisodeStore.open(dataset)


def test_a_task_that_is_not_in_the_table(dataset: Path) -> None:
    spoil(dataset, "task_index", lambda column: pa.array(np.full(len(column), 7)))
    with pytest.raises(DataError, match="no task 7"):
        EpisodeStore.open(dataset)


INFO = {
    "not JSON": ("{", "not a readable JSON file"),
    "a list": ("[]", "not a dataset description"),
    "another version": ({"codebase_version": "v2.1"}, "expected v3.0; got v2.1"),
    "no rate": ({"fps": None}, "fps is missing"),
    "rate of zero": ({"fps": 0}, "must be positive"),
    "another rate": ({"fps": 30}, "dt_s differs from info.json"),
    "no features": ({"features": {}}, r"no feature 'observation\.state'"),
    "more episodes than there are": ({"total_episodes": 4}, "no row for episode 3"),
    "no episode": ({"total_episodes": 0}, "holds no episode"),
    "a path that leads nowhere": ({"data_path": "{nothing}"}, "data_path cannot be filled in"),
}


@pytest.mark.parametrize(("change", "message"), INFO.values(), ids=INFO)
def test_a_wrong_description(dataset: Path, change: str | dict[str, object], message: str) -> None:
    path = dataset / "meta/info.json"
    text = change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change)
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        EpisodeStore.open(dataset)


def test_a_dataset_without_our_spec_is_described_by_its_features(dataset: Path) -> None:
    (dataset / "meta/robot_policy.json").unlink()
    store = EpisodeStore.open(dataset)
    assert store.spec.robot == "panda_twin"
    assert store.spec.dt_s == pytest.approx(0.1)
    assert store.spec.state.shape == (2,)
    assert store.spec.action_space == ActionSpace.JOINT_POSITION
    assert len(store) == 9


def test_a_spec_that_contradicts_the_features(dataset: Path) -> None:
    path = dataset / "meta/robot_policy.json"
    spec = json.loads(path.read_text())
    spec["action"]["shape"] = [7]
    path.write_text(json.dumps(spec))
    with pytest.raises(DataError, match=r"action differs from info\.json; expected \(2,\)"):
        EpisodeStore.open(dataset)
