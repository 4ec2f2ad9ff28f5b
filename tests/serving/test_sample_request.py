"""A question arrives as it was asked, whole, and no larger than the server takes."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from robot_policy.core.observation import Windows
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.serving import wire
from robot_policy.serving.generator_state import from_message, to_message
from robot_policy.serving.sample_request import Limits, SampleRequest, message_bytes
from robot_policy.serving.wire import WireError


@pytest.fixture
def spec(policy: Any) -> PolicySpec:
    return replace(policy.spec, environment_state=ArraySpec((3,)), joins_prefix=True)


def everything(windows: Windows, spec: PolicySpec, *, rows: int = 2) -> Windows:
    """Windows in which every field says something."""
    rng = np.random.default_rng(1)
    return replace(
        windows,
        environment_state=rng.standard_normal((rows, spec.history, 3), dtype=np.float32),
        prefix=rng.standard_normal((rows, spec.horizon, 7), dtype=np.float32),
        prefix_weights=rng.random((rows, spec.horizon), dtype=np.float32),
    )


def asked(windows: Windows) -> SampleRequest:
    generators = tuple(np.random.default_rng(row) for row in range(windows.batch_size))
    return SampleRequest(windows, 5, generators, return_generators=True)


def test_every_field_of_the_windows_travels(windows: Windows, spec: PolicySpec) -> None:
    sent = everything(windows, spec)
    message = wire.decode(wire.encode(asked(sent).to_message()))
    got = SampleRequest.from_message(message, spec, Limits())
    for field in fields(Windows):
        before, after = getattr(sent, field.name), getattr(got.windows, field.name)
        assert before is not None, f"this test has to know of {field.name}"
        np.testing.assert_equal(after, before, err_msg=field.name)
    assert (got.num_samples, got.return_generators) == (5, True)
    assert [g.integers(2**60) for g in got.generators] == [
        np.random.default_rng(row).integers(2**60) for row in range(2)
    ]


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_the_largest_question_fits(windows: Windows, spec: PolicySpec, rows: int) -> None:
    def many(array: np.ndarray) -> np.ndarray:
        return np.concatenate([array[:1]] * rows)

    base = replace(
        windows,
        state=many(windows.state),
        past=many(windows.past),
        valid=many(windows.valid),
        past_valid=many(windows.past_valid),
        images={"wrist": many(windows.images["wrist"])},
        instructions=("x" * 2000,) * rows,
    )
    message = asked(everything(base, spec, rows=rows)).to_message()
    assert len(wire.encode(message)) <= message_bytes(spec, rows=rows)


def test_a_generator_goes_on_where_it_was() -> None:
    generator = np.random.default_rng(3)
    generator.standard_normal(7)
    generator.integers(0, 9, dtype=np.int32)
    copy = from_message(wire.decode(wire.encode(to_message(generator))), where="test")
    for _ in range(3):
        assert copy.integers(0, 9, dtype=np.int32) == generator.integers(0, 9, dtype=np.int32)
        assert copy.standard_normal() == generator.standard_normal()
    twins = [from_message(to_message(generator), where="test").spawn(1)[0] for _ in range(2)]
    assert twins[0].random() == twins[1].random(), "children are determined too"


def test_another_kind_of_generator_is_not_sent() -> None:
    with pytest.raises(WireError, match="expected PCG64; got Philox"):
        to_message(np.random.Generator(np.random.Philox(1)))
