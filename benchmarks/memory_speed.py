"""What memories cost on a CPU: a plan with and without them, and a search among many.

Times are those of the processor, on one thread.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from policy_report import Row

from robot_policy.core.files import write_json
from robot_policy.core.observation import (
    ACTION,
    ENVIRONMENT_STATE,
    EPISODE,
    STATE,
    Observation,
)
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec
from robot_policy.nets.memory_bank import MemoryBank
from robot_policy.policies.mcnn import Mcnn, McnnConfig
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.runtime.history import History
from robot_policy.training.pipeline import make_pipeline

OBJECTS = 21
"""Numbers of the privileged state of `can`."""
MEMORIES = 1000
"""A tenth of the windows of 50 demonstrations of `can`."""
MANY = 100_000
KEY = 76
"""Numbers in two observations of `can`."""
BACKBONES = {
    "mlp": ("bc", ()),
    "transformer": ("bc", ("network=transformer",)),
    "diffusion": ("diffusion", ()),
}
_WARMUP = 20
_REPETITIONS = 400


def rows() -> list[Row]:
    """Measures everything, on one thread."""
    torch.set_num_threads(1)
    measured = [_overhead(name, *backbone) for name, backbone in BACKBONES.items()]
    return [*measured, *(_search(how) for how in ("exact", "index"))]


def _overhead(name: str, backbone: str, options: tuple[str, ...]) -> Row:
    plans = {
        memory: _plan(
            McnnConfig(backbone=backbone, backbone_options=options, memory=memory)  # pyright: ignore
        )
        for memory in ("blend", "none")
    }
    times = _in_turns(plans, repetitions=_REPETITIONS if backbone == "bc" else 40)
    with_ms, without_ms = (1e3 * float(np.median(times[memory])) for memory in plans)
    # Neighbours in time, because the machine has slow spells.
    ratios = np.array(times["blend"]) / np.array(times["none"])
    return {
        "cell": f"overhead {name}",
        "memories": MEMORIES,
        "with_ms": round(with_ms, 3),
        "without_ms": round(without_ms, 3),
        "overhead_percent": round(100 * (float(np.median(ratios)) - 1), 1),
    }


def _plan(config: McnnConfig) -> Callable[[], object]:
    robot = load_robot("panda_twin").spec()
    source = replace(robot, environment_state=ArraySpec((OBJECTS,)))
    torch.manual_seed(0)
    module = Mcnn.build(config, source).eval()
    spec, rng = module.spec, np.random.default_rng(0)
    rows = int(MEMORIES / config.memories)
    window = (rows, spec.past + spec.horizon, spec.action.size)
    draws = torch.Generator().manual_seed(0)
    module.memorise(
        {
            STATE: torch.randn(rows, spec.history, spec.state.size, generator=draws),
            ENVIRONMENT_STATE: torch.randn(rows, spec.history, OBJECTS, generator=draws),
            ACTION: torch.rand(window, generator=draws) * 2 - 1,
            EPISODE: torch.arange(rows) % 50,
        },
        seed=0,
    )
    ranges = {
        key: {"min": -np.ones(size), "max": np.ones(size)}
        for key, size in (
            (STATE, spec.state.size),
            (ENVIRONMENT_STATE, OBJECTS),
            (ACTION, spec.action.size),
        )
    }
    pipeline = make_pipeline(spec, ranges, states="min_max")
    policy = TorchPolicy(module, pipeline, device=torch.device("cpu"), threads=1)
    history = History(spec)
    history.observe(
        Observation(
            stamp_ns=0,
            state=spec.state.sample(rng),
            environment_state=rng.normal(size=OBJECTS).astype(np.float32),
        )
    )
    windows = history.windows()
    return lambda: policy.sample(windows, num_samples=1, generator=np.random.default_rng(0))


def _search(how: str) -> Row:
    """Among keys that lie along paths, as those of demonstrations do."""
    rng = np.random.default_rng(0)
    paths = np.cumsum(0.05 * rng.normal(size=(MANY // 100, 100, 10)), axis=1)
    paths += 0.3 * rng.normal(size=(MANY // 100, 1, 10))
    keys = np.tanh(paths.reshape(MANY, 10) @ rng.normal(size=(10, KEY)) / 3)
    bank = MemoryBank(KEY, (1, 1), indexed=how == "index").eval()
    numbers = torch.zeros(MANY, dtype=torch.int64)
    bank.fill(torch.from_numpy(keys.astype(np.float32)), torch.zeros(MANY, 1, 1), numbers, numbers)
    asked = keys[rng.integers(0, MANY, _REPETITIONS)] + 0.02 * rng.normal(size=(_REPETITIONS, KEY))
    queries = torch.from_numpy(asked.astype(np.float32))
    exact = MemoryBank(KEY, (1, 1)).eval()
    exact.load_state_dict(bank.state_dict())
    start_s = time.perf_counter()
    bank.nearest(queries[:1])
    built_s = time.perf_counter() - start_s
    order = iter(range(_WARMUP + _REPETITIONS))
    with torch.inference_mode():
        times = _in_turns(
            {"search": lambda: bank.nearest(queries[next(order) % _REPETITIONS][None])},
            repetitions=_REPETITIONS,
        )["search"]
        same = (bank.nearest(queries)[1] == exact.nearest(queries)[1]).float().mean()
    return {
        "cell": f"search {how}",
        "memories": MANY,
        "key_numbers": KEY,
        "p50_ms": round(1e3 * float(np.median(times)), 3),
        "p99_ms": round(1e3 * float(np.percentile(times, 99)), 3),
        "built_s": round(built_s, 2),
        "nearest_found_percent": round(100 * float(same), 1),
    }


def _in_turns(
    calls: dict[str, Callable[[], object]], *, repetitions: int
) -> dict[str, list[float]]:
    """Times of the processor, of one thread: other programs of the machine hardly count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repetition in range(_WARMUP + repetitions):
        for name, call in calls.items():
            start_s = time.process_time()
            call()
            if repetition >= _WARMUP:
                times[name].append(time.process_time() - start_s)
    return times


def main() -> int:
    """Prints and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    measured = rows()
    for row in measured:
        print(row)
    if arguments.json is not None:
        write_json(arguments.json, {"rows": measured})
    return 0


if __name__ == "__main__":
    sys.exit(main())
