"""Charts of a calibration's page as inline SVG; colours come from the page's CSS."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.stats import chi2

from calibration.detection import Detection
from calibration.intrinsics.frame_choice import CELLS, cell_counts

type Array = NDArray[np.floating]

_WIDTH, _HEIGHT = 480, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 12, 26
_SIDE = 150
_MOST_ARROWS = 4000
_ARROW_LENGTH = 30.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Attributes:
        label: What it stands for, shown when pointed at.
        value: Its height.
        left_out: Whether it was not used.
    """

    label: str
    value: float
    left_out: bool = False


def bar_chart(bars: Sequence[Bar], *, unit: str, label: str) -> Markup:
    """Draws one bar per pose or picture; those far above the others are cut off and marked.

    Args:
        bars: In the order they were taken.
        unit: Of the values.
        label: Read by screen readers.
    """
    used = [bar.value for bar in bars if not bar.left_out] or [bar.value for bar in bars] or [0.0]
    top = _nice(1.15 * max(max(used), 1e-9))
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = plot_width / max(len(bars), 1)
    base = _HEIGHT - _BOTTOM
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * share:.3g}</text>'
        for share in (0.0, 0.5, 1.0)
        for y in [base - share * plot_height]
    ]
    for i, bar in enumerate(bars):
        height = plot_height * min(bar.value / top, 1.0)
        over = bar.value > top
        style = "failure" if bar.left_out else "plain"
        more = ", left out" if bar.left_out else ""
        x, y = _LEFT + i * step, base - height
        parts.append(
            f'<rect class="{style}" x="{x + 0.1 * step:.1f}" y="{y:.1f}"'
            f' width="{0.8 * step:.1f}" height="{max(height, 1.0):.1f}">'
            f"<title>{Markup.escape(bar.label)}: {bar.value:.3g} {Markup.escape(unit)}{more}"
            "</title></rect>"
        )
        if over:
            parts.append(
                f'<text x="{x + step / 2:.1f}" y="{_TOP - 2}" text-anchor="middle">↑</text>'
            )
    parts.append(
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}">first</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">last</text>'
        f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"[{Markup.escape(unit)}]</text>"
    )
    return _svg("".join(parts), label, _WIDTH, _HEIGHT)


def ellipse_chart(covariance: Array, *, scale: float, unit: str, label: str) -> Markup:
    """Draws where three numbers lie with 95 %, as ellipses in the three planes.

    Args:
        covariance: (3, 3) along x, y and z.
        scale: From the covariance's unit to `unit`.
        unit: On the axes.
        label: Read by screen readers.
    """
    radius = np.sqrt(chi2.ppf(0.95, 2) * np.diag(covariance)) * scale
    reach = _nice(1.1 * max(float(radius.max()), 1e-9))
    parts: list[str] = []
    for k, (a, b) in enumerate(((0, 1), (0, 2), (1, 2))):
        parts.append(_one_ellipse(covariance, (a, b), scale, reach, left=k * 160))
    parts.append(
        f'<text x="475" y="{_SIDE + 22}" text-anchor="end">frame edge ±{reach:g} '
        f"{Markup.escape(unit)}</text>"
    )
    return _svg("".join(parts), label, 480, _SIDE + 28)


def _one_ellipse(
    covariance: Array, axes: tuple[int, int], scale: float, reach: float, *, left: float
) -> str:
    a, b = axes
    block = covariance[np.ix_(axes, axes)] * scale**2
    values, vectors = np.linalg.eigh(block)
    long, short = np.sqrt(chi2.ppf(0.95, 2) * np.maximum(values[::-1], 0.0))
    half = _SIDE / 2
    per_unit = (half - 2) / reach
    # SVG's y goes down, so angles turn the other way round.
    angle = -np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1]))
    x, y = left + half, half
    return (
        f'<rect class="frame" x="{left:.0f}" y="0" width="{_SIDE}" height="{_SIDE}"/>'
        f'<line class="grid" x1="{left:.0f}" x2="{left + _SIDE:.0f}" y1="{y}" y2="{y}"/>'
        f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{_SIDE}"/>'
        f'<ellipse class="region" cx="{x}" cy="{y}" rx="{max(long * per_unit, 1):.1f}"'
        f' ry="{max(short * per_unit, 1):.1f}" transform="rotate({angle:.1f} {x} {y})"/>'
        f'<text x="{left + _SIDE - 6:.0f}" y="{y - 5:.0f}" text-anchor="end">{"xyz"[a]}</text>'
        f'<text x="{x + 6:.0f}" y="14">{"xyz"[b]}</text>'
    )


