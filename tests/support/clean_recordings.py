"""Recordings with which nothing is wrong, and datasets of them, for faults to be put into."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.episode import Success
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.recording import DONE, REWARD, STAMP, SUCCESS, Description, Feature
from robot_policy.data.recording import Recording as Rec

NAMES = ("x", "y", "z", "gripper")
CAMERA = "observation.images.front"
LENGTHS = (24, 20, 30)
RATE_HZ = 10.0
_LOW, _HIGH = (-1.0, -1.0, -1.0, 0.0), (1.0, 1.0, 1.0, 1.0)
_VECTORS = {
    "observation.state": Feature("float32", (4,), NAMES),
    "action": Feature("float32", (4,), NAMES),
}
_SCALARS = {
    STAMP: Feature("int64", (1,)),
    REWARD: Feature("float32", (1,)),
    DONE: Feature("bool", (1,)),
    SUCCESS: Feature("bool", (1,)),
    "observation.tactile": Feature("float32", (2, 3)),
}
SPEC = PolicySpec(
    robot="some_arm",
    state=ArraySpec((4,), names=NAMES),
    action=ArraySpec((4,), names=NAMES, low=_LOW, high=_HIGH),
    action_space=ActionSpace.JOINT_POSITION,
    dt_s=1 / RATE_HZ,
)
BLIND = Description("some_arm", RATE_HZ, {**_VECTORS, **_SCALARS}, spec=SPEC)
"""Without images."""
SEEING = replace(
    BLIND,
    features={**_VECTORS, CAMERA: Feature("uint8", (32, 48, 3), is_image=True), **_SCALARS},
    spec=replace(SPEC, cameras={"front": image_spec(32, 48)}),
)


def recording(number: int, length: int) -> Rec:
    """Moves smoothly, with a gripper that follows its command."""
    t = np.arange(length)
    phase = 0.9 * number
    position = 0.6 * np.sin(0.15 * t[:, None] + phase + np.arange(3))
    command = (t >= length // 2).astype(np.float64)
    closed = np.clip((t - length // 2) / 5, 0, 1)
    y, x, c = np.mgrid[:32, :48, :3]
    images = [127 + 60 * np.sin(x / 15 + y / 20 + c + 0.2 * i + phase) for i in t]
    done = t == length - 1
    return Rec(
        index=number,
        columns={
            "observation.state": np.column_stack([position, closed]).astype(np.float32),
            "action": np.column_stack([position * 1.1, command]).astype(np.float32),
            STAMP: (1_700_000_000_000_000_000 + t * 100_000_000)[:, None],
            REWARD: done.astype(np.float32)[:, None],
            DONE: done[:, None],
            SUCCESS: done[:, None],
            "observation.tactile": np.cos(
                0.1 * t[:, None, None] + np.arange(6).reshape(2, 3) + phase
            ).astype(np.float32),
        },
        frames={CAMERA: np.array(images).astype(np.uint8)},
        task="lift the cube",
        success=Success.YES,
        metadata={"seed": number},
        where=f"episode {number}",
    )


def recordings() -> list[Rec]:
    return [recording(number, length) for number, length in enumerate(LENGTHS)]


def write(
    path: Path, name: str, *, images: bool = True, given: Sequence[Rec] | None = None
) -> Path:
    """Writes a dataset; without images, it has no camera."""
    writer = FORMATS[name].create(path, SEEING if images else BLIND)
    for one in recordings() if given is None else given:
        writer.add(one if images else replace(one, frames={}))
    writer.close()
    return path


def changed(episode: int, key: str, change: Callable[[Any], Any]) -> list[Rec]:
    """Recordings of which one has another column, or other frames."""
    found = recordings()
    one = found[episode]
    if key in one.frames:
        frames = {**one.frames, key: change(np.array(one.frames[key]))}
        found[episode] = replace(one, frames=frames)
    else:
        columns = {**one.columns, key: change(one.columns[key].copy())}
        found[episode] = replace(one, columns=columns)
    return found
