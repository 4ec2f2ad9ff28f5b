"""What a person says about an episode afterwards: its outcome, its quality, and the like."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError
from robot_policy.data.curation.facts import MEASURED
from robot_policy.data.recording import SUCCESS, Recording
from robot_policy.data.store import EpisodeSummary

type Labels = Mapping[str, Any]
"""``success`` (yes, no, unknown), or any other name, to a text, a number or a truth value."""

OUTCOME = "success"
RESERVED = frozenset(MEASURED) - {OUTCOME}
"""Fields of an episode that are measured and not said."""


def parse_labels(words: Sequence[str], *, where: str) -> dict[str, Any]:
    """Reads labels as a person types them: ``success=no quality=poor score=0.5``.

    Raises:
        ConfigError: If one is not of that form, or its name or value will not do.
    """
    labels: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ConfigError("not a label", where=where, expected="NAME=VALUE", got=repr(word))
        labels[name] = _value(name, text)
    check_labels(labels, where=where)
    return labels


def check_labels(labels: Labels, *, where: object) -> None:
    """Checks names and values.

    Raises:
        ConfigError: If one will not do.
    """
    if not labels:
        raise ConfigError("no labels", where=where, expected="NAME=VALUE")
    for name, value in labels.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConfigError(
                "not a name of a label", where=where, expected="letters, digits and _", got=name
            )
        if name in RESERVED:
            raise ConfigError("this is measured, not labelled", where=where, got=name)
        if name == OUTCOME and value not in list(Success):
            raise ConfigError("not an outcome", where=where, got=value, valid=list(Success))
        if not isinstance(value, str | int | float | bool) or value != value:
            raise ConfigError("not a value of a label", where=where, got=f"{name}={value!r}")


def relabel_summary(episode: EpisodeSummary, labels: Labels) -> EpisodeSummary:
    """Returns the summary with these labels."""
    success, others = _split(episode.success, labels)
    return replace(episode, success=success, metadata={**episode.metadata, **others})


def relabel_recording(recording: Recording, labels: Labels) -> Recording:
    """Returns the recording with these labels, also in what frames say of the outcome."""
    success, others = _split(recording.success, labels)
    columns = dict(recording.columns)
    if OUTCOME in labels and SUCCESS in columns:
        last = np.zeros(len(recording), dtype=bool)
        last[-1] = success == Success.YES
        columns[SUCCESS] = last.reshape(columns[SUCCESS].shape).astype(columns[SUCCESS].dtype)
    return replace(
        recording,
        columns=columns,
        success=success,
        metadata={**recording.metadata, **others},
    )


def _split(before: Success, labels: Labels) -> tuple[Success, dict[str, Any]]:
    success = Success(labels[OUTCOME]) if OUTCOME in labels else before
    return success, {name: value for name, value in labels.items() if name != OUTCOME}


def _value(name: str, text: str) -> Any:
    if name == OUTCOME:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
