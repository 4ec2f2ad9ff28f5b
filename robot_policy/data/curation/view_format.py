"""Views as a format: read wherever a path of a dataset is taken, and never written to."""

from pathlib import Path
from typing import NoReturn

from robot_policy.core.errors import ConfigError
from robot_policy.data.curation.view import is_view
from robot_policy.data.curation.view_reader import ViewReader
from robot_policy.data.formats.contents import KEPT, Content
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.recorded_format import RecordedFormat
from robot_policy.data.recording import Description


def _refuse(path: Path, description: Description) -> NoReturn:
    raise ConfigError(
        "a view holds no episodes of its own",
        where=path,
        hint="`robot-policy data convert` makes a dataset of it",
    )


FORMAT: EpisodeFormat = RecordedFormat(
    contents=dict.fromkeys(Content, KEPT),
    detects=is_view,
    opens=lambda path, _: ViewReader(path),
    creates=_refuse,
    continues=_refuse,
)
