"""How often clip_rt decides in a second with 64 candidates, from an image of 84 x 84 pixels."""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from robot_policy.core.files import write_json
from robot_policy.core.observation import STATE, Windows
from robot_policy.core.robot import load_robot
from robot_policy.policies.clip_rt import ClipRt
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.training.pipeline import make_pipeline
from sim.provenance import machine

CANDIDATES = 64
THREADS = 1
_WARM, _ROUNDS = 5, 100


def main() -> int:
    """Writes median and slowest decision, by the wall clock and of the processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--vision", default="small")
    arguments = parser.parse_args()
    policy = _policy(arguments.vision, torch.device(arguments.device))
    spec = policy.spec
    rng = np.random.default_rng(0)
    windows = Windows(
        state=rng.normal(size=(1, spec.history, spec.state.size)).astype(np.float32),
        past=np.zeros((1, 0, spec.action.size), np.float32),
        valid=np.ones((1, spec.history), bool),
        past_valid=np.ones((1, 0), bool),
        environment_state=None,
        images={
            name: rng.integers(0, 256, (1, spec.history, *image.shape), dtype=np.uint8)
            for name, image in spec.cameras.items()
        },
        instructions=("put the red cube left of the blue cylinder",),
    )
    wall, processor = [], []
    for _ in range(_WARM + _ROUNDS):
        start, used = time.perf_counter(), time.process_time()
        policy.sample(windows, num_samples=CANDIDATES, generator=rng)
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    median = float(np.median(wall[_WARM:]))
    write_json(
        arguments.json,
        {
            "vision": arguments.vision,
            "device": arguments.device,
            "candidates": CANDIDATES,
            "threads": THREADS,
            "parameters": sum(p.numel() for p in policy.module.parameters()),
            "wall_ms_p50": 1000 * median,
            "wall_ms_p99": 1000 * float(np.quantile(wall[_WARM:], 0.99)),
            "cpu_ms_p50": 1000 * float(np.median(processor[_WARM:])),
            "decisions_per_s": 1.0 / median,
            "machine": machine(),
        },
    )
    return 0


def _policy(vision: str, device: torch.device) -> TorchPolicy:
    source = load_robot("panda_twin").spec(cameras=("agentview",))
    config = replace(ClipRt.presets["cpu"], vision=vision)
    module = ClipRt.build(config, source)
    size = source.state.size
    statistics = {STATE: {"min": np.full(size, -1.0), "max": np.full(size, 1.0)}}
    pipeline = make_pipeline(module.spec, statistics, states="min_max", actions="none")
    return TorchPolicy(module, pipeline, device=device, threads=THREADS)


if __name__ == "__main__":
    sys.exit(main())
