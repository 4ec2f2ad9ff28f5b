"""Draws the histograms of docs/ros2.md from benchmarks/results/ros2.json and the fault campaign."""

import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from faults import load
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from measure import ROOT
from ros2_results import known_rows

IMAGE = ROOT / "docs" / "images" / "ros2_times.png"
_PERIOD_MS = 50.0
"""Of the policy that the faults interrupt."""


def _lateness(axes: Axes, row: dict[str, Any]) -> None:
    counts = row["lateness_histogram_ms"]
    axes.bar(range(len(counts)), list(counts.values()), color="C0")
    axes.set_xticks(range(len(counts)), list(counts), rotation=60, fontsize=7)
    late = row["lateness_ms"]
    axes.set(
        title=f"lateness of {row['ticks']} control ticks\np99.9 {late['p99.9']:.2f} ms",
        xlabel="[ms]",
        yscale="symlog",
    )


def _camera(axes: Axes, row: dict[str, Any]) -> None:
    edges = np.array([0.0, *row["histogram"]["up_to_ms"]])
    counts = row["histogram"]["counts_and_more"]
    axes.bar(edges[:-1], counts[:-1], np.diff(edges), align="edge", color="C1")
    axes.axvline(row["p99_ms"], color="k", linewidth=0.8, linestyle="--")
    axes.set(
        title=f"{row['pictures']} pictures of {row['side_px']} px\nto command, p99 "
        f"{row['p99_ms']:.1f} ms (dashed)",
        xlabel="[ms]",
    )


def _holds(axes: Axes, delays_ms: list[float]) -> None:
    axes.hist(delays_ms, bins=np.linspace(0, 2 * _PERIOD_MS, 41), color="C2")
    axes.axvline(2 * _PERIOD_MS, color="k", linewidth=0.8, linestyle="--")
    axes.set(title=f"{len(delays_ms)} faults to the hold\n(dashed: two periods)", xlabel="[ms]")


def draw(path: Path) -> list[str]:
    """Draws what is measured; returns what is missing."""
    rows = {row["cell"]: row for row in known_rows()}
    delays = [outcome.hold_ms for outcome in load() if outcome.hold_ms is not None]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2))
    missing: list[str] = []
    if "lateness_histogram_ms" in rows.get("control_rate", {}):
        _lateness(axes[0], rows["control_rate"])
    else:
        missing.append("control_rate")
    if "histogram" in rows.get("camera_to_command", {}):
        _camera(axes[1], rows["camera_to_command"])
    else:
        missing.append("camera_to_command")
    if delays:
        _holds(axes[2], delays)
    else:
        missing.append("faults")
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return missing


def main() -> int:
    """Returns 1 if something is not measured yet, and then draws nothing."""
    matplotlib.use("Agg")
    temporary = IMAGE.with_suffix(".new.png")
    missing = draw(temporary)
    if missing:
        temporary.unlink()
        print(f"not measured yet: {', '.join(missing)}", file=sys.stderr)
        return 1
    temporary.replace(IMAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
