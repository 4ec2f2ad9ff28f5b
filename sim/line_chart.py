"""Lines over a common axis as inline SVG; colours come from the page's CSS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _HEIGHT = 480, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 40
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        label: For the legend and the tooltip.
        style: CSS class: plain, success, failure or faint.
        points: (x, y) in ascending x.
    """

    label: str
    style: str
    points: Sequence[tuple[float, float]]


def line_chart(lines: Sequence[Line], *, label: str, x_label: str, y_label: str) -> Markup:
    """Draws lines over a common pair of axes.

    Args:
        lines: Those without points are left out; with none at all the chart says so.
        label: Read by screen readers.
        x_label: Of the horizontal axis.
        y_label: Of the vertical axis.
    """
    drawn = [line for line in lines if line.points]
    xs = [x for line in drawn for x, _ in line.points] or [0.0]
    ys = [y for line in drawn for _, y in line.points] or [0.0]
    (x_low, x_high), (y_low, y_high) = _extent(xs), _extent(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [_grid(place, (x_low, x_high), (y_low, y_high))]
    for line in drawn:
        points = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        parts.append(
            f'<polyline class="{Markup.escape(line.style)}" points="{points}">'
            f"<title>{Markup.escape(line.label)}</title></polyline>"
        )
    parts.append(
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">'
        f'{Markup.escape(x_label)}</text><text x="4" y="{_HEIGHT - 4}">'
        f"{Markup.escape(y_label)} ↑</text>"
    )
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{Markup.escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _extent(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high - low > 1e-9 else (low - 0.5, high + 0.5)


def _grid(
    place: Callable[[float, float], tuple[float, float]],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> str:
    parts: list[str] = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        y = y_range[0] + share * (y_range[1] - y_range[0])
        left, height = place(x_range[0], y)
        parts.append(
            f'<line class="grid" x1="{left:.1f}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}"'
            f' y2="{height:.1f}"/><text x="{_LEFT - 6}" y="{height + 4:.1f}"'
            f' text-anchor="end">{y:.3g}</text>'
        )
        x = x_range[0] + share * (x_range[1] - x_range[0])
        across, bottom = place(x, y_range[0])
        parts.append(
            f'<text x="{across:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{x:.3g}</text>'
        )
    return "".join(parts)
