"""Draws the pictures of docs/policies.md from the runs of the policy benchmark.

Loss curves from the runs' TensorBoard files, and chunks that trained policies draw for the same
observation, as paths of the end effector's set point.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from measure import ROOT
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from robot_policy.checkpoint import load_policy
from robot_policy.core.observation import Windows
from robot_policy.core.policy import Policy
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset

RUNS = ROOT / "runs" / "policies"
IMAGES = ROOT / "docs" / "images"
_LOSSES = (("loss/train", "-"), ("loss/validation", "--"))


def loss_curves(names: Sequence[str], path: Path) -> None:
    """Draws training and validation losses of runs against the gradient step."""
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for colour, name in enumerate(names):
        curves = EventAccumulator(str(RUNS / "train" / name / "tensorboard")).Reload()
        for tag, style in _LOSSES:
            events = curves.Scalars(tag)
            label = f"{name} ({tag.partition('/')[2]})"
            x, y = [e.step for e in events], [e.value for e in events]
            axes.plot(x, y, style, color=f"C{colour}", label=label, linewidth=1)
    axes.set(xlabel="gradient step", ylabel="loss", yscale="log")
    axes.legend(fontsize=7)
    _save(figure, path)


def chunks(
    panels: Sequence[tuple[str, Mapping[str, Any]]],
    data: Path,
    path: Path,
    *,
    frame: int,
    count: int,
) -> None:
    """Draws `count` chunks for one observation of a data set.

    Args:
        panels: Run and options of drawing, one picture each.
        data: Data set.
        path: Of the picture.
        frame: Which observation, counted over the data set.
        count: Chunks in each picture.
    """
    store = EpisodeStore.open(data)
    width = 2.6 * len(panels)
    figure, axes = plt.subplots(1, len(panels), figsize=(width, 2.8), sharex=True, sharey=True)
    for place, (name, options) in zip(np.atleast_1d(axes), panels, strict=True):
        policy = load_policy(RUNS / "train" / name, options=options)
        _draw_chunks(place, policy, store, frame=frame, count=count)
        words = [f"{key} {value}" for key, value in options.items()]
        place.set_title("\n".join([name, *words]), fontsize=7)
    _save(figure, path)


def _draw_chunks(
    axes: Axes, policy: Policy, store: EpisodeStore, *, frame: int, count: int
) -> None:
    windows, taken = _window(policy, store, frame)
    rng = np.random.default_rng(0)
    drawn = policy.sample(windows, num_samples=count, generator=rng).actions[0]
    for chunk in drawn:
        axes.plot(*_path(chunk), color="C0", alpha=0.25, linewidth=1)
    axes.plot(*_path(taken), color="C3", linewidth=2, label="demonstrated")
    axes.plot(0, 0, "ko", markersize=3)
    axes.set(xlabel="x [m]", ylabel="z [m]")
    axes.legend(fontsize=6)


def _path(chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the commanded displacements in the vertical plane [m]."""
    path = np.concatenate([np.zeros((1, 3)), np.cumsum(chunk[:, :3], axis=0)])
    return path[:, 0], path[:, 2]


def _window(policy: Policy, store: EpisodeStore, frame: int) -> tuple[Windows, np.ndarray]:
    spec = policy.spec
    cut = WindowDataset(
        store,
        history=spec.history,
        past=spec.past,
        horizon=spec.horizon,
        use_environment_state=spec.environment_state is not None,
    ).batch(np.array([frame]))
    windows = Windows(
        state=cut["observation.state"],
        past=cut["action"][:, : spec.past],
        valid=~cut["observation_is_pad"],
        past_valid=~cut["action_is_pad"][:, : spec.past],
        instructions=("",),
    )
    if spec.environment_state is not None:
        windows = replace(windows, environment_state=cut["observation.environment_state"])
    return windows, cut["action"][0, spec.past :]


def _is_there(name: str) -> bool:
    return (RUNS / "train" / f"{name}.json").exists()


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(path.relative_to(ROOT))


def main() -> int:
    """Writes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="square")
    parser.add_argument("--frame", type=int, default=20, help="of the data set, counted over all")
    parser.add_argument("--count", type=int, default=32, help="chunks per policy")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    task = arguments.task
    losses = [
        f"{name}-{task}" for name in ("diffusion", "diffusion_epsilon", "flow", "lerobot_diffusion")
    ]
    loss_curves([name for name in losses if _is_there(name)], IMAGES / "policy_losses.png")
    panels: list[tuple[str, Mapping[str, Any]]] = [
        (f"diffusion-{task}", {"temperature": 1.0}),
        (f"diffusion-{task}", {"temperature": 1.0, "shared_steps": 8}),
        (f"diffusion-{task}", {"temperature": 0.3}),
        (f"flow-{task}", {"temperature": 1.0}),
        (f"consistency-{task}", {"temperature": 1.0}),
    ]
    chunks(
        [panel for panel in panels if _is_there(panel[0])],
        RUNS / "data" / task,
        IMAGES / "policy_chunks.png",
        frame=arguments.frame,
        count=arguments.count,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
