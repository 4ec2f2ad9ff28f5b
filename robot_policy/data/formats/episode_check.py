"""Whether an episode is what it is said to be, before it is stored."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.finite import require_finite
from robot_policy.data.recording import REWARD


def check_episode(episode: Episode, spec: PolicySpec, *, where: str) -> None:
    """Checks that an episode is what `spec` says and can be stored.

    Raises:
        SpecError: If a shape, a type, the cameras or the metadata are wrong.
        DataError: If a value is not finite.
    """
    vectors = {STATE: (spec.state, episode.state), ACTION: (spec.action, episode.actions)}
    if (spec.environment_state is None) != (episode.environment_state is None):
        has = episode.environment_state is not None
        raise SpecError(
            "must be there in every episode or in none",
            where=f"{where}, {ENVIRONMENT_STATE}",
            got="there" if has else "missing",
        )
    if spec.environment_state is not None and episode.environment_state is not None:
        vectors[ENVIRONMENT_STATE] = (spec.environment_state, episode.environment_state)
    for key, (array_spec, values) in vectors.items():
        _check_array(array_spec, values, where=f"{where}, {key}")
        require_finite(values, where=where, feature=key, names=array_spec.names)
    require_finite(episode.rewards, where=where, feature=REWARD)
    if set(episode.images) != set(spec.cameras):
        raise SpecError(
            "other cameras", where=where, expected=sorted(spec.cameras), got=sorted(episode.images)
        )
    for camera, image in spec.cameras.items():
        _check_array(image, episode.images[camera], where=f"{where}, {image_key(camera)}")
    _check_metadata(episode.metadata, where=where)


def _check_array(spec: ArraySpec, values: NDArray[Any], *, where: str) -> None:
    if values.shape[1:] != spec.shape or values.dtype != np.dtype(spec.dtype):
        raise SpecError(
            "does not fit the spec",
            where=where,
            expected=f"{spec.dtype} (T, {', '.join(map(str, spec.shape))})",
            got=f"{values.dtype} {values.shape}",
        )


def _check_metadata(metadata: Mapping[str, Any], *, where: str) -> None:
    try:
        json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError("metadata is not JSON", where=where, got=error) from error
