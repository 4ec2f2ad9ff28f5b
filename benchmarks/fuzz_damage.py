"""Ways to damage a dataset on disk. Each says what it did, or None where it does not apply."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

type Rng = np.random.Generator
type Damage = Callable[[Path, Rng], str | None]

TEXT_FILES = (".json", ".jsonl", ".yaml")
_HEAD_BYTES = 512
_LARGEST_BLOCK = 4096


def truncated(root: Path, rng: Rng) -> str | None:
    """A file ends too soon."""
    file = _pick(rng, _files(root))
    size = file.stat().st_size
    kept = int(rng.integers(0, max(size, 1)))
    with file.open("r+b") as stream:
        stream.truncate(kept)
    return f"{_name(file, root)} cut off after {kept} of {size} bytes"


def bit_flipped(root: Path, rng: Rng) -> str | None:
    """Up to eight bits of a file are wrong, half of the time where its structure is."""
    file = _pick(rng, _files(root))
    data = bytearray(file.read_bytes())
    if not data:
        return None
    places = [_place(rng, len(data)) for _ in range(int(rng.integers(1, 9)))]
    for place in places:
        data[place] ^= 1 << int(rng.integers(0, 8))
    file.write_bytes(data)
    return f"{_name(file, root)}: bits flipped at {sorted(places)}"


def overwritten(root: Path, rng: Rng) -> str | None:
    """A block of a file is zero, or something else, or is there twice."""
    file = _pick(rng, _files(root))
    data = file.read_bytes()
    if len(data) < 2:
        return None
    start = _place(rng, len(data))
    end = min(len(data), start + int(rng.integers(1, _LARGEST_BLOCK)))
    way = int(rng.integers(3))
    block = (bytes(end - start), rng.bytes(end - start), data[start:end] * 2)[way]
    file.write_bytes(data[:start] + block + data[end:])
    return f"{_name(file, root)}: bytes {start} to {end} {('zero', 'random', 'twice')[way]}"


def renamed(root: Path, rng: Rng) -> str | None:
    """A file, or a folder with all that is in it, is gone, or is called something else."""
    if root.is_file():
        target = root.with_name("other")
        root.rename(target)
        return "the file is gone"
    paths = sorted(path for path in root.rglob("*") if not path.is_symlink())
    path = _pick(rng, paths)
    way = int(rng.integers(4))
    if way == 0:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"{_name(path, root)} removed"
    if way == 1:
        target = path.with_name(f"{path.name}.bak")
    elif way == 2:
        digits = [i for i, c in enumerate(path.name) if c.isdigit()]
        if not digits:
            return None
        place = digits[-1]
        digit = str((int(path.name[place]) + 1) % 10)
        target = path.with_name(path.name[:place] + digit + path.name[place + 1 :])
    else:
        target = root / f"moved_{path.name}"
    if target.exists():
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    path.rename(target)
    return f"{_name(path, root)} renamed to {_name(target, root)}"


def reordered(root: Path, rng: Rng) -> str | None:
    """Files, blocks, lines, rows or demonstrations have changed places."""
    ways: list[Damage] = [_files_exchanged, _blocks_exchanged, _lines_shuffled, _rows_shuffled]
    return _one_of([*ways, _demos_exchanged], root, rng)


def edited(root: Path, rng: Rng) -> str | None:
    """What a file says is changed, and the file is well-formed all the same."""
    return _one_of([_text_edited, _table_edited, _hdf5_edited, _bag_edited], root, rng)


DAMAGES: dict[str, Damage] = {
    "truncated": truncated,
    "bit_flipped": bit_flipped,
    "overwritten": overwritten,
    "renamed": renamed,
    "reordered": reordered,
    "edited": edited,
}
KEEPS_CHECKSUMS = frozenset({"reordered", "edited", "renamed"})
"""Damage after which a file may well be whole: what it holds then is what it was made to hold."""


def _one_of(ways: list[Damage], root: Path, rng: Rng) -> str | None:
    for number in rng.permutation(len(ways)).tolist():
        told = ways[number](root, rng)
        if told is not None:
            return told
    return None


def _files_exchanged(root: Path, rng: Rng) -> str | None:
    by_kind: dict[str, list[Path]] = {}
    for file in _files(root):
        by_kind.setdefault(file.suffix, []).append(file)
    several = [files for files in by_kind.values() if len(files) > 1]
    if not several:
        return None
    files = several[int(rng.integers(len(several)))]
    one, two = (files[i] for i in rng.choice(len(files), 2, replace=False).tolist())
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    return f"{_name(one, root)} and {_name(two, root)} exchanged"


def _blocks_exchanged(root: Path, rng: Rng) -> str | None:
    file = _pick(rng, _files(root))
    data = file.read_bytes()
    size = int(rng.integers(1, max(2, min(_LARGEST_BLOCK, len(data) // 3))))
    if len(data) < 3 * size:
        return None
    first = int(rng.integers(0, len(data) - 2 * size))
    second = int(rng.integers(first + size, len(data) - size + 1))
    blocks = data[:first], data[first : first + size], data[first + size : second]
    last = data[second : second + size]
    file.write_bytes(blocks[0] + last + blocks[2] + blocks[1] + data[second + size :])
    return f"{_name(file, root)}: {size} bytes at {first} and {second} exchanged"


def _lines_shuffled(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix in TEXT_FILES]
    if not files:
        return None
    file = _pick(rng, files)
    lines = file.read_bytes().splitlines(keepends=True)
    if len(lines) < 2:
        return None
    one, two = rng.choice(len(lines), 2, replace=False).tolist()
    lines[one], lines[two] = lines[two], lines[one]
    file.write_bytes(b"".join(lines))
    return f"{_name(file, root)}: lines {one + 1} and {two + 1} exchanged"


def _rows_shuffled(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix == ".parquet"]
    if not files:
        return None
    file = _pick(rng, files)
    table = pq.read_table(file)
    if len(table) < 2:
        return None
    pq.write_table(table.take(pa.array(rng.permutation(len(table)))), file)
    return f"{_name(file, root)}: rows shuffled"


def _demos_exchanged(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix == ".hdf5"]
    if not files:
        return None
    with h5py.File(files[0], "r+") as file:
        one, two = rng.choice(len(file["data"]), 2, replace=False).tolist()
        names: list[str] = []
        if rng.random() < 0.5:
            file["data"][f"demo_{one}"].visititems(
                lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None
            )
        name = f"/{_text(rng, names)}" if names else ""
        places = [f"data/demo_{number}{name}" for number in (one, two)]
        file.move(places[0], "kept")
        file.move(places[1], places[0])
        file.move("kept", places[1])
    return f"{places[0]} and {places[1]} exchanged"


_VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 1000, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.5, 1e300,
    float("nan"), float("inf"), "", "x", "0", "../../x", "/etc/passwd", "ü" * 50, "{", "{0.x}",
    [], [1], [[1]], ["a", "b"], {}, {"a": 1}, "a" * 5000, "\n", "\u2028", "\ud800",
]  # fmt: skip


def _text_edited(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix in TEXT_FILES]
    if not files:
        return None
    file = _pick(rng, files)
    if file.suffix == ".jsonl":
        lines = file.read_text().splitlines()
        number = int(rng.integers(len(lines)))
        data = json.loads(lines[number])
        told, data = _edit(data, rng)
        lines[number] = json.dumps(data)
        file.write_text("\n".join(lines) + "\n")
    elif file.suffix == ".yaml":
        data = yaml.safe_load(file.read_text())
        told, data = _edit(data, rng)
        file.write_text(yaml.safe_dump(data))
    else:
        data = json.loads(file.read_text())
        told, data = _edit(data, rng)
        file.write_text(json.dumps(data))
    return f"{_name(file, root)}: {told}"


def _edit(data: Any, rng: Rng) -> tuple[str, Any]:
    """Changes, removes or doubles one node; text that holds JSON is looked into."""
    places = list(_nodes(data))
    path = places[int(rng.integers(len(places)))]
    if not path:
        value = _value(rng)
        return f"all of it is {value!r}"[:200], value
    parent = data
    for key in path[:-1]:
        parent = parent[key]
    key, there = path[-1], parent[path[-1]]
    if isinstance(there, str) and there.startswith("{") and rng.random() < 0.9:
        told, inner = _edit(json.loads(there), rng)
        parent[key] = json.dumps(inner)
        return f"in {key}: {told}", data
    way = rng.random()
    if way < 0.25:
        del parent[key]
        return f"{path} removed", data
    if way < 0.35 and isinstance(there, int):
        parent[key] = there + int(rng.integers(-2, 3))
        return f"{path} {there} -> {parent[key]}", data
    if way < 0.45 and isinstance(parent, dict):
        name = _text(rng, ["", "x", "a/b", "..", "ü", "action", str(key) + "_"])
        parent[name] = parent.pop(key)
        return f"{path} called {name!r}", data
    parent[key] = _value(rng)
    return f"{path} {str(there)[:50]!r} -> {str(parent[key])[:50]!r}", data


def _nodes(data: Any, path: tuple[Any, ...] = ()) -> Any:
    yield path
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _nodes(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data[:20]):
            yield from _nodes(value, (*path, index))


def _table_edited(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix == ".parquet"]
    if not files:
        return None
    file = _pick(rng, files)
    table = pq.read_table(file)
    name = _text(rng, table.column_names)
    index = table.column_names.index(name)
    way = int(rng.integers(5))
    if way == 0:
        table = table.drop_columns([name])
        told = "removed"
    elif way == 1:
        names = list(table.column_names)
        names[index] += "_"
        table = table.rename_columns(names)
        told = "renamed"
    elif way == 2:
        table = table.slice(0, int(rng.integers(0, len(table) + 1)))
        told = f"and all others: {len(table)} rows left"
    elif way == 3:
        table = pa.concat_tables([table, table.slice(0, 1)])
        told = "and all others: the first row once more at the end"
    else:
        cells = table.column(index).to_pylist()
        cells[int(rng.integers(len(cells)))] = value = _cell(rng, cells[0])
        try:
            array = pa.array(cells, table.schema.field(index).type)
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            cells = [str(cell) for cell in cells]
            array = pa.array(cells)
        table = table.set_column(index, name, array)
        told = f"has {str(value)[:40]!r} in a cell"
    pq.write_table(table, file)
    return f"{_name(file, root)}: {name} {told}"


def _cell(rng: Rng, like: Any) -> Any:
    if rng.random() < 0.2:
        return None
    if isinstance(like, bool):
        return not like
    if isinstance(like, int):
        return int(_pick_value(rng, [-1, 0, 1, 7, 2**31, 2**62]))
    if isinstance(like, float):
        return float(_pick_value(rng, [-1.0, 1e300, float("nan"), float("inf"), 0.1]))
    if isinstance(like, list) and like:
        return _pick_value(rng, [[], like * 2, like[:-1], [_cell(rng, like[0]), *like[1:]]])
    if isinstance(like, dict):
        return _pick_value(rng, [{}, {**like, "bytes": b"x"}, {**like, "bytes": None}])
    return _pick_value(rng, ["", "x", "{", "ü", "[1]", "null"])


def _hdf5_edited(root: Path, rng: Rng) -> str | None:
    files = [f for f in _files(root) if f.suffix == ".hdf5"]
    if not files:
        return None
    with h5py.File(files[0], "r+") as file:
        nodes: list[Any] = [file]
        file.visititems(lambda name, node: nodes.append(node))
        node = nodes[int(rng.integers(len(nodes)))]
        attributes = list(node.attrs)
        if attributes and rng.random() < 0.7:
            return _attribute_edited(node, _text(rng, attributes), rng)
        if node.name == "/":
            return None
        name, way = node.name, int(rng.integers(4))
        if way == 0 or isinstance(node, h5py.Group):
            del file[name]
            return f"{name} removed"
        if way == 1:
            file.move(name, f"{name}_")
            return f"{name} renamed"
        values = node[()]
        del file[name]
        if way == 2:
            file[name] = values[:-1]
            return f"{name} has a row less"
        file[name] = values.astype("S") if values.dtype.kind != "S" else np.zeros(len(values))
        return f"{name} is of another type"


def _attribute_edited(node: Any, name: str, rng: Rng) -> str:
    value = node.attrs[name]
    if rng.random() < 0.2:
        del node.attrs[name]
        return f"{node.name}: attribute {name} removed"
    if isinstance(value, str) and value.startswith("{") and rng.random() < 0.8:
        told, data = _edit(json.loads(value), rng)
        node.attrs[name] = json.dumps(data)
        return f"{node.name}: attribute {name}: {told}"
    others: list[Any] = [
        -1,
        0,
        3,
        2**62,
        0.5,
        "x",
        "{",
        "[]",
        b"\xff",
        np.zeros(3),
        np.zeros((2, 2)),
    ]
    node.attrs[name] = other = _pick_value(rng, others)
    return f"{node.name}: attribute {name} is {other!r}"


def _bag_edited(root: Path, rng: Rng) -> str | None:
    """Messages of a file are missing, there twice, at other times, or of another topic."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    files = [f for f in _files(root) if f.suffix == ".mcap"]
    if not files:
        return None
    file = _pick(rng, files)
    with file.open("rb") as stream:
        reader = make_reader(stream)
        messages = list(reader.iter_messages())
        metadata = list(reader.iter_metadata())
    number, way = int(rng.integers(len(messages))), int(rng.integers(5))
    with file.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2", library="a fuzzer")
        channels: dict[int, int] = {}
        for index, (schema, channel, message) in enumerate(messages):
            if schema is None:
                return None
            if channel.id not in channels:
                kind = writer.register_schema(schema.name, schema.encoding, schema.data)
                topic = channel.topic
                if way == 4 and channel.id == messages[number][1].id:
                    topic += "_"
                channels[channel.id] = writer.register_channel(
                    topic, channel.message_encoding, kind, dict(channel.metadata)
                )
            mine = index == number
            data = (
                message.data[: int(rng.integers(len(message.data)))]
                if mine and way == 3
                else message.data
            )
            time = message.log_time + (10**9 if mine and way == 2 else 0)
            for _ in range({0: 0, 1: 2}.get(way, 1) if mine else 1):
                writer.add_message(channels[channel.id], time, data, time, index)
        for record in metadata:
            writer.add_metadata(record.name, dict(record.metadata))
        writer.finish()
    told = ("removed", "doubled", "a second later", "cut off", "and its like on another topic")[way]
    return f"{_name(file, root)}: a message on {messages[number][1].topic} {told}"


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(path for path in root.rglob("*") if path.is_file())


def _name(path: Path, root: Path) -> str:
    return path.name if path == root else str(path.relative_to(root))


def _place(rng: Rng, size: int) -> int:
    """A byte; half of the time near the beginning or the end."""
    way = rng.random()
    if way < 0.25:
        return int(rng.integers(0, min(size, _HEAD_BYTES)))
    if way < 0.5:
        return size - 1 - int(rng.integers(0, min(size, _HEAD_BYTES)))
    return int(rng.integers(0, size))


def _pick(rng: Rng, paths: list[Path]) -> Path:
    return paths[int(rng.integers(len(paths)))]


def _text(rng: Rng, texts: list[str]) -> str:
    return texts[int(rng.integers(len(texts)))]


def _pick_value(rng: Rng, values: list[Any]) -> Any:
    return values[int(rng.integers(len(values)))]


def _value(rng: Rng) -> Any:
    return _pick_value(rng, _VALUES)
