"""Where the episodes of a bag begin and end: by a topic that says so, or by silence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from robot_policy.core.errors import DataError
from robot_policy.data.rosbag.bag import Bag

_SHORTEST = 2
_SYSTEM = {"/clock", "/diagnostics", "/parameter_events", "/rosout", "/tf", "/tf_static"}


@dataclass(frozen=True, slots=True)
class Span:
    """An episode in a bag.

    Attributes:
        bag: Where it is.
        start_ns: Log time of its first message [ns].
        end_ns: Of its last one, inclusive.
        task: Instruction text, empty where the bag does not say.
    """

    bag: Bag
    start_ns: int
    end_ns: int
    task: str = ""


def by_gaps(bag: Bag, topic: str, *, gap_s: float, after_s: float) -> list[Span]:
    """Cuts where a topic is silent for longer than `gap_s`.

    Args:
        bag: Bag.
        topic: Of the joint states.
        gap_s: Longest silence within an episode [s].
        after_s: How long after its last message the commands still belong to an episode [s].

    Returns:
        Spans of two messages at least.
    """
    times = bag.log_times(topic)
    if not len(times):
        return []
    cuts = np.flatnonzero(np.diff(times) > round(gap_s * 1e9)) + 1
    parts = [part for part in np.split(times, cuts) if len(part) >= _SHORTEST]
    after_ns = round(min(after_s, gap_s) * 1e9)
    return [Span(bag, int(part[0]), int(part[-1]) + after_ns) for part in parts]


def by_topic(bag: Bag, topic: str, *, end_ns: int) -> list[Span]:
    """Cuts as a topic says.

    A Bool begins an episode when it is true and ends it when it is false; a String begins one, with
    itself as the task, and ends one when it is empty. Any other message begins one. Another begin
    ends the episode before.

    Args:
        bag: Bag.
        topic: Which.
        end_ns: End of the last episode, if nothing ends it [ns].

    Raises:
        DataError: If a message is damaged.
    """
    spans: list[Span] = []
    begun: tuple[int, str] | None = None
    for raw in bag.messages([topic]):
        begins, task = _meaning(bag.decode(raw))
        if begun is not None and raw.log_ns > begun[0]:
            spans.append(Span(bag, begun[0], raw.log_ns - 1, begun[1]))
        begun = (raw.log_ns, task) if begins else None
    if begun is not None and end_ns > begun[0]:
        spans.append(Span(bag, begun[0], end_ns, begun[1]))
    return spans


def _meaning(message: Any) -> tuple[bool, str]:
    """Whether a message begins an episode, and its task."""
    data = getattr(message, "data", None)
    if isinstance(data, str):
        return bool(data.strip()), data.strip()
    if isinstance(data, bool | np.bool_):
        return bool(data), ""
    return True, ""


def find_topic(bag: Bag, name: str) -> str | None:
    """Returns the topic of a bag that a robot description calls `name`, in whatever namespace.

    Raises:
        DataError: If there are several.
    """
    absolute = name if name.startswith("/") else f"/{name}"
    if absolute in bag.types:
        return absolute
    ends = [topic for topic in bag.types if topic.endswith(absolute)]
    if len(ends) > 1:
        raise DataError(f"several topics {name!r}", where=bag.path, got=", ".join(sorted(ends)))
    return ends[0] if ends else None


def require_topic(bag: Bag, name: str) -> str:
    """Like `find_topic`.

    Raises:
        DataError: Also if there is none.
    """
    topic = find_topic(bag, name)
    if topic is None:
        raise DataError(f"no topic {name!r}", where=bag.path, valid=sorted(bag.types))
    return topic


def unused(bags: Sequence[Bag], used: set[str]) -> list[str]:
    """One line per topic that is not read, but for those that tell of the system, not the task."""
    counts: dict[str, int] = {}
    for bag in bags:
        for topic, count in bag.counts.items():
            counts[topic] = counts.get(topic, 0) + count
    return [
        f"{t}: {n} messages" for t, n in sorted(counts.items()) if n and t not in used | _SYSTEM
    ]
