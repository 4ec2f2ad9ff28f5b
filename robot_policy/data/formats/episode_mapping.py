"""Episodes, as policies see them, to recordings, as datasets store them, and back."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError, SpecError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, IMAGES, STATE, image_key
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.finite import require_finite
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import (
    DONE,
    INTERVENTION,
    POLICY_ACTION,
    REWARD,
    STAMP,
    SUCCESS,
    Description,
    Feature,
    Recording,
)


def description_of(spec: PolicySpec, *, interventions: bool = False) -> Description:
    """Returns the description of a dataset of episodes of `spec`.

    Args:
        spec: What every episode holds.
        interventions: Whether episodes tell where a person drove instead of a policy.

    Raises:
        SpecError: If a state or an action is not 1-D float32.
    """
    vectors = {STATE: spec.state, ACTION: spec.action}
    if spec.environment_state is not None:
        vectors[ENVIRONMENT_STATE] = spec.environment_state
    features: dict[str, Feature] = {}
    for key, array in vectors.items():
        if len(array.shape) != 1 or array.dtype != "float32":
            raise SpecError(
                "cannot be stored",
                where=key,
                expected="1-D float32",
                got=(array.shape, array.dtype),
            )
        features[key] = Feature("float32", array.shape, array.names)
    for camera, image in spec.cameras.items():
        features[image_key(camera)] = Feature("uint8", image.shape, is_image=True)
    for key, dtype in ((STAMP, "int64"), (REWARD, "float32"), (DONE, "bool"), (SUCCESS, "bool")):
        features[key] = Feature(dtype, (1,))
    if interventions:
        features[INTERVENTION] = Feature("bool", (1,))
        features[POLICY_ACTION] = Feature("float32", spec.action.shape, spec.action.names)
    plain = replace(spec, history=1, horizon=1, past=0, needs_instruction=False)
    return Description(spec.robot, 1.0 / spec.dt_s, features, spec=plain)


def spec_of(description: Description, *, where: object) -> PolicySpec:
    """Returns the spec of a dataset: what it declares, or what its features tell.

    Raises:
        DataError: If state or action are missing or not 1-D, or differ from what is declared.
    """
    features = description.features
    for key in (STATE, ACTION):
        if key not in features:
            raise DataError(f"no feature {key!r}", where=where, valid=features)
    privileged = features.get(ENVIRONMENT_STATE)
    told = PolicySpec(
        robot=description.robot,
        state=_vector_spec(STATE, features[STATE], where),
        action=_vector_spec(ACTION, features[ACTION], where),
        # LeRobot's own robots command joint positions, and its datasets do not say.
        action_space=ActionSpace.JOINT_POSITION,
        dt_s=1.0 / description.rate_hz,
        environment_state=None
        if privileged is None
        else _vector_spec(ENVIRONMENT_STATE, privileged, where),
        cameras={
            camera: image_spec(*features[key].shape[:2])
            for camera, key in camera_keys(description).items()
        },
    )
    spec = description.spec
    if spec is None:
        return told
    for label in ("state", "action"):
        here, there = getattr(spec, label).shape, getattr(told, label).shape
        if here != there:
            raise DataError(f"{label} differs from the spec", where=where, expected=here, got=there)
    if abs(spec.dt_s - told.dt_s) > 1e-6:
        raise DataError("another dt_s than in the spec", where=where, expected=spec.dt_s)
    return spec


def camera_keys(description: Description) -> dict[str, str]:
    """Camera name to feature key, for colour cameras."""
    return {
        key.removeprefix(f"{IMAGES}.").rpartition("/")[2]: key
        for key, feature in description.images.items()
        if not feature.is_depth
    }


def recording_of(episode: Episode, index: int) -> Recording:
    """Returns the episode with everything a dataset stores of it."""
    done = np.arange(len(episode)) == len(episode) - 1
    columns: dict[str, NDArray[Any]] = {STATE: episode.state, ACTION: episode.actions}
    if episode.environment_state is not None:
        columns[ENVIRONMENT_STATE] = episode.environment_state
    if episode.policy_actions is not None:
        columns[POLICY_ACTION] = episode.policy_actions
    scalars: dict[str, NDArray[Any]] = {
        STAMP: episode.stamps_ns,
        REWARD: episode.rewards.astype(np.float32, copy=False),
        DONE: done,
        SUCCESS: done & (episode.success == Success.YES),
    }
    if episode.intervention is not None:
        scalars[INTERVENTION] = episode.intervention
    return Recording(
        index=index,
        columns=columns | {key: values[:, None] for key, values in scalars.items()},
        frames={image_key(camera): frames for camera, frames in episode.images.items()},
        task=episode.task,
        success=episode.success,
        metadata=episode.metadata,
        where=f"episode {index}",
    )


def episode_of(
    recording: Recording, description: Description, spec: PolicySpec, *, cameras: Collection[str]
) -> Episode:
    """Returns what policies see of a recording, checked.

    Args:
        recording: Of a dataset.
        description: Of that dataset.
        spec: Of it, too.
        cameras: Whose images to decode.

    Raises:
        DataError: If a value is not finite, times do not increase, or an image is damaged.
    """
    where, columns = recording.where, recording.columns
    specs = {STATE: spec.state, ACTION: spec.action}
    if spec.environment_state is not None:
        specs[ENVIRONMENT_STATE] = spec.environment_state
    vectors: dict[str, NDArray[np.float32]] = {}
    for key, array in specs.items():
        require_finite(columns[key], where=where, feature=key, names=array.names)
        vectors[key] = columns[key].astype(np.float32, copy=False)
    rewards = columns.get(REWARD, np.zeros((len(recording), 1)))[:, 0]
    require_finite(rewards, where=where, feature=REWARD)
    driven, wanted = columns.get(INTERVENTION), columns.get(POLICY_ACTION)
    if wanted is not None:
        require_finite(wanted, where=where, feature=POLICY_ACTION, names=spec.action.names)
    keys = camera_keys(description)
    try:
        return Episode(
            stamps_ns=_stamps(recording, description.rate_hz),
            state=vectors[STATE],
            actions=vectors[ACTION],
            task=recording.task,
            rewards=rewards.astype(np.float32),
            success=recording.success,
            environment_state=vectors.get(ENVIRONMENT_STATE),
            images={
                camera: load_frames(recording.frames[keys[camera]], where=where)
                for camera in cameras
            },
            metadata=recording.metadata,
            intervention=None if driven is None else driven[:, 0].astype(np.bool_),
            policy_actions=None if wanted is None else wanted.astype(np.float32, copy=False),
        )
    except SpecError as error:
        raise DataError("not a valid episode", where=where, got=error) from error


def _stamps(recording: Recording, rate_hz: float) -> NDArray[np.int64]:
    if STAMP in recording.columns:
        return recording.columns[STAMP][:, 0].astype(np.int64)
    return np.round(np.arange(len(recording)) * (1e9 / rate_hz)).astype(np.int64)


def _vector_spec(key: str, feature: Feature, where: object) -> ArraySpec:
    if len(feature.shape) != 1 or feature.dtype == "string":
        raise DataError(
            "only 1-D states and actions are read", where=f"{where}, {key}", got=feature.shape
        )
    return ArraySpec(shape=feature.shape, names=feature.names)
