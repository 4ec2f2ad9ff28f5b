"""One damaged dataset: what reading it and the commands make of it, and whether that is right."""

import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_damage import DAMAGES, KEEPS_CHECKSUMS, TEXT_FILES
from fuzz_sets import FuzzSet

from robot_policy.cli.main import main
from robot_policy.core.errors import RobotPolicyError
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import Recording

COMMANDS_TRIED = ("info", "convert", "validate")
_LONGEST_LINE = 4000
_LOG_PREFIXES = ("robot-policy: ", "note: ", "lost: ")


class Outcome(StrEnum):
    """What came of a damaged dataset; the last four must not happen."""

    REFUSED = "refused"
    EQUAL = "equal"
    REPORTED = "reported"
    AS_IT_STANDS = "as_it_stands"
    LOST = "lost_silently"
    ALTERED = "altered_despite_checksum"
    TRACEBACK = "traceback"
    UNCLEAR = "no_clear_line"


WRONG = (Outcome.LOST, Outcome.ALTERED, Outcome.TRACEBACK, Outcome.UNCLEAR)


@dataclass(frozen=True)
class Content:
    """Everything that was read.

    Attributes:
        recordings: With their images in memory.
        features: Keys.
        reported: Lines about what was not read.
    """

    recordings: tuple[Recording, ...]
    features: tuple[str, ...]
    reported: tuple[str, ...]


@dataclass(frozen=True)
class Whole:
    """What an undamaged dataset holds.

    Attributes:
        content: As it is read.
        converted: As it is read after a conversion.
        lost: How many losses the conversion tells.
    """

    content: Content
    converted: Content
    lost: int


@dataclass(frozen=True)
class Case:
    """One damage to one dataset; the same numbers give the same damage."""

    of: FuzzSet
    kind: str
    number: int
    seed: int

    def rng(self) -> np.random.Generator:
        """Draws everything of this case."""
        words = f"{self.of.name} {self.kind} {self.number}".encode()
        return np.random.default_rng([self.seed, *words])


@dataclass(frozen=True)
class Finding:
    """What one way of reading made of a case.

    Attributes:
        way: `read`, or the command.
        outcome: See `Outcome`.
        detail: The line, the traceback, or what differs.
    """

    way: str
    outcome: Outcome
    detail: str


def read_content(path: Path, options: SourceOptions) -> Content:
    """Reads everything, images included."""
    reader = detect_format(path).open(path, options)
    recordings = []
    for position in range(len(reader)):
        recording = reader.recording(position)
        frames = {k: load_frames(f, where=k) for k, f in recording.frames.items()}
        recordings.append(replace(recording, frames=frames))
    return Content(tuple(recordings), tuple(reader.description.features), tuple(reader.left_out))


def damage(case: Case, folder: Path) -> tuple[Path, str] | None:
    """Copies the dataset of a case and damages the copy.

    Returns:
        Where it is now, and what was done; None if this damage does not apply.
    """
    source = case.of.root or case.of.path
    copied = folder / source.name
    shutil.copytree(source, copied) if source.is_dir() else shutil.copy(source, copied)
    told = DAMAGES[case.kind](copied, case.rng())
    return None if told is None else (case.of.inside(copied), told)


