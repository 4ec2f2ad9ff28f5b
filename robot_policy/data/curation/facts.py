"""The fields of an episode that conditions ask for."""

from collections.abc import Iterable
from typing import Any

from robot_policy.core.episode import Success
from robot_policy.data.curation.condition import Condition, Facts
from robot_policy.data.store import EpisodeSummary

MEASURED = {
    "episode": "its number in the dataset",
    "length": "frames",
    "duration_s": "length in seconds",
    "success": "true if the outcome is yes",
    "outcome": "yes, no or unknown",
    "task": "instruction text",
    "dataset": "path of the dataset it comes from, empty where there is one only",
}
"""Fields that every episode has, and what they mean. Labels and metadata come beside them."""


def facts_of(episode: EpisodeSummary, *, number: int, rate_hz: float) -> Facts:
    """Returns the fields of an episode.

    Args:
        episode: Summary.
        number: Of the episode in its dataset.
        rate_hz: Frames per second.
    """
    told = {
        name: value
        for name, value in episode.metadata.items()
        if name.isidentifier() and name not in MEASURED and _is_plain(value)
    }
    return {
        "episode": number,
        "length": episode.length,
        "duration_s": episode.length / rate_hz,
        "success": episode.success == Success.YES,
        "outcome": episode.success.value,
        "task": episode.task,
        "dataset": episode.dataset,
        **told,
    }


def values_of(condition: Condition, facts: Iterable[Facts]) -> list[Any]:
    """Returns the value of a condition for every episode.

    Raises:
        UnknownNameError: If it asks for a field that no episode has.
        ConfigError: If values do not go together.
    """
    all_facts = list(facts)
    condition.check_fields({name for of in all_facts for name in of})
    return [condition(of) for of in all_facts]


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(entry) for entry in value)
    return value is None or isinstance(value, str | bool | int | float)
