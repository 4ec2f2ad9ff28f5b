"""`robot-policy bench latency`: how long policies think, side by side."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from robot_policy.cli.sampling_options import parse_options
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import write_json
from robot_policy.core.observation import Observation, Windows
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.history import History
from robot_policy.runtime.policy_folder import PolicyFolder, PolicyKind

if TYPE_CHECKING:
    from robot_policy.core.policy import LoadedPolicy

_WARMUP = 5


@dataclass(frozen=True)
class LatencyConfig:
    """Time of one plan, for one robot and a growing number of candidates.

    Policies take turns, plan by plan, so that a slow spell of the machine hits all of them.
    """

    checkpoints: tyro.conf.Positional[tuple[Path, ...]]
    """Policy folders, checkpoint steps, training runs, exported policies."""
    candidates: tuple[int, ...] = (1, 16, 64)
    """Numbers N of candidates."""
    repetitions: int = 50
    """Plans per policy and number, after a warm-up that does not count."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    threads: tuple[int, ...] = (0,)
    """CPU threads of a policy, 0 for all; each number is a row of its own."""
    options: tuple[str, ...] = ()
    """How the checkpoints draw, as key=value: sample_steps=5, for example; exported policies draw
    as they were exported."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write the figures to this file.")] = None


def run(config: LatencyConfig) -> int:
    """Prints p50 and p99 per policy and number of candidates."""
    if not config.checkpoints:
        raise ConfigError("no checkpoint given", where="bench latency")
    if min((*config.candidates, config.repetitions), default=0) < 1 or not config.candidates:
        raise ConfigError("must be positive", where="--candidates and --repetitions")
    if min(config.threads, default=-1) < 0:
        raise ConfigError("must be 0 or more", where="--threads", got=config.threads)
    contestants = [
        _Contestant.load(path, config, threads=threads)
        for path in config.checkpoints
        for threads in config.threads
    ]
    rows = [row for count in config.candidates for row in _measure(contestants, count, config)]
    _show(rows)
    if config.json is not None:
        write_json(config.json, {"options": list(config.options), "rows": rows})
    return 0


@dataclass
class _Contestant:
    """A policy and the times of its plans.

    Attributes:
        wall_ms: Duration of every plan [ms].
        cpu_ms: What all threads of this process computed during it [ms]; other programs on the
            machine lengthen it less.
    """

    name: str
    threads: int
    policy: "LoadedPolicy"
    windows: Windows
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path, config: LatencyConfig, *, threads: int) -> "_Contestant":
        from robot_policy.checkpoint import load_policy

        words = config.options
        if words and PolicyFolder.find(path).kind != PolicyKind.CHECKPOINT:
            words = ()
        options = parse_options(words, checkpoint=path)
        policy = load_policy(path, device=config.device, options=options, threads=threads)
        return cls(str(path), threads, policy, _random_windows(policy.spec))

    def plan(self, count: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        self.policy.sample(self.windows, num_samples=count, generator=generator)
        self.wall_ms.append(1e3 * (time.perf_counter() - start_s))
        self.cpu_ms.append(1e3 * (time.process_time() - start_cpu_s))


def _measure(
    contestants: list[_Contestant], count: int, config: LatencyConfig
) -> list[dict[str, Any]]:
    for contestant in contestants:
        contestant.wall_ms, contestant.cpu_ms = [], []
    for repetition in range(_WARMUP + config.repetitions):
        for contestant in contestants:
            contestant.plan(count, repetition)
    rows: list[dict[str, Any]] = []
    for contestant in contestants:
        p50, p99 = np.percentile(contestant.wall_ms[_WARMUP:], [50, 99]).tolist()
        rows.append(
            {
                "checkpoint": contestant.name,
                "threads": contestant.threads,
                "candidates": count,
                "p50_ms": round(p50, 2),
                "p99_ms": round(p99, 2),
                "cpu_p50_ms": round(float(np.median(contestant.cpu_ms[_WARMUP:])), 2),
            }
        )
    return rows


def _random_windows(spec: PolicySpec) -> Windows:
    rng = np.random.default_rng(0)
    env = spec.environment_state
    history = History(spec)
    history.observe(
        Observation(
            stamp_ns=0,
            state=spec.state.sample(rng),
            environment_state=None if env is None else env.sample(rng),
            images={name: image.sample(rng) for name, image in spec.cameras.items()},
            instruction="lift the red cube",
        )
    )
    return history.windows()


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "candidates", "policy", "threads", "p50 [ms]", "p99 [ms]", "CPU [ms]", title="one plan"
    )
    for row in rows:
        table.add_row(
            str(row["candidates"]),
            row["checkpoint"],
            str(row["threads"] or "all"),
            *(f"{row[name]:.1f}" for name in ("p50_ms", "p99_ms", "cpu_p50_ms")),
        )
    Console().print(table)
