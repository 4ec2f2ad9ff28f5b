"""`robot-policy collect TASK --output DIR`: demonstrations of a scripted expert in the twin."""

import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import FlagCreatePairsOff, Positional

from robot_policy.cli.collect_language_options import TalkOptions
from robot_policy.cli.progress import progress_bar
from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import require_new_folder, write_json
from robot_policy.data.formats.registry import FORMATS

if TYPE_CHECKING:
    from sim.collect import CollectionSettings, Collector

FORMAT = "lerobot_v3"


@dataclass(frozen=True)
class CollectConfig:
    """Record demonstrations of a scripted expert in the twin."""

    task: Positional[str]
    """Task of the twin: lift, can, square, stack, recall or recall-count."""
    output: Path
    """New folder for the dataset, in LeRobot v3.0 format."""
    episodes: int = 100
    """Episodes to keep."""
    seed: int = 0
    """First seed; one episode per seed. `eval` starts at 100000."""
    workers: int = 2
    """Processes; the dataset does not depend on how many."""
    noise: float = 0.1
    """Noise on the commands, as a fraction of the largest one."""
    quality: str = "expert"
    """How well the task is done: expert, sloppy, or mixed (half of each)."""
    only_successes: FlagCreatePairsOff[bool] = False
    """Drop failed episodes and take the next seeds instead; the default for expert."""
    keep_failures: FlagCreatePairsOff[bool] = False
    """Keep failed episodes; the default for sloppy and mixed."""
    cameras: tuple[str, ...] = ()
    """Cameras to record, as the robot description names them: agentview, wrist."""
    image_size: tuple[int, int] | None = None
    """Height and width of the images; by default what the robot description says."""
    robot: str = "panda_twin"
    """Name or path of the robot description."""
    resume: FlagCreatePairsOff[bool] = False
    """Go on with a stopped collection of the same settings."""
    language: FlagCreatePairsOff[bool] = False
    """Demonstrations given by talking instead: sentences from the standard input, typed or out of a
    speech recogniser, are executed and recorded."""
    talk: TalkOptions = field(default_factory=TalkOptions)
    """For --language."""
    json: Path | None = None
    """Also write what was collected, and how fast, to this file."""


@dataclass
class _Tally:
    """What has been handed to the writer in this run."""

    episodes: int = 0
    frames: int = 0
    successes: int = 0
    start_s: float = field(default_factory=time.perf_counter)

    def add(self, episode: Episode) -> None:
        self.episodes += 1
        self.frames += len(episode)
        self.successes += episode.success == Success.YES


def run(config: CollectConfig) -> int:
    """Collects, prints a summary, and says what was kept if Ctrl-C stops it.

    Returns:
        0, or 130 after Ctrl-C.
    """
    if config.language:
        return _talk(config)
    settings = _settings(config)
    if config.episodes < 1:
        raise ConfigError("too small", where="--episodes", expected=">= 1", got=config.episodes)
    before = _resumed(config, settings) if config.resume else []
    if not config.resume:
        require_new_folder(config.output)
    tally = _Tally()
    missing = config.episodes - len(before)
    if missing <= 0:
        print(f"{config.output}: {len(before)} episodes, nothing to add")
        return 0
    try:
        dropped = _collect(config, settings, before, tally)
    except KeyboardInterrupt:
        print(f"stopped; {_kept(config)}", file=sys.stderr)
        return 130
    _report(config, settings, tally, kept_before=len(before), dropped=dropped)
    return 0


def _talk(config: CollectConfig) -> int:
    from robot_policy.cli.collect_language import run_language
    from sim.registry import TASKS

    TASKS[config.task]  # refuses an unknown one before anything is started
    return run_language(
        config.talk,
        task=config.task,
        output=config.output,
        episodes=config.episodes,
        seed=config.seed,
        robot=config.robot,
        cameras=config.cameras,
        image_size=config.image_size,
        resume=config.resume,
    )


