"""Draws why memory helps or harms, from the runs of the memory benchmark.

How well the next action is told by earlier ones (the copycat diagnostic), how much a memory weighs
and what that is worth at which distance, and which observations a policy attends to when it has to
decide. Draws what there are runs for.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from measure import ROOT
from numpy.typing import NDArray

from robot_policy.checkpoint import load_policy
from robot_policy.core.files import write_json
from robot_policy.core.observation import ACTION, EPISODE
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset, split_episodes
from robot_policy.nets.mlp import mlp
from robot_policy.nets.tensors import to_tensors
from robot_policy.policies.denoising.diffusion_process import noised_to, squared_cosine
from robot_policy.policies.mcnn import Mcnn
from robot_policy.policies.past_token import PastToken
from robot_policy.policies.torch_policy import TorchPolicy
from sim.envs.recall import MIDDLE, TOP_M

RUNS = ROOT / "runs" / "memory"
IMAGES = ROOT / "docs" / "images"
LAGS = (1, 2, 4, 8, 16)
_HIDDEN, _EPOCHS, _BATCH = 512, 10, 256
_HELD_OUT = 0.2
_BINS = 8
_VALIDATION = 0.05
"""Part of the demonstrations that a training keeps out by default."""
_DRAWN = 8


def predictability(sources: Mapping[str, Path], path: Path) -> list[dict[str, Any]]:
    """Draws how much of the variance of an action an earlier one explains, held out.

    Args:
        sources: Label to a data set: demonstrations, or recorded rollouts of a policy.
        path: Of the picture.
    """
    figure, axes = plt.subplots(figsize=(5, 3.2))
    rows: list[dict[str, Any]] = []
    for label, folder in sources.items():
        store = EpisodeStore.open(folder)
        explained = [_explained(store, lag) for lag in LAGS]
        axes.plot(LAGS, explained, "o-", label=label, linewidth=1, markersize=3)
        rows.append(
            {
                "cell": f"why predictability {label}",
                "explained": dict(zip(LAGS, explained, strict=True)),
            }
        )
    axes.set(
        xlabel="steps between the two actions",
        ylabel="explained variance, held out",
        xscale="log",
        xticks=LAGS,
        xticklabels=LAGS,
    )
    axes.legend(fontsize=7)
    _save(figure, path)
    return rows


def _explained(store: EpisodeStore, lag: int) -> float:
    """1 - error / variance of an MLP that predicts a_t from a_{t - lag}, on other episodes."""
    spread = store.actions.std(axis=0) + 1e-6
    scaled = torch.from_numpy((store.actions - store.actions.mean(axis=0)) / spread).float()
    owners = store.episode_of
    later = np.flatnonzero(np.r_[np.zeros(lag, bool), owners[lag:] == owners[:-lag]])
    count = len(store.episodes)
    held = np.random.default_rng(0).permutation(count)[: max(1, round(_HELD_OUT * count))]
    test = torch.from_numpy(np.isin(owners[later], held))
    x, y = scaled[later - lag], scaled[later]
    torch.manual_seed(0)
    net = mlp(x.shape[1], (_HIDDEN,), y.shape[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    learn, generator = (~test).nonzero()[:, 0], torch.Generator().manual_seed(0)
    for _ in range(_EPOCHS):
        for rows in learn[torch.randperm(len(learn), generator=generator)].split(_BATCH):
            loss = (net(x[rows]) - y[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = (net(x[test]) - y[test]).square().mean()
    return round(float(1.0 - error / y[test].var(dim=0).mean()), 3)


def blend(run: Path, data: Path, path: Path) -> list[dict[str, Any]]:
    """Draws the weight of memories, and the errors of memory, backbone and blend, by distance.

    Every situation of the data is asked about with the memories of its own episode left out.

    Args:
        run: Of `mcnn`.
        data: It was trained on.
        path: Of the picture.
    """
    policy = _torch_policy(run)
    module = policy.module
    assert isinstance(module, Mcnn)
    batch = _everything(policy, EpisodeStore.open(data))
    with torch.inference_mode():
        distance, index = module.bank.nearest(
            module.encoder(batch).flatten(1), without=batch[EPISODE]
        )
        weight = torch.exp(-module.rate * distance)
        memory = module.bank.chunks[index]
        noise = torch.zeros(len(weight), 1, *module.noise_shape)
        own = module.backbone.decode(batch, noise)[:, 0].clamp(-1.0, 1.0)
        answers = {
            "memory alone": memory,
            "the backbone's part": own,
            "blend": torch.lerp(own, memory, weight[:, None, None]),
        }
        errors = {k: (a - batch[ACTION]).abs().mean((1, 2)).numpy() for k, a in answers.items()}
    return _draw_blend(distance.numpy(), weight.numpy(), errors, path)


def _draw_blend(
    distance: NDArray[Any], weight: NDArray[Any], errors: Mapping[str, NDArray[Any]], path: Path
) -> list[dict[str, Any]]:
    edges = np.quantile(distance, np.linspace(0, 1, _BINS + 1))
    bins = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, _BINS - 1)
    middle = [round(float(np.median(distance[bins == i])), 3) for i in range(_BINS)]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(np.sort(distance), np.sort(weight)[::-1], linewidth=1)
    left.hist(distance, bins=40, density=False, weights=np.full(len(distance), 1 / len(distance)))
    left.set(xlabel="distance to the nearest memory", ylabel="weight; share of situations")
    by_bin = {
        name: [round(float(error[bins == i].mean()), 3) for i in range(_BINS)]
        for name, error in errors.items()
    }
    for name, values in by_bin.items():
        right.plot(middle, values, "o-", label=name, linewidth=1, markersize=3)
    right.set(xlabel="distance to the nearest memory", ylabel="mean error of the chunk")
    right.legend(fontsize=7)
    _save(figure, path)
    row = {"cell": "why blend", "mean_weight": round(float(weight.mean()), 3)}
    return [row | {"distance": middle, "error": by_bin}]


def attention(runs: Mapping[str, Path], data: Path, path: Path) -> list[dict[str, Any]]:
    """Draws what each action attends to, shortly before the cube leaves the middle.

    Args:
        runs: Label to a run of `past_token`.
        data: Demonstrations of `recall`.
        path: Of the picture.
    """
    figure, panels = plt.subplots(1, len(runs), figsize=(3.6 * len(runs), 3.4), squeeze=False)
    rows: list[dict[str, Any]] = []
    store = EpisodeStore.open(data)
    for axes, (label, run) in zip(panels[0], runs.items(), strict=True):
        policy = _torch_policy(run)
        spec = policy.module.spec
        weights = _attention(policy, store)
        first, every = -spec.past, spec.history_stride * spec.dt_s
        axes.imshow(
            weights[:, 1:],
            aspect="auto",
            cmap="viridis",
            vmin=0.0,
            extent=(-(spec.history - 0.5) * every, 0.5 * every, spec.horizon - 0.5, first - 0.5),
        )
        axes.axhline(-0.5, color="white", linewidth=1)
        axes.set(title=label, xlabel="observation [s]", ylabel="action; from 0 on those to come")
        now, earliest = weights[spec.past], weights[spec.past :, 1:3]
        numbers = {"step": now[0], "now": now[-1], "before_the_middle": earliest.sum(1).max()}
        rounded = {name: round(float(value), 3) for name, value in numbers.items()}
        rows.append({"cell": f"why attention {label}"} | rounded)
    _save(figure, path)
    return rows


def _attention(policy: TorchPolicy, store: EpisodeStore) -> NDArray[Any]:
    """(L, 1 + T) mean over layers, heads and situations, halfway through the noise."""
    module = policy.module
    assert isinstance(module, PastToken)
    assert store.environment_state is not None
    cube = store.environment_state[:, :3]
    aside = np.linalg.norm(cube[:, :2] - MIDDLE, axis=1)
    deciding = np.flatnonzero((aside < 0.03) & (cube[:, 2] > TOP_M - 0.01))
    batch = _everything(policy, store, rows=deciding)
    steps = module.config.train_steps
    step = torch.full((len(deciding),), steps // 2)
    noise = torch.randn(batch[ACTION].shape, generator=torch.Generator().manual_seed(0))
    noised = noised_to(squared_cosine(steps)[steps // 2], batch[ACTION], noise)
    with torch.inference_mode():
        backbone: Any = module.backbone
        weights = backbone.attention(noised, step, module.encode(batch))
    return weights.mean((0, 1, 2)).numpy()


def decisions(runs: Mapping[str, Path], data: Path) -> list[dict[str, Any]]:
    """Returns how many of the chunks drawn at the top of `recall` go to the right side.

    Args:
        runs: Label to a run of `past_token`.
        data: Demonstrations they were trained on, some of which were kept out for validation.
    """
    store = EpisodeStore.open(data)
    assert store.environment_state is not None
    cube = store.environment_state[:, :3]
    begins = store.starts[:-1]
    tops = [a + int(cube[a:b, 2].argmax()) for a, b in pairwise(store.starts)]
    marks = np.sign(cube[begins, 1])
    held_out = np.isin(np.arange(len(begins)), split_episodes(store, _VALIDATION, 0)[1])
    rows: list[dict[str, Any]] = []
    for label, run in runs.items():
        policy = _torch_policy(run)
        batch = _everything(policy, store, rows=np.array(tops))
        generators = [np.random.default_rng(i) for i in range(len(tops))]
        with torch.inference_mode():
            chunks = policy.module.sample(batch, num_samples=_DRAWN, generators=generators)
        actions = policy.pipeline.invert(chunks.numpy())[:, :, policy.module.spec.past :]
        right = np.sign(actions[..., 1].sum(-1)) == marks[:, None]
        shares = {"seen": right[~held_out].mean(), "held_out": right[held_out].mean()}
        rounded = {name: round(float(share), 3) for name, share in shares.items()}
        rows.append({"cell": f"why decisions {label}", "drawn_each": _DRAWN} | rounded)
    return rows


def _torch_policy(run: Path) -> TorchPolicy:
    policy = load_policy(run)
    assert isinstance(policy, TorchPolicy)
    return policy


def _everything(
    policy: TorchPolicy, store: EpisodeStore, *, rows: NDArray[np.int64] | None = None
) -> dict[str, torch.Tensor]:
    spec = policy.module.spec
    windows = WindowDataset(
        store,
        history=spec.history,
        past=spec.past,
        horizon=spec.horizon,
        stride=spec.history_stride,
        use_environment_state=spec.environment_state is not None,
    )
    chosen = np.arange(len(windows)) if rows is None else rows
    return to_tensors(policy.pipeline.apply(windows.batch(chosen)), policy.device)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=90, pil_kwargs={"optimize": True})
    plt.close(figure)
    print(path)


def _there(folders: Mapping[str, Path]) -> dict[str, Path]:
    return {label: folder for label, folder in folders.items() if folder.exists()}


def draw(images: Path) -> Sequence[dict[str, Any]]:
    """Draws every picture there are runs for; returns the numbers in them."""
    train, data = RUNS / "train", RUNS / "data"
    rows: list[dict[str, Any]] = []
    arms = {"past tokens": "past_token", "future only": "future_only", "short context": "short"}
    sources = {"demonstrations": data / "recall"}
    sources |= {label: RUNS / "rollouts" / arm for label, arm in arms.items()}
    found = _there(sources)
    if found:
        rows += predictability(found, images / "memory_predictability.png")
    runs = _there({label: train / f"{arm}-recall" / "checkpoints" for label, arm in arms.items()})
    if runs:
        runs = {label: folder.parent for label, folder in runs.items()}
        rows += decisions(runs, data / "recall")
        runs.pop("short context", None)  # it has one observation to attend to
        rows += attention(runs, data / "recall", images / "memory_attention.png")
    mcnn = train / "mcnn-can_25-0"
    if (mcnn / "checkpoints").exists():
        rows += blend(mcnn, data / "can_25", images / "memory_blend.png")
    return rows


def main() -> int:
    """Draws what there is."""
    matplotlib.use("agg")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = draw(arguments.images)
    if arguments.json is not None:
        write_json(arguments.json, {"rows": list(rows)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
