"""`robot-policy bench latency`: how long a policy thinks."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from robot_policy.core.errors import ConfigError
from robot_policy.core.files import write_json


@dataclass(frozen=True)
class LatencyConfig:
    """Time of one plan, for one robot and a growing number of candidates."""

    checkpoint: tyro.conf.Positional[Path]
    """Policy folder, checkpoint step or training run."""
    candidates: tuple[int, ...] = (1, 16, 64)
    """Numbers N of candidates."""
    repetitions: int = 50
    """Plans per number, after a warm-up that does not count."""
    device: str = "cpu"
    """cpu, cuda, or auto."""
    threads: int = 0
    """CPU threads of torch, 0 for all."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write the figures to this file.")] = None


def run_latency(config: LatencyConfig) -> int:
    """Prints p50 and p99 per number of candidates."""
    from rich.console import Console
    from rich.table import Table

    if min(config.candidates, default=0) < 1 or config.repetitions < 1:
        raise ConfigError("must be positive", where="--candidates and --repetitions")
    rows = _measure(config)
    table = Table("candidates", "p50 [ms]", "p99 [ms]", title=f"plan of {config.checkpoint}")
    for row in rows:
        table.add_row(str(row["candidates"]), f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}")
    Console().print(table)
    if config.json is not None:
        write_json(config.json, {"checkpoint": str(config.checkpoint), "rows": rows})
    return 0


def _measure(config: LatencyConfig) -> list[dict[str, Any]]:
    import torch  # seconds, not for --help

    from robot_policy.checkpoint import load_policy
    from robot_policy.core.observation import Observation
    from robot_policy.runtime.history import History

    if config.threads:
        torch.set_num_threads(config.threads)
    policy = load_policy(config.checkpoint, device=config.device)
    rng = np.random.default_rng(0)
    spec = policy.spec
    env = spec.environment_state
    history = History(spec)
    history.observe(
        Observation(
            stamp_ns=0,
            state=spec.state.sample(rng),
            environment_state=None if env is None else env.sample(rng),
            images={name: image.sample(rng) for name, image in spec.cameras.items()},
        )
    )
    windows = history.windows()
    rows: list[dict[str, Any]] = []
    for count in config.candidates:
        times_ms: list[float] = []
        for repetition in range(-5, config.repetitions):
            start_s = time.perf_counter()
            policy.sample(windows, num_samples=count, generator=rng)
            if repetition >= 0:
                times_ms.append(1e3 * (time.perf_counter() - start_s))
        p50, p99 = np.percentile(times_ms, [50, 99]).tolist()
        rows.append({"candidates": count, "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)})
    return rows