def run_case(
    case: Case, whole: Whole, *, folder: Path, ways: Sequence[str] = ("read", "info", "convert")
) -> tuple[str, list[Finding]]:
    """Damages a dataset and reads it in several ways, all in this process.

    Args:
        case: What to do.
        whole: What the dataset holds before.
        folder: For the copy; nothing is left in it.
        ways: `read`, and names of data commands.

    Returns:
        What was done to it, and what came of that.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        there = damage(case, Path(temporary))
        if there is None:
            return "", []
        path, told = there
        judged = [
            _read(case, told, whole, path)
            if way == "read"
            else _command(case, told, whole, path, way, Path(temporary))
            for way in ways
        ]
    return told, judged


def _read(case: Case, told: str, whole: Whole, path: Path) -> Finding:
    try:
        got = read_content(path, case.of.options)
    except RobotPolicyError as error:
        return _refused("read", f"robot-policy: {error}\n")
    except Exception:
        return Finding("read", Outcome.TRACEBACK, traceback.format_exc())
    new = [line for line in got.reported if line not in whole.content.reported]
    return _judged("read", case, told, whole.content, got, reported=bool(new))


def _command(case: Case, told: str, whole: Whole, path: Path, way: str, folder: Path) -> Finding:
    target = folder / "target"
    robot = ("--robot", case.of.options.robot) if case.of.options.robot else ()
    words = {
        "info": ["info", str(path)],
        "validate": ["validate", str(path), *robot],
        "convert": convert_words(case.of, path, target),
    }[way]
    status, out, err = run_captured(lambda: main(["data", *words]), folder)
    if status == 2:
        return _refused(way, err)
    if status not in (0, 1) or (status == 1 and way != "validate"):
        return Finding(way, Outcome.TRACEBACK, f"status {status}: {err}")
    if "Traceback" in err or (err and not _only_known_lines(err)):
        return Finding(way, Outcome.UNCLEAR, err)
    if way == "validate":
        return Finding(way, Outcome.REPORTED if status else Outcome.EQUAL, out[-300:])
    if way == "info":
        recordings = whole.content.recordings
        expected = f"{len(recordings)} ({sum(map(len, recordings))} frames)"
        if expected in out or "not read" in out or _changes_counts(case):
            return Finding(way, Outcome.EQUAL, "")
        return Finding(way, Outcome.LOST, out)
    try:
        got = read_content(target, SourceOptions())
    except RobotPolicyError as error:
        lerobots = case.of.name.startswith("lerobot") and case.of.target.startswith("lerobot")
        if lerobots and ".mp4" in str(error):  # compressed video is copied as it is
            return Finding(way, Outcome.AS_IT_STANDS, str(error))
        return Finding(way, Outcome.LOST, f"the result is not readable: {error}")
    lost = [line for line in err.splitlines() if line.startswith("lost: ")]
    return _judged(way, case, told, whole.converted, got, reported=len(lost) > whole.lost)


def convert_words(of: FuzzSet, path: Path, target: Path) -> list[str]:
    """Arguments of `data` for a conversion."""
    return ["convert", str(path), str(target), "--to", of.target, *of.arguments]


def _changes_counts(case: Case) -> bool:
    """Whether fewer messages may be what was recorded: in the bag of a robot, they are."""
    return bool(case.of.options.robot) and case.kind in KEEPS_CHECKSUMS


def _refused(way: str, err: str) -> Finding:
    lines = err.splitlines()
    last = lines[-1] if lines else ""
    clear = (
        last.startswith("robot-policy: ")
        and len(last) < _LONGEST_LINE
        and _only_known_lines(err)
        and sum(line.startswith("robot-policy: ") for line in lines) == 1
    )
    return Finding(way, Outcome.REFUSED if clear else Outcome.UNCLEAR, last if clear else err)


def _only_known_lines(err: str) -> bool:
    return all(line.startswith(_LOG_PREFIXES) for line in err.splitlines() if line.strip())


def _judged(
    way: str, case: Case, told: str, whole: Content, got: Content, *, reported: bool
) -> Finding:
    """Compares what was read with what was there before the damage."""
    missing = _missing(whole, got)
    if reported:
        return Finding(way, Outcome.REPORTED, missing)
    if missing:
        if _changes_counts(case) or (case.of.name, case.kind) == ("view", "edited"):
            return Finding(way, Outcome.AS_IT_STANDS, missing)
        return Finding(way, Outcome.LOST, missing)
    altered = _altered(whole, got)
    if not altered:
        return Finding(way, Outcome.EQUAL, "")
    text = told.partition(":")[0].endswith(TEXT_FILES)  # which have no checksums
    harmed = case.of.checked and case.kind not in KEEPS_CHECKSUMS and not text
    if harmed and altered.startswith("values"):
        return Finding(way, Outcome.ALTERED, altered)
    return Finding(way, Outcome.AS_IT_STANDS, altered)


def _missing(whole: Content, got: Content) -> str:
    """Says what there is less of than before; empty if nothing."""
    if len(got.recordings) < len(whole.recordings):
        return f"{len(got.recordings)} of {len(whole.recordings)} episodes"
    lost = set(whole.features) - set(got.features)
    if lost and len(got.features) < len(whole.features):
        return f"features {sorted(lost)}"
    # Episodes that have changed places are all there.
    before, after = (sorted(map(len, c.recordings), reverse=True) for c in (whole, got))
    shorter = [(a, b) for a, b in zip(after, before, strict=False) if a < b]
    return f"{shorter[0][0]} of {shorter[0][1]} frames of an episode" if shorter else ""


def _altered(whole: Content, got: Content) -> str:
    """Says what differs; begins with ``values`` where a checksum would have shown it."""
    if len(got.recordings) > len(whole.recordings) or set(got.features) - set(whole.features):
        return "more than before"
    if [*map(len, got.recordings)] != [*map(len, whole.recordings)]:
        return "other lengths of episodes"
    for number, (before, after) in enumerate(zip(whole.recordings, got.recordings, strict=True)):
        for key, values in before.columns.items():
            if key in whole.features and not _same(values, after.columns.get(key)):
                return f"values of {key} in episode {number}"
        for key, frames in before.frames.items():
            there = after.frames.get(key)
            if not _same(frames, there):
                changed = np.asarray(frames) != there
                if np.shape(frames) == np.shape(there) and not np.asarray(there)[changed].any():
                    return f"black images of {key}"  # the checksum of zeros is zero
                compressed = not (frames.dtype != np.uint8 or key.endswith("mask"))
                what = "compressed images" if compressed else "values"
                return f"{what} of {key} in episode {number}"
        told = (before.task, before.success, dict(before.metadata))
        if told != (after.task, after.success, dict(after.metadata)):
            return f"task, outcome or metadata of episode {number}"
    return ""


def _same(one: Any, two: Any) -> bool:
    if two is None or np.shape(one) != np.shape(two):
        return False
    return np.array_equal(one, two)


def run_captured(call: Callable[[], int], folder: Path) -> tuple[int, str, str]:
    """Runs a command in this process; what libraries in C print is caught, too.

    Returns:
        Status, -1 after an exception, and both outputs.
    """
    kept = os.dup(1), os.dup(2)
    files = [(folder / name).open("w+") for name in (".out", ".err")]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        for number, file in enumerate(files, 1):
            os.dup2(file.fileno(), number)
        try:
            with redirect_stdout(files[0]), redirect_stderr(files[1]):
                status = call()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except Exception:
            traceback.print_exc(file=files[1])
            status = -1
    finally:
        for file in files:
            file.close()
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
    out, err = ((folder / name).read_text(errors="replace") for name in (".out", ".err"))
    return status, out, err


def ways_of(case: Case) -> tuple[str, ...]:
    """Reading, and one of the commands in turn."""
    return ("read", COMMANDS_TRIED[case.number % len(COMMANDS_TRIED)])


def whole(of: FuzzSet, folder: Path) -> Whole:
    """Reads and converts a dataset before any damage."""
    target = folder / f"whole_{of.name}"
    words = ["data", *convert_words(of, of.path, target)]
    status, out, err = run_captured(lambda: main(words), folder)
    if status:
        raise RuntimeError(f"{of.name} cannot be converted: {out} {err}")
    lost = sum(line.startswith("lost: ") for line in err.splitlines())
    return Whole(read_content(of.path, of.options), read_content(target, SourceOptions()), lost)
