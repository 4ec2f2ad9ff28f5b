"""Mends robomimic files: attributes and masks in a copy of the file; the data stay as they are."""

import shutil
from pathlib import Path

import h5py
import numpy as np

from robot_policy.core.errors import ConfigError
from robot_policy.core.files import replacing
from robot_policy.data.formats.hdf5_file import group, naming, values
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.robomimic_layout import ABOUT, sorted_demos
from robot_policy.data.validation.checks.robomimic_counts import frame_counts


def mend_hdf5(path: Path, output: Path, dropped: set[int]) -> tuple[int, list[str]]:
    """Writes a copy without the dropped demonstrations.

    Returns:
        Number of demonstrations, and lines that tell what else changed.

    Raises:
        ConfigError: If no demonstration is left.
        DataError: If the file is damaged.
    """
    with replacing(output) as temporary:
        shutil.copyfile(path, temporary)
        with naming(path), h5py.File(temporary, "r+") as file:
            data = group(file, "data", where=path)
            demos = sorted_demos(data)
            if len(dropped) >= len(demos):
                raise ConfigError("no episode is left", where=path)
            ours = ABOUT in data.attrs
            _recount(data)
            gone = {demos[position] for position in dropped}
            if not ours:
                for name in gone:
                    del data[name]
                _recount(data)
            _clean_masks(file, there=set(demos) - gone)
        if ours and gone:
            # Ours are numbered without gaps, and refer to their frames by their names.
            _write_others(temporary, [i for i in range(len(demos)) if i not in dropped])
    freed = ["the space of what is left out is not freed; `h5repack` frees it"]
    return len(demos) - len(gone), freed if gone and not ours else []


def _recount(data: h5py.Group) -> None:
    total = 0
    for name in sorted_demos(data):
        demo = group(data, name, where=name)
        rows = frame_counts(demo)
        if "num_samples" in demo.attrs and len(set(rows.values())) == 1:
            count = next(iter(rows.values()))
            if demo.attrs["num_samples"] != count:
                demo.attrs["num_samples"] = count
        total += next(iter(rows.values()), 0)
    if "total" in data.attrs and data.attrs["total"] != total:
        data.attrs["total"] = np.int64(total)


def _clean_masks(file: h5py.File, *, there: set[str]) -> None:
    masks = file.get("mask")
    if not isinstance(masks, h5py.Group):
        return
    for mask in list(masks):
        node = masks.get(mask)
        if not isinstance(node, h5py.Dataset):
            continue
        members = values(node, where=f"mask/{mask}").reshape(-1).tolist()
        kept = [name for name in dict.fromkeys(members) if name in there]
        if kept != members:
            kind = node.dtype
            del masks[mask]
            texts = np.array([name.encode() for name in kept], dtype=object)
            masks.create_dataset(mask, data=texts.astype(kind) if kind.kind == "S" else texts)


def _write_others(path: Path, positions: list[int]) -> None:
    hdf5 = FORMATS["robomimic_hdf5"]
    reader = hdf5.open(path)
    with replacing(path) as temporary:
        temporary.unlink()
        writer = hdf5.create(temporary, reader.description)
        for position in positions:
            writer.add(reader.recording(position))
        writer.close()
