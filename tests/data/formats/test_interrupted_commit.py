"""Ctrl-C right after an episode was committed does not take the episode's files away."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich_recordings import RICH, recordings

from robot_policy.data.formats import lerobot_layout, lerobot_v3_writer, lerobot_v21_writer
from robot_policy.data.formats.registry import FORMATS, detect_format


@pytest.mark.parametrize(
    ("name", "module"),
    [("lerobot_v3", lerobot_v3_writer), ("lerobot_v21", lerobot_v21_writer)],
)
def test_an_episode_that_is_committed_stays(
    name: str, module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set"
    writer = FORMATS[name].create(path, RICH)
    first, second, third = recordings()
    writer.add(first)
    write_json = module.write_json  # type: ignore[attr-defined]

    def interrupted(target: Path, data: Any, **options: Any) -> None:
        write_json(target, data, **options)
        if target.name == Path(lerobot_layout.INFO).name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.add(second)
    writer.close()
    reader = detect_format(path).open(path)
    assert len(reader) == 2
    assert [len(reader.recording(n)) for n in range(2)] == [len(first), len(second)]
    appended = FORMATS[name].append(path, RICH)
    appended.add(third)
    appended.close()
    assert len(detect_format(path).open(path)) == 3
