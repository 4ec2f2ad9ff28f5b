"""Draws the last seconds before a fault from its recording: inputs, plans, commands and holds.

The recording is a folder that `policy_node` writes when a fault latches; those of the fault
campaign lie under runs/ros2/fault_reports.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from measure import ROOT

from robot_policy.data.rosbag.bag import Bag

IMAGE = ROOT / "docs" / "images" / "fault.png"
_FAULT, _HOLD, _DECISION = "fault", "hold", "decision"
_SHOWN = 3
"""Entries of a command that are drawn."""

type Times = dict[str, list[float]]
type Values = dict[str, list[list[float]]]


def read(path: Path, *, seconds: float) -> tuple[Times, Values, str]:
    """Reads the end of a recording.

    Returns:
        Topic to times before the fault [s], topic to commands, and the fault's reason.
    """
    bag = Bag(path)
    end_ns = max(file.end_ns for file in bag.files)
    times, values = defaultdict[str, list[float]](list), defaultdict[str, list[list[float]]](list)
    reason = ""
    for raw in bag.messages(set(bag.types), start_ns=end_ns - round(seconds * 1e9)):
        times[raw.topic].append((raw.log_ns - end_ns) * 1e-9)
        if raw.topic in (_HOLD, _DECISION):
            values[raw.topic].append(list(bag.decode(raw).data))
        elif raw.topic == _FAULT:
            reason = bag.decode(raw).data
    return times, values, reason


def _arrivals(axes: Axes, times: Times) -> None:
    topics = sorted(set(times) - {_FAULT}, reverse=True)
    for row, topic in enumerate(topics):
        axes.plot(times[topic], [row] * len(times[topic]), "|", markersize=7)
    axes.set_yticks(range(len(topics)), topics, fontsize=7)
    axes.axvline(0, color="r", linewidth=0.8)


def _commands(axes: Axes, times: Times, values: Values) -> None:
    for topic, style in ((_DECISION, "."), (_HOLD, "x")):
        commands = np.array(values.get(topic, []))
        for entry in range(_SHOWN if len(commands) else 0):
            label = f"{topic}, entry {entry}"
            axes.plot(times[topic], commands[:, entry], style, color=f"C{entry}", ms=4, label=label)
    axes.axvline(0, color="r", linewidth=0.8)
    axes.legend(fontsize=6, ncols=2, loc="upper left")
    axes.set(xlabel="before the fault [s]", ylabel="command")


def main() -> int:
    """Draws one recording."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--output", type=Path, default=IMAGE)
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    times, values, reason = read(arguments.recording, seconds=arguments.seconds)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True)
    _arrivals(top, times)
    top.set_title(reason, fontsize=9)
    _commands(bottom, times, values)
    figure.tight_layout()
    figure.savefig(arguments.output, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