def _settings(config: CollectConfig) -> "CollectionSettings":
    from sim.collect import CollectionSettings

    if config.only_successes and config.keep_failures:
        raise ConfigError("--only-successes and --keep-failures contradict each other")
    keep = config.keep_failures or (config.quality != "expert" and not config.only_successes)
    return CollectionSettings(
        task=config.task,
        seed=config.seed,
        noise=config.noise,
        quality=config.quality,
        keep_failures=keep,
        robot=config.robot,
    )


def _resumed(config: CollectConfig, settings: "CollectionSettings") -> list[int]:
    """Returns the seeds that are there already, checked to come from the same settings."""
    path = config.output
    if not path.exists():
        return []
    if not FORMATS[FORMAT].detect(path):
        raise DataError("no collection to resume", where=path)
    seeds: list[int] = []
    wanted = asdict(settings)
    for number, episode in enumerate(FORMATS[FORMAT].read(path, cameras=())):
        where = f"{path}, episode {number}"
        found = episode.metadata.get("collection")
        if not isinstance(found, dict) or not isinstance(episode.metadata.get("seed"), int):
            raise DataError("not from `collect`, cannot be resumed", where=where)
        for key, value in wanted.items():
            if found.get(key) != value:
                raise ConfigError(
                    f"another {key} than the collection to resume",
                    where=where,
                    expected=found.get(key),
                    got=value,
                )
        seeds.append(episode.metadata["seed"])
    return seeds


def _collect(
    config: CollectConfig, settings: "CollectionSettings", before: list[int], tally: _Tally
) -> int:
    """Returns how many failed episodes were dropped."""
    from sim.collect import Collector

    count = config.episodes - len(before)
    with Collector(
        settings,
        workers=min(config.workers, count) if config.workers > 0 else config.workers,
        cameras=config.cameras,
        image_size=config.image_size,
    ) as collector:
        episodes = collector.episodes(count, next_seed=before[-1] + 1 if before else None)
        with progress_bar(f"collecting {config.task}", count) as advance:
            counted = _counted(episodes, tally, collector, advance)
            append = config.resume and config.output.exists()
            FORMATS[FORMAT].write(config.output, counted, collector.spec, append=append)
        return collector.dropped


def _counted(
    episodes: Iterable[Episode],
    tally: _Tally,
    collector: "Collector",
    advance: Callable[[str], None],
) -> Generator[Episode]:
    for episode in episodes:
        yield episode
        # Only now is it on disk.
        tally.add(episode)
        rate = tally.frames / (time.perf_counter() - tally.start_s)
        note = f"{rate:.0f} steps/s"
        advance(f"{note}, {collector.dropped} failures dropped" if collector.dropped else note)


def _kept(config: CollectConfig) -> str:
    if not FORMATS[FORMAT].detect(config.output):
        return "nothing was kept"
    count = sum(1 for _ in FORMATS[FORMAT].read(config.output, cameras=()))
    return f"{config.output} holds {count} episodes; --resume goes on"


def _report(
    config: CollectConfig,
    settings: "CollectionSettings",
    tally: _Tally,
    *,
    kept_before: int,
    dropped: int,
) -> None:
    seconds = time.perf_counter() - tally.start_s
    total = kept_before + tally.episodes
    print(
        f"{config.output}: {total} episodes"
        + (f" ({tally.episodes} new)" if kept_before else "")
        + f", {tally.frames} frames in {seconds:.1f} s ({tally.frames / seconds:.0f} steps/s), "
        f"{tally.successes} of {tally.episodes} successful"
        + (f"; {dropped} failed and were replaced" if dropped else "")
    )
    if config.json is not None:
        result = {
            "output": str(config.output),
            "settings": asdict(settings),
            "cameras": list(config.cameras),
            "workers": config.workers,
            "episodes": total,
            "new_episodes": tally.episodes,
            "frames": tally.frames,
            "successes": tally.successes,
            "dropped": dropped,
            "seconds": seconds,
            "steps_per_s": tally.frames / seconds,
        }
        write_json(config.json, result)
