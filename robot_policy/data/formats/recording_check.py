"""Whether a recording holds what the dataset is said to hold, before it is written."""

import json
from typing import Any

from robot_policy.core.errors import DataError, SpecError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.data.finite import require_finite
from robot_policy.data.recording import REWARD, Description, Feature, Recording

_MUST_BE_FINITE = (STATE, ACTION, ENVIRONMENT_STATE, REWARD)


def check_recording(recording: Recording, description: Description) -> None:
    """Checks an episode before it is stored.

    Raises:
        SpecError: If a feature is missing or has another shape or type than described, or the
            metadata are not JSON.
        DataError: If it has no frame, or a value that policies learn from is not finite.
    """
    where = recording.where
    length = len(recording)
    if length == 0:
        raise DataError("an episode without a frame", where=where)
    for key, feature in description.features.items():
        there: Any = recording.frames if feature.is_image else recording.columns
        if key not in there:
            raise SpecError(f"no feature {key!r}", where=where, valid=there)
        _check(there[key], feature, length, f"{where}, {key}")
    for key in _MUST_BE_FINITE:
        if key in recording.columns and recording.columns[key].dtype.kind == "f":
            values = recording.columns[key]
            names = description.features[key].names if key in description.features else ()
            require_finite(values, where=where, feature=key, names=names)
    try:
        json.dumps(dict(recording.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError("metadata is not JSON", where=where, got=error) from error


def _check(values: Any, feature: Feature, length: int, where: str) -> None:
    expected = (length, *feature.shape)
    if tuple(values.shape) != expected or values.dtype != feature.numpy_dtype:
        raise SpecError(
            "does not fit the description",
            where=where,
            expected=f"{feature.dtype} {expected}",
            got=f"{values.dtype} {tuple(values.shape)}",
        )