def corner_chart(
    seen: Sequence[Detection], residuals: Sequence[Array], size: tuple[int, int], *, label: str
) -> Markup:
    """Draws where in the picture corners were seen, and how far off, 30 times as long.

    Args:
        seen: What was used.
        residuals: Per picture (m, 2), predicted minus seen [px].
        size: Width and height of the pictures [px].
        label: Read by screen readers.
    """
    width, height = size
    counts = cell_counts(seen, size)
    parts = [f'<rect class="frame" x="0" y="0" width="{width}" height="{height}"/>']
    for row in range(CELLS[1]):
        for column in range(CELLS[0]):
            count = int(counts[row, column])
            style = "empty" if count == 0 else "full"
            opacity = 1.0 if count == 0 else min(count, 30) / 30
            parts.append(
                f'<rect class="{style}" fill-opacity="{0.55 * opacity:.2f}"'
                f' x="{column * width / CELLS[0]:.1f}" y="{row * height / CELLS[1]:.1f}"'
                f' width="{width / CELLS[0]:.1f}" height="{height / CELLS[1]:.1f}">'
                f"<title>{count} corners</title></rect>"
            )
    pixels = np.concatenate([d.pixels for d in seen]) if seen else np.zeros((0, 2))
    off = np.concatenate(residuals) if residuals else np.zeros((0, 2))
    every = max(1, -(-len(pixels) // _MOST_ARROWS))
    dots = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in pixels[::every])
    arrows = "".join(
        f"M{x:.0f} {y:.0f}l{_ARROW_LENGTH * u:.0f} {_ARROW_LENGTH * v:.0f}"
        for (x, y), (u, v) in zip(pixels[::every], off[::every], strict=True)
    )
    thick = width / 320
    parts.append(f'<path class="off" stroke-width="{thick:.1f}" d="{arrows}"/>')
    parts.append(f'<path class="dot" stroke-width="{2.2 * thick:.1f}" d="{dots}"/>')
    return _svg("".join(parts), label, width, height)


def direction_chart(camera_T_board: Array, used: Sequence[bool], *, label: str) -> Markup:
    """Draws from where the board was looked at: the middle is straight on, the rim 60 degrees.

    Args:
        camera_T_board: (n, 4, 4).
        used: (n,) False for poses that were left out.
        label: Read by screen readers.
    """
    half, rim = 110.0, np.deg2rad(60.0)
    parts = [
        f'<circle class="grid ring" cx="{half}" cy="{half}" r="{(half - 14) * k / 3:.1f}"/>'
        f'<text x="{half + 3:.0f}" y="{half - (half - 14) * k / 3 + 12:.0f}">{20 * k}°</text>'
        for k in (1, 2, 3)
    ]
    for pose, active in zip(camera_T_board, used, strict=True):
        towards = -pose[:3, :3].T @ pose[:3, 3]
        x, y, z = towards / np.linalg.norm(towards)
        tilt = float(np.arccos(np.clip(-z, -1.0, 1.0)))
        away = (half - 14) * min(tilt / rim, 1.1) / max(float(np.hypot(x, y)), 1e-9)
        parts.append(
            f'<circle class="{"estimate" if active else "dropped"}" r="4.5"'
            f' cx="{half + away * x:.1f}" cy="{half + away * y:.1f}">'
            f"<title>{np.rad2deg(tilt):.0f} degrees</title></circle>"
        )
    return _svg("".join(parts), label, int(2 * half), int(2 * half))


def _nice(value: float) -> float:
    """The next larger of 1, 1.5, 2, 3, 5 and 7 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(f * power for f in (1, 1.5, 2, 3, 5, 7, 10) if f * power >= value * 0.9999))


def _svg(body: str, label: str, width: int, height: int) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{Markup.escape(label)}">'
        f"{body}</svg>"
    )
