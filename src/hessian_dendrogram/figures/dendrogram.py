"""Dendrograms of the eigenvalues at a few steps of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.segments import NOTHING, TITLES, by_segment
from ..views.steps import key_positions
from ..views.tree import drawing_floor, floor_reason, height_limits, link_points
from .eigenvalue_axis import apply_axis, axis_label
from .style import COLOURS, STYLE, UNRESOLVED, new_figure, say

Floats = NDArray[np.float64]
_COLUMNS = {"all": slice(None), "bottom": slice(0, 1), "top": slice(1, 2)}
_LARGE_GAPS = 6


@matplotlib.rc_context(STYLE)
def dendrogram_snapshots(
    steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "", most_steps: int = 4
) -> Figure:
    """Draw the dendrogram at up to `most_steps` steps: the first, the last, and some between.

    The shaded region has no structure: the merges there are unresolved, at or below the largest gap error of the
    panel, or they are not among its 1,000 largest; the heading says which. The clusters that the six largest gaps
    leave are coloured; eigenvalues that they leave alone are black.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step; the segments of a partial one stand side by side, with the hole between them marked.
        title: stands above the figure.
        most_steps: how many steps to show.
    """
    chosen = key_positions(len(steps), most_steps)
    found = by_segment([spectra[position] for position in chosen])
    if not found:
        figure = new_figure(2.5, title)
        say(figure.add_subplot(), NOTHING)
        return figure
    # Complete spectra fill a grid of two columns; where segments stand side by side, each step has a row.
    split = any(name != "all" for name in found)
    columns = 2 if split else min(2, len(chosen))
    rows = len(chosen) if split else -(-len(chosen) // columns)
    figure = new_figure(0.4 + 2.9 * rows, title)
    grid = figure.add_gridspec(rows, columns)
    for row, position in enumerate(chosen):
        names = [name for name in found if row in found[name]]
        for name in names:
            place = grid[row, _COLUMNS[name]] if split else grid[divmod(row, columns)]
            drawn = list(found[name].values())
            axis = EigenvalueAxis.around(*((tree.eigenvalues, tree.error_bounds) for tree in drawn))
            heading = f"step {steps[position]:,}: {TITLES[name]}"
            draw_tree(figure.add_subplot(place), found[name][row], axis, height_limits(drawn), heading)
        if not names:
            axes = figure.add_subplot(grid[row, :] if split else grid[divmod(row, columns)], xticks=[], yticks=[])
            say(axes, f"step {steps[position]:,}: no eigenvalue has converged")
    return figure


def draw_tree(
    axes: Axes, dendrogram: Dendrogram, axis: EigenvalueAxis, heights: tuple[float, float], heading: str
) -> None:
    """Draw one dendrogram into a panel whose ε axis has the limits `heights`."""
    floor, count = drawing_floor(dendrogram), len(dendrogram.eigenvalues)
    apply_axis(axes, axis, which="x", most=8)
    axes.set(yscale="log", ylim=heights, xlabel=axis_label(axis), ylabel="merge height ε (units of λ)")
    axes.axhspan(heights[0], floor, color=UNRESOLVED, zorder=0)
    points = link_points(dendrogram, axis)
    shown = points[:, 1, 1] > floor
    points[:, :, 1] = np.maximum(points[:, :, 1], floor)
    rug = np.stack([np.repeat(dendrogram.eigenvalues, 2), np.tile([heights[0], floor], count)], axis=1)
    _draw_pieces(axes, rug.reshape(count, 2, 2), color="0.5", linewidth=0.3)
    colours = _link_colours(axes, dendrogram, floor)
    for colour in dict.fromkeys(colours[shown].tolist()):
        _draw_pieces(axes, points[shown & (colours == colour)], color=colour, linewidth=0.7)
    _mark_holes(axes, dendrogram, axis)
    if not shown.any():
        say(axes, "no gap larger than the errors" if count > 1 else "one eigenvalue: no gap")
    text = f"{heading} ({count:,})\nshaded: {floor_reason(dendrogram)}"
    # A legend wider than its panel would take the room of the panel, so its lines are short.
    style: Any = {"frameon": False, "alignment": "left", "title_fontsize": 7, "columnspacing": 1.0, "handlelength": 1.5}
    axes.legend(loc="lower left", bbox_to_anchor=(-0.03, 1), ncols=2, title=text, **style)


def _draw_pieces(axes: Axes, pieces: Floats, **style: Any) -> None:
    """Draw lines, shape (lines, points, 2), as one line with breaks: matplotlib draws that ten times faster."""
    breaks = np.full((len(pieces), 1, 2), np.nan)
    x, y = np.concatenate([pieces, breaks], axis=1).reshape(-1, 2).T
    axes.plot(x, y, solid_joinstyle="miter", rasterized=True, **style)


def _link_colours(axes: Axes, dendrogram: Dendrogram, floor: float) -> NDArray[np.str_]:
    """Choose a colour per merge: that of its cluster where only the largest gaps are open, black above."""
    order = np.argsort(dendrogram.gap_sizes, kind="stable")  # as `linkage` merges
    sorted_gaps = dendrogram.gap_sizes[order]
    cut = max(floor, float(sorted_gaps[-_LARGE_GAPS - 1])) if len(order) > _LARGE_GAPS else floor
    labels = dendrogram.labels(cut)
    sizes = np.bincount(labels)
    colours = np.full(len(order), "#000000")
    groups = [int(label) for label in np.argsort(-sizes, kind="stable") if sizes[label] > 1]
    for colour, label in zip(COLOURS, groups, strict=False):
        members = np.flatnonzero(labels == label)
        low, high = dendrogram.eigenvalues[members[[0, -1]]]
        colours[(labels[order] == label) & (sorted_gaps <= cut)] = colour
        axes.plot([], [], color=colour, label=f"{len(members):,} in [{low:.3g}, {high:.3g}]")
    alone = int((sizes == 1).sum())
    axes.plot([], [], color="black", label=f"{alone:,} alone; larger merges" if alone else "larger merges")
    return colours


def _mark_holes(axes: Axes, dendrogram: Dendrogram, axis: EigenvalueAxis) -> None:
    """Hatch the sides at which unknown eigenvalues adjoin, up to the edge of the axis."""
    values = dendrogram.eigenvalues
    sides = [(axis.low, values[0])] * dendrogram.hole_below + [(values[-1], axis.high)] * dendrogram.hole_above
    for low, high in sides:
        axes.axvspan(low, high, facecolor="none", edgecolor="0.6", hatch="/////", linewidth=0, label="hole: not known")
