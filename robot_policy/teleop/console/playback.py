"""Recorded episodes as pages of their own."""

from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.data.display.page import render_page
from robot_policy.data.display.shown_episode import shown_episode
from robot_policy.data.formats.lerobot_v3 import FORMAT
from robot_policy.data.summary import summarize


def episode_page(dataset: Path, number: int) -> str:
    """Returns an HTML page with videos and plots of one episode.

    Raises:
        DataError: If there is no such episode, or it is damaged.
    """
    if not FORMAT.detect(dataset):
        raise DataError("no dataset yet", where=dataset)
    reader = FORMAT.open(dataset)
    if not 0 <= number < len(reader):
        raise DataError(
            "no such episode", where=dataset, expected=f"0 .. {len(reader) - 1}", got=number
        )
    return render_page(summarize(dataset, "lerobot_v3", reader), [shown_episode(reader, number)])
