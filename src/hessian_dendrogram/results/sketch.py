"""Tiny pictures of results as SVG, in the colour of the text around them: no library, no text, no identifiers.

What is not known is faint: values that did not converge, values whose bounds are wide, unresolved merges.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

WIDTH, _EDGE, _FAINT = 420, 6, 0.3
_PIXELS = WIDTH - 2 * _EDGE
_MERGES = 40  # of a sketch of an eigenvalue dendrogram
MERGES = (
    f"Merges at the {_MERGES} largest gaps, or all, by size on a logarithmic axis, the largest eigenvalues right; "
    "what is closer together is one stem, and faint merges are not resolved."
)
Floats = NDArray[np.float64]


def barcode(values: Floats, bounds: Floats, is_known: NDArray[np.bool_]) -> str:
    """A line at each eigenvalue, on a linear axis from the smallest to the largest; a long one at zero.

    Args:
        values: shape (k,), ascending.
        bounds: of their errors, shape (k,); one that is wider than a pixel is drawn as a faint bar.
        is_known: which of them are certain, shape (k,); the others are faint.
    """
    low, high = float(values[0]), float(values[-1])
    span = high - low or 1.0

    def place(numbers: Floats) -> Floats:
        return _EDGE + np.clip((numbers - low) / span, 0, 1) * _PIXELS

    is_finite = np.isfinite(bounds)
    is_known = is_known & is_finite
    parts = [_lines(place(values[is_known]), 8, 40, 1.0), _lines(place(values[~is_known]), 8, 40, _FAINT)]
    wide = is_finite & (bounds / span * _PIXELS > 1)
    for start, stop in _union(place(values[wide] - bounds[wide]), place(values[wide] + bounds[wide])):
        parts.append(_box(start, 8, stop - start, 32, 0.15))
    if low <= 0 <= high:
        parts.append(_lines(place(np.zeros(1)), 0, 48, 0.6))
    return _svg(48, parts)


def merges(gaps: Floats, resolved: NDArray[np.bool_]) -> str:
    """Single linkage from the gaps between neighbours: the tree above the 40 largest, heights on a logarithmic axis.

    Args:
        gaps: in the order of the eigenvalues, shape (k - 1,).
        resolved: which of them are larger than their errors; merges at the others are faint.
    """
    positive = np.flatnonzero(gaps > 0)
    cuts = np.sort(positive[np.argsort(-gaps[positive], kind="stable")[:_MERGES]])
    if not len(cuts):
        return ""
    height, heights = 120, np.log(gaps[cuts])
    span = float(np.ptp(heights)) or 1.0
    tops = height - 10 - (heights - heights.min() + 0.08 * span) / (1.08 * span) * (height - 20)
    leaves = np.linspace(_EDGE, WIDTH - _EDGE, len(cuts) + 1).tolist()
    runs = {number: (number, x, float(height - 10)) for number, x in enumerate(leaves)}  # last leaf: first, x, top
    parts = []
    for cut in np.argsort(heights, kind="stable").tolist():
        first, x, y = runs.pop(cut)
        last = min(number for number in runs if number > cut)
        _, other_x, other_y = runs[last]
        top = float(tops[cut])
        path = f"M{x:.1f} {y:.1f}V{top:.1f}H{other_x:.1f}V{other_y:.1f}"
        parts.append(f'<path d="{path}" fill="none" stroke="currentColor" opacity="{_ink(resolved[cuts[cut]])}"/>')
        runs[last] = (first, (x + other_x) / 2, top)
    return _svg(height, parts)


def nested(intervals: Iterable[tuple[float, float, int, bool]], depth: int) -> str:
    """Nested sets as rows of boxes, each below the one that it is part of.

    Args:
        intervals: of each set the start and the stop as shares of everything, the row, and whether it is certain.
        depth: the number of rows.
    """
    high = min(14.0, 160 / max(depth, 1))
    boxes = [
        _box(
            _EDGE + start * _PIXELS,
            2 + row * high,
            max((stop - start) * _PIXELS - 0.5, 0.2),
            high - 1,
            0.6 * _ink(known),
        )
        for start, stop, row, known in intervals
        if (stop - start) * _PIXELS >= 0.5
    ]
    return _svg(round(depth * high) + 4, boxes)


def curve(values: Floats) -> str:
    """A line through finite values at equal distances, on a linear axis from the smallest to the largest."""
    heights = values[np.isfinite(values)]
    if len(heights) < 2:
        return ""
    heights = heights[np.unique(np.linspace(0, len(heights) - 1, 400).astype(int))]
    span = float(np.ptp(heights)) or 1.0
    y = 44 - (heights - heights.min()) / span * 40
    places = zip(np.linspace(_EDGE, WIDTH - _EDGE, len(y)).tolist(), y.tolist(), strict=True)
    points = " ".join(f"{x:.1f},{height:.1f}" for x, height in places)
    return _svg(48, [f'<polyline points="{points}" fill="none" stroke="currentColor"/>'])


def _union(starts: Floats, stops: Floats) -> list[tuple[float, float]]:
    """Overlapping intervals as few that do not."""
    found: list[tuple[float, float]] = []
    for start, stop in sorted(zip(starts.tolist(), stops.tolist(), strict=True)):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def _ink(is_known: object) -> float:
    return 0.9 if is_known else _FAINT


def _lines(places: Floats, top: int, bottom: int, opacity: float) -> str:
    """Upright lines, one for each half pixel that has any."""
    halves = np.unique(np.round(2 * places)) / 2
    path = "".join(f"M{x:g} {top}V{bottom}" for x in halves.tolist())
    return f'<path d="{path}" stroke="currentColor" stroke-width="0.8" opacity="{opacity}"/>' if path else ""


def _box(x: float, y: float, width: float, height: float, opacity: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="currentColor" opacity="{opacity}"/>'


def _svg(height: int, parts: Iterable[str]) -> str:
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(parts)}</svg>'
