"""Damage that the HDF5 library says nothing about, or never comes back from."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from robot_policy.core.errors import DataError
from robot_policy.data.formats.hdf5_file import dataset, open_hdf5, values
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.source_options import SourceOptions

READ = """
import sys
from robot_policy.core.errors import DataError
from robot_policy.data.formats.hdf5_file import attributes, open_hdf5
from pathlib import Path
try:
    with open_hdf5(Path(sys.argv[1])) as file:
        attributes(file)
except DataError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("length", [0, 1 << 40])
def test_a_heap_that_has_no_end(length: int, tmp_path: Path) -> None:
    """In a process of its own: without the guard, nothing but a signal would end it."""
    path = tmp_path / "set.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "a text of any length"
        file.attrs["more"] = "more"
    data = bytearray(path.read_bytes())
    place = data.index(b"GCOL") + 16
    data[place : place + 16] = bytes(8) + length.to_bytes(8, "little")
    path.write_bytes(data)
    run = subprocess.run(
        [sys.executable, "-c", READ, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 1
    assert f"{path}: not a readable HDF5 file; got a heap at {place - 16}" in run.stderr


def test_large_and_many_heaps_are_read(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    texts = {f"text {i}": f"{i} " * (1 + 700 * i % 20_000) for i in range(60)}
    with h5py.File(path, "w") as file:
        for name, text in texts.items():
            file.create_group(name).attrs["text"] = text
    with open_hdf5(path) as file:
        assert {name: file[name].attrs["text"] for name in file} == texts


def test_chunks_that_the_file_has_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    with h5py.File(path, "w") as file:
        sparse = file.create_dataset("sparse", (8, 2), "f4", chunks=(2, 2), fletcher32=True)
        sparse[:6] = 1.0
        file.create_dataset("never written", (8, 2), "f4")
        file["whole"] = np.ones((8, 2))
        file["empty"] = np.ones((0, 2))
    with open_hdf5(path) as file:
        assert values(dataset(file, "whole", where=path), where=path).sum() == 16
        assert values(dataset(file, "empty", where=path), where=path).size == 0
    for name, expected in (("sparse", "expected 4; got 3"), ("never written", "got 0")):
        with (
            pytest.raises(DataError, match=rf"/{name}: parts are missing.*{expected}"),
            open_hdf5(path) as file,
        ):
            values(dataset(file, name, where=path), where=path)


def test_demonstrations_that_hold_more_than_the_first(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    with h5py.File(path, "w") as file:
        for number in range(3):
            demo = file.create_group(f"data/demo_{number}")
            demo["actions"] = np.zeros((4, 3))
            demo["obs/robot0_eef_pos"] = np.zeros((4, 3))
            if number:
                demo["dones"] = np.zeros(4)
    reader = FORMATS["robomimic_hdf5"].open(path, SourceOptions())
    assert list(reader.left_out) == ["dones: in demo_1 and not in demo_0"]
