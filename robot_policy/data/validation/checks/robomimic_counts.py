"""Counts and masks of a robomimic file, against its demonstrations."""

from collections.abc import Iterator

import h5py
import numpy as np

from robot_policy.data.formats.hdf5_file import group, open_hdf5, values
from robot_policy.data.formats.robomimic_layout import sorted_demos
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.checks.lerobot_lengths import LENGTH
from robot_policy.data.validation.checks.lerobot_totals import TOTAL
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity

MASK = Fault(
    "mask-mismatch",
    Severity.ERROR,
    "a mask names demonstrations that are not there, or one twice",
    "--fix takes them out of the mask",
    mended=True,
)
RAGGED = Fault(
    "ragged-episode",
    Severity.ERROR,
    "the parts of a demonstration have different numbers of frames",
    "record it again; --fix --drop undecodable leaves it out",
)
HDF5 = frozenset({"robomimic_hdf5"})


class RobomimicCounts(Check):
    """Looks at shapes and attributes; reads no data but the masks."""

    faults = (TOTAL, LENGTH, MASK, RAGGED)
    formats = HDF5

    def begin(self) -> Iterator[Finding]:
        """Looks at all demonstrations."""
        path = self.subject.path
        with open_hdf5(path) as file:
            data = group(file, "data", where=path)
            demos = sorted_demos(data)
            frames = 0
            for position, name in enumerate(demos):
                demo = group(data, name, where=path)
                rows = frame_counts(demo)
                told = demo.attrs.get("num_samples")
                if len(set(rows.values())) > 1:
                    found = ", ".join(f"{name} {count}" for name, count in _differing(rows).items())
                    yield Finding(RAGGED, Place(name, position), found)
                elif rows and told is not None and told != (there := next(iter(rows.values()))):
                    place = Place(name, position, feature="num_samples")
                    yield Finding(LENGTH, place, f"{told} frames, expected {there}")
                frames += next(iter(rows.values()), 0)
            # robosuite's own recordings have no total.
            if "total" in data.attrs and data.attrs["total"] != frames:
                place = Place("data", feature="total")
                yield Finding(TOTAL, place, f"{data.attrs['total']}, expected {frames}")
            yield from _masks(file, set(demos))


def frame_counts(demo: h5py.Group) -> dict[str, int]:
    """Rows of the parts of a demonstration that have one per frame."""
    found: dict[str, int] = {}
    for name in ("actions", "rewards", "dones", "states"):
        node = demo.get(name)
        if isinstance(node, h5py.Dataset) and node.shape:
            found[name] = node.shape[0]
    for folder in ("obs", "extra"):
        node = demo.get(folder)
        if not isinstance(node, h5py.Group):
            continue
        for name in node:
            child = node.get(name)
            if isinstance(child, h5py.Dataset) and child.shape:
                found[f"{folder}/{name}"] = child.shape[0]
    return found


def _differing(rows: dict[str, int]) -> dict[str, int]:
    """Those that have another number than most, and one that has that."""
    numbers, counts = np.unique(list(rows.values()), return_counts=True)
    usual = numbers[counts.argmax()]
    other = {name: count for name, count in rows.items() if count != usual}
    return {next(name for name, count in rows.items() if count == usual): int(usual)} | other


def _masks(file: h5py.File, demos: set[str]) -> Iterator[Finding]:
    masks = file.get("mask")
    if not isinstance(masks, h5py.Group):
        return
    for mask in masks:
        data = masks.get(mask)
        if not isinstance(data, h5py.Dataset):
            continue
        members = values(data, where=f"mask/{mask}").reshape(-1).tolist()
        unknown = [name for name in members if name not in demos]
        if unknown:
            found = f"{unknown[0]!r} is not there ({len(unknown)} in all)"
            yield Finding(MASK, Place(f"mask/{mask}"), found)
        if len(set(members)) < len(members):
            yield Finding(MASK, Place(f"mask/{mask}"), "a demonstration is named twice")
