"""Recordings that hold everything a dataset may hold."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import Description, Feature, Recording

SPEC = PolicySpec(
    robot="some_arm",
    state=ArraySpec((3,), names=("x", "y", "z"), units=("m", "m", "m")),
    action=ArraySpec((2,), names=("dx", "gripper"), low=(-1.0, 0.0), high=(1.0, 1.0)),
    action_space=ActionSpace.EE_DELTA_POSE,
    dt_s=0.1,
)
RICH = Description(
    robot="some_arm",
    rate_hz=10.0,
    features={
        "observation.state": Feature("float64", (3,), ("x", "y", "z")),
        "action": Feature("float32", (2,), ("dx", "gripper")),
        "observation.images.front": Feature("uint8", (32, 48, 3), is_image=True),
        "observation.images.depth": Feature(
            "uint16", (24, 40, 1), is_image=True, lossless=True, info={"depth_unit": "mm"}
        ),
        "observation.images.mask": Feature("uint8", (20, 30, 3), is_image=True, lossless=True),
        "observation.stamp_ns": Feature("int64", (1,)),
        "observation.tactile": Feature("float32", (4, 5)),
        "observation.phase": Feature("string", (1,)),
        "observation.contact": Feature("bool", (3,)),
        "observation.counts": Feature("uint8", (2,), ("a", "b")),
        "observation.big": Feature("uint64", (1,)),
        "next.reward": Feature("float32", (1,)),
        "task": Feature("string", (1,)),
    },
    spec=SPEC,
    metadata={"source": "a test", "nested": {"list": [1, 2.5, None, "ü"]}},
)
LENGTHS = (7, 1, 4)


def smooth(shape: tuple[int, ...], phase: float) -> NDArray[np.uint8]:
    y, x, c = np.mgrid[: shape[0], : shape[1], : shape[2]]
    return (127 + 100 * np.sin(x / 15 + y / 20 + c + phase)).astype(np.uint8)


def recording(number: int, length: int) -> Recording:
    rng = np.random.default_rng(number)
    texts = [f"phase {i % 3} of ü{number}" for i in range(length)]
    tasks = [f"task {(number + (i > 2)) % 2}, “quoted”" for i in range(length)]
    return Recording(
        index=number,
        columns={
            "observation.state": rng.normal(size=(length, 3)),
            "action": rng.normal(size=(length, 2)).astype(np.float32),
            "observation.stamp_ns": 1_700_000_000_000_000_123
            + np.cumsum(rng.integers(1, 10**8, (length, 1)), axis=0),
            "observation.tactile": rng.normal(size=(length, 4, 5)).astype(np.float32),
            "observation.phase": np.array(texts, dtype=object)[:, None],
            "observation.contact": rng.random((length, 3)) > 0.5,
            "observation.counts": rng.integers(0, 256, (length, 2), dtype=np.uint8),
            "observation.big": rng.integers(2**63, 2**64 - 1, (length, 1), dtype=np.uint64),
            "next.reward": rng.normal(size=(length, 1)).astype(np.float32),
            "task": np.array(tasks, dtype=object)[:, None],
        },
        frames={
            "observation.images.front": np.stack(
                [smooth((32, 48, 3), 0.3 * i + number) for i in range(length)]
            ),
            "observation.images.depth": rng.integers(
                0, 2**16, (length, 24, 40, 1), dtype=np.uint16
            ),
            "observation.images.mask": rng.integers(0, 256, (length, 20, 30, 3), dtype=np.uint8),
        },
        task=tasks[0],
        success=list(Success)[number % 3],
        metadata={"seed": number, "operator": "ü", "nested": {"quality": [1, None]}},
        where=f"episode {number}",
    )


def assert_same(expected: Recording, got: Recording, *, colour_is_lossy: bool) -> None:
    assert len(got) == len(expected)
    assert (got.task, got.success) == (expected.task, expected.success)
    assert dict(got.metadata) == dict(expected.metadata)
    for key, values in expected.columns.items():
        there = got.columns[key]
        assert (there.dtype, there.shape) == (values.dtype, values.shape), key
        np.testing.assert_array_equal(there, values, err_msg=key)
    assert set(got.frames) == set(expected.frames)
    for key, frames in expected.frames.items():
        images = load_frames(got.frames[key], where=key)
        again = load_frames(got.frames[key], where=key)
        np.testing.assert_array_equal(images, again)
        assert images.dtype == frames.dtype
        if colour_is_lossy and key.endswith("front"):
            assert np.abs(images.astype(int) - np.asarray(frames)).mean() < 4
        else:
            np.testing.assert_array_equal(images, frames, err_msg=key)


def recordings() -> list[Recording]:
    return [recording(number, length) for number, length in enumerate(LENGTHS)]
