"""`robot-policy data convert SOURCE TARGET --to FORMAT`: from one dataset format to another."""

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import write_json
from robot_policy.data.convert.conversion import Conversion, Converted
from robot_policy.data.formats.source_options import SourceOptions, StateRenderer


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a dataset to another format; stopped and run again, it goes on."""

    source: Positional[Path]
    """Dataset of any known format."""
    target: Positional[Path]
    """Folder or file to write."""
    to: str
    """Format to convert to."""
    images: Literal["video", "lossless"] = "video"
    """How LeRobot datasets store images: compressed as video, or as they are."""
    allow_loss: bool = False
    """Convert even if the target cannot hold everything."""
    robot: str = ""
    """Robot description (name or file) that says what the topics of a bag mean."""
    task: str = ""
    """Instruction text for episodes that have none."""
    gap_s: float = 1.0
    """Silence of the joint states after which another episode of a bag begins [s]."""
    episode_topic: str = ""
    """Topic of a bag that says when episodes begin and end, instead of silence."""
    freshness_s: float | None = None
    """Oldest measurement that an observation may be made of; as the robot description says."""
    recover: bool = False
    """Read recordings that were cut off as far as they go."""
    si_actions: bool = False
    """Turn actions of robosuite's controllers into SI units, gripper 0 open to 1 closed."""
    render: str = ""
    """Make observations of robosuite's recorded states in the twin of this task (`lift`, …)."""
    cameras: tuple[str, ...] = ()
    """Cameras of the twin to render with --render."""
    image_size: tuple[int, int] | None = None
    """Height and width of rendered images; as the robot description says."""
    json: Path | None = None
    """Also write what was done to this file."""


def run(config: ConvertConfig) -> int:
    """Converts, prints what was done, and says how to go on if Ctrl-C stops it.

    Returns:
        0, or 130 after Ctrl-C.
    """
    if config.gap_s <= 0 or (config.freshness_s is not None and config.freshness_s <= 0):
        raise ConfigError("times must be positive", where="--gap-s, --freshness-s")
    with _renderer(config) as renderer:
        conversion = Conversion(
            config.source,
            config.target,
            to=config.to,
            options=_options(config, renderer),
            images=config.images,
        )
        planned = conversion.plan
        for note in planned.notes:
            print(f"note: {note}", file=sys.stderr)
        if config.allow_loss:
            for loss in planned.losses:
                print(f"lost: {loss}", file=sys.stderr)
        start_s = time.perf_counter()
        try:
            done = _run(conversion, config)
        except KeyboardInterrupt:
            print(f"stopped; the same command goes on with {config.target}", file=sys.stderr)
            return 130
    _report(config, conversion, done, seconds=time.perf_counter() - start_s)
    return 0


def _options(config: ConvertConfig, renderer: StateRenderer | None) -> SourceOptions:
    return SourceOptions(
        robot=config.robot,
        task=config.task,
        recover=config.recover,
        gap_s=config.gap_s,
        episode_topic=config.episode_topic,
        freshness_s=config.freshness_s,
        si_actions=config.si_actions,
        renderer=renderer,
    )


@contextmanager
def _renderer(config: ConvertConfig) -> Generator[StateRenderer | None]:
    """Yields the twin, if it is asked for; only then is the simulator loaded."""
    if not config.render:
        if config.cameras or config.image_size:
            raise ConfigError("--cameras and --image-size belong to --render")
        yield None
        return
    from sim.state_renderer import TwinRenderer

    renderer = TwinRenderer(
        config.render,
        robot=config.robot or "panda_twin",
        cameras=config.cameras,
        image_size=config.image_size,
    )
    try:
        yield renderer
    finally:
        renderer.close()


def _run(conversion: Conversion, config: ConvertConfig) -> Converted:
    total = len(conversion.positions)
    frames, start_s = 0, time.perf_counter()
    with progress_bar(f"converting to {config.to}", total) as advance:
        shown = 0

        def report(done: int, count: int) -> None:
            nonlocal frames, shown
            frames += count
            rate = frames / (time.perf_counter() - start_s)
            while shown < done:
                shown += 1
                advance(f"{rate:.0f} frames/s")

        try:
            return conversion.run(allow_loss=config.allow_loss, report=report)
        except OSError as error:  # a full disk, a folder that may not be written to
            raise DataError(
                "cannot be written", where=config.target, got=error, hint="the same command goes on"
            ) from error


def _report(
    config: ConvertConfig, conversion: Conversion, done: Converted, *, seconds: float
) -> None:
    size = _bytes(config.source)
    new = done.episodes - done.before
    print(
        f"{config.target}: {done.episodes} episodes"
        + (f" ({new} in this run)" if done.before else "")
        + f", {done.frames} frames in {seconds:.1f} s ({done.frames / seconds:.0f} frames/s)"
    )
    if config.json is not None:
        planned = conversion.plan
        summary: dict[str, Any] = {
            "source": str(config.source),
            "target": str(config.target),
            "to": config.to,
            "episodes": done.episodes,
            "new_episodes": new,
            "frames": done.frames,
            "seconds": seconds,
            "source_bytes": size,
            "target_bytes": _bytes(config.target),
            "lost": list(planned.losses),
            "notes": list(planned.notes),
        }
        write_json(config.json, summary)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
