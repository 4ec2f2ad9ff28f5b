"""A pipeline's way back undoes its way in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.observation import ACTION, STATE
from robot_policy.core.transforms import Normalize, Pipeline

VALUES = st.floats(-100, 100, width=32)


def statistics_of(data: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "min": data.min(0),
        "max": data.max(0),
        "mean": data.mean(0),
        "std": data.std(0),
    }


@given(arrays(np.float32, (20, 3), elements=VALUES), st.sampled_from(["min_max", "mean_std"]))
def test_invert_undoes_apply(actions: np.ndarray, mode: str) -> None:
    statistics = {ACTION: statistics_of(actions)}
    pipeline = Pipeline([Normalize.from_statistics(statistics, key=ACTION, mode=mode)])
    scaled = pipeline.apply({ACTION: actions})[ACTION]
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(pipeline.invert(scaled), actions, atol=1e-3)
    if mode == "min_max":
        assert np.abs(scaled).max() <= 1.0 + 1e-3


def test_a_constant_entry_is_shifted_and_not_scaled() -> None:
    data = np.array([[0.0, 5.0], [2.0, 5.0]], np.float32)
    normalize = Normalize.from_statistics({STATE: statistics_of(data)}, key=STATE, mode="min_max")
    np.testing.assert_allclose(normalize.apply({STATE: data})[STATE], [[-1, 0], [1, 0]])
    far = normalize.apply({STATE: np.array([[1.0, 5.5]])})[STATE]
    np.testing.assert_allclose(far, [[0.0, 0.5]])


def test_other_features_and_inputs_are_left_alone() -> None:
    data = np.array([[1.0], [3.0]], np.float32)
    pipeline = Pipeline(
        [Normalize.from_statistics({STATE: statistics_of(data)}, key=STATE, mode="mean_std")]
    )
    sample = {STATE: data, ACTION: data}
    result = pipeline.apply(sample)
    assert result[ACTION] is data
    assert sample[STATE] is data
    np.testing.assert_array_equal(pipeline.invert(data), data)


def test_a_pipeline_comes_back_from_json() -> None:
    rng = np.random.default_rng(0)
    statistics = {k: statistics_of(rng.normal(size=(9, 4))) for k in (STATE, ACTION)}
    pipeline = Pipeline(
        [
            Normalize.from_statistics(statistics, key=STATE, mode="mean_std"),
            Normalize.from_statistics(statistics, key=ACTION, mode="min_max"),
        ]
    )
    again = Pipeline.from_json(pipeline.to_json(), statistics)
    sample = {k: rng.normal(size=(2, 4)).astype(np.float32) for k in (STATE, ACTION)}
    for key, value in pipeline.apply(sample).items():
        np.testing.assert_array_equal(again.apply(sample)[key], value)


def test_missing_or_bad_statistics_are_named() -> None:
    with pytest.raises(ConfigError, match=r"action: no statistics; valid: observation.state"):
        Normalize.from_statistics({STATE: {}}, key=ACTION, mode="min_max")
    with pytest.raises(ConfigError, match="'max'"):
        Normalize.from_statistics({ACTION: {"min": np.zeros(1)}}, key=ACTION, mode="min_max")
    stats = {ACTION: {"min": np.array([np.nan]), "max": np.ones(1)}}
    with pytest.raises(ConfigError, match="not finite"):
        Normalize.from_statistics(stats, key=ACTION, mode="min_max")
    with pytest.raises(UnknownNameError, match="did you mean 'min_max'"):
        Normalize.from_statistics({}, key=ACTION, mode="minmax")
    with pytest.raises(UnknownNameError, match="valid: normalize"):
        Pipeline.from_json([{"kind": "nomralize"}], {})
