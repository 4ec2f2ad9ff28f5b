"""Charts of the report as inline SVG; colours come from the page's CSS."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from sim.statistics import Interval

_WIDTH, _HEIGHT = 480, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 18, 12, 38


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a stacked histogram.

    Attributes:
        label: For the legend and the tooltips.
        style: CSS class of its bars.
        values: What is counted.
    """

    label: str
    style: str
    values: Sequence[float]


def interval_chart(rate: float, interval: Interval) -> Markup:
    """Draws a rate and its interval on an axis from 0 to 100 %."""
    left, right, middle = 20, 24, 26
    span = _WIDTH - left - right

    def x(value: float) -> float:
        return left + value * span

    low, high = interval
    ticks = "".join(
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="8" y2="44"/>'
        f'<text x="{x(t):.1f}" y="60" text-anchor="middle">{t:.0%}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    body = (
        f'<rect class="interval" x="{x(low):.1f}" y="{middle - 7}" rx="7"'
        f' width="{max(x(high) - x(low), 2):.1f}" height="14"/>'
        f'<circle class="estimate" cx="{x(rate):.1f}" cy="{middle}" r="6"/>'
    )
    label = f"Success rate {rate:.1%}, 95 % interval {low:.1%} to {high:.1%}"
    return _svg(ticks + body, label, height=66)


def histogram(series: Sequence[Series], *, label: str, unit: str) -> Markup:
    """Draws how often values fall into bins of equal width, series stacked.

    The last bin takes a long tail and is then labelled so.

    Args:
        series: At least one value in all.
        label: Read by screen readers.
        unit: Of the values, on the axis.
    """
    values = np.concatenate([np.asarray(s.values, dtype=float) for s in series])
    edges, has_tail = _edges(values)
    counts = [np.histogram(np.minimum(s.values, edges[-1]), bins=edges)[0] for s in series]
    tallest = int(np.sum(counts, axis=0).max())
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    bar = plot_width / (len(edges) - 1)
    base = _HEIGHT - _BOTTOM
    parts: list[str] = []
    for count in _count_ticks(tallest):
        y = base - plot_height * count / tallest
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{count}</text>'
        )
    for i in range(len(edges) - 1):
        y = float(base)
        last = has_tail and i == len(edges) - 2
        extent = f"{edges[i]:g} and more" if last else f"{edges[i]:g} to {edges[i + 1]:g}"
        for s, of_series in zip(series, counts, strict=True):
            if of_series[i]:
                height = plot_height * of_series[i] / tallest
                y -= height
                parts.append(
                    f'<rect class="{Markup.escape(s.style)}" x="{_LEFT + i * bar + 0.75:.1f}"'
                    f' y="{y:.1f}" width="{max(bar - 1.5, 1):.1f}" height="{height:.1f}">'
                    f"<title>{extent} {Markup.escape(unit)}: {of_series[i]}"
                    f" {Markup.escape(s.label)}</title></rect>"
                )
    parts.append(_axis(edges, bar, has_tail, unit))
    return _svg("".join(parts), label, height=_HEIGHT)


def _axis(edges: np.ndarray, bar: float, has_tail: bool, unit: str) -> str:
    base = _HEIGHT - _BOTTOM
    every = math.ceil((len(edges) - 1) / 6)
    last = len(edges) - 2 if has_tail else len(edges) - 1
    ticks = [i for i in range(0, last + 1, every) if i == last or last - i >= every / 2] + [last]
    texts = "".join(
        f'<text x="{_LEFT + i * bar:.1f}" y="{base + 16}" text-anchor="middle">'
        f"{'≥ ' if has_tail and i == last else ''}{edges[i]:g}</text>"
        for i in sorted(set(ticks))
    )
    return (
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>{texts}'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">'
        f"{Markup.escape(unit)}</text>"
    )


def _edges(values: np.ndarray) -> tuple[np.ndarray, bool]:
    low, high = float(values.min()), float(values.max())
    # A few slow calls must not squeeze all others into one bar.
    p98 = float(np.percentile(values, 98))
    has_tail = high - low > 2 * (p98 - low) > 0
    if has_tail:
        high = p98
    step = _nice((high - low) / 20)
    first = math.floor(low / step)
    count = max(math.ceil(high / step - first), 1) + has_tail
    # One more where a value lies on the last edge, so that bins stay half open.
    count += not has_tail and high >= (first + count) * step
    return np.round((first + np.arange(count + 1)) * step, 9), has_tail


def _nice(step: float) -> float:
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)


def _count_ticks(tallest: int) -> list[int]:
    step = max(1, round(_nice(tallest / 4)))
    return list(range(0, tallest + 1, step))


def _svg(body: str, label: str, *, height: int) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{Markup.escape(label)}">'
        f"{body}</svg>"
    )
