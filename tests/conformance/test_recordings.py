"""Every format in the registry keeps everything it declares to keep, to the bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich_recordings import LENGTHS, RICH, assert_same, recording, recordings

from robot_policy.core.errors import DataError, SpecError
from robot_policy.data.formats.contents import Content, Keeping
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.recording import Feature, Recording

KEPT = (Keeping.KEPT, Keeping.OURS)


@pytest.fixture(params=FORMATS)
def fmt(request: pytest.FixtureRequest) -> EpisodeFormat:
    return FORMATS[request.param]


def write(fmt: EpisodeFormat, path: Path, recordings: list[Recording]) -> None:
    writer = fmt.create(path, RICH)
    for episode in recordings:
        writer.add(episode)
    writer.close()


def test_everything_declared_is_kept(fmt: EpisodeFormat, tmp_path: Path) -> None:
    assert set(fmt.contents) == set(Content)
    lost = [c for c, kept in fmt.contents.items() if kept.keeping not in KEPT]
    assert set(lost) <= {Content.COLOUR, Content.CODING, Content.IMAGE_STATISTICS}
    write(fmt, tmp_path / "set", recordings())
    reader = fmt.open(tmp_path / "set")
    got = reader.description
    assert (got.robot, got.rate_hz, got.spec) == (RICH.robot, RICH.rate_hz, RICH.spec)
    assert dict(got.metadata) == dict(RICH.metadata)
    for key, feature in RICH.features.items():
        there = got.features[key]
        for label in ("dtype", "shape", "is_image"):
            assert getattr(there, label) == getattr(feature, label), (key, label)
        assert feature.names in ((), there.names)
        assert feature.info.items() <= there.info.items()
    assert set(got.features) == set(RICH.features)
    assert not reader.left_out
    assert len(reader) == len(LENGTHS)
    lossy = fmt.contents[Content.COLOUR].keeping not in KEPT
    for position in (2, 0, 1):
        assert_same(recordings()[position], reader.recording(position), colour_is_lossy=lossy)


def test_what_is_read_can_be_appended(fmt: EpisodeFormat, tmp_path: Path) -> None:
    """A dataset's own description fits itself, also after it has been on disk."""
    write(fmt, tmp_path / "set", recordings()[:1])
    writer = fmt.append(tmp_path / "set", RICH)
    for episode in recordings()[1:2]:
        writer.add(episode)
    writer.close()
    writer = fmt.append(tmp_path / "set", fmt.open(tmp_path / "set").description)
    writer.add(recordings()[2])
    writer.close()
    assert writer.episodes == len(fmt.open(tmp_path / "set")) == 3
    other = replace(RICH, features={**RICH.features, "more": Feature("int64", (1,))})
    with pytest.raises(SpecError, match="other features"):
        fmt.append(tmp_path / "set", other)


def test_values_that_are_not_finite_pass_where_no_policy_learns_from_them(
    fmt: EpisodeFormat, tmp_path: Path
) -> None:
    original = recording(0, 5)
    tactile = original.columns["observation.tactile"].copy()
    tactile[2, 1, 1], tactile[3] = np.nan, np.inf
    spoiled = replace(original, columns={**original.columns, "observation.tactile": tactile})
    write(fmt, tmp_path / "set", [spoiled])
    got = fmt.open(tmp_path / "set").recording(0)
    np.testing.assert_array_equal(got.columns["observation.tactile"], tactile)
    for key in ("observation.state", "action", "next.reward"):
        values = original.columns[key].copy()
        values[3, 0] = np.nan
        writer = fmt.append(tmp_path / "set", RICH)
        with pytest.raises(DataError, match=rf"episode 0: {key}.* is not finite at frame 3"):
            writer.add(replace(original, columns={**original.columns, key: values}))
        writer.close()
    assert len(fmt.open(tmp_path / "set")) == 1


def test_a_recording_that_does_not_fit_is_refused(fmt: EpisodeFormat, tmp_path: Path) -> None:
    original = recording(0, 5)
    without = {k: v for k, v in original.columns.items() if k != "observation.big"}
    float32 = original.columns["observation.state"].astype(np.float32)
    writer = fmt.create(tmp_path / "set", RICH)
    for wrong, message in (
        (replace(original, columns=without), "no feature 'observation.big'"),
        (
            replace(original, columns={**original.columns, "observation.state": float32}),
            "does not fit the description; expected float64",
        ),
        (replace(original, metadata={"a": float("nan")}), "metadata is not JSON"),
    ):
        with pytest.raises(SpecError, match=message):
            writer.add(wrong)
    writer.add(original)
    writer.close()
    assert len(fmt.open(tmp_path / "set")) == 1
