"""Barcodes: for which range of resolutions ε each cluster of eigenvalues exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.segments import NOTHING, TITLES, by_segment
from .style import COLOURS, STYLE, new_figure, say

_RESOLVED, _UNRESOLVED, _UNBOUNDED = COLOURS[0], "white", COLOURS[4]


@matplotlib.rc_context(STYLE)
def barcode(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "", count: int = 25) -> Figure:
    """Draw the `count` longest bars at the first and the last step, one panel for each segment.

    A bar reaches from the ε at which a cluster of at least two eigenvalues is whole to the ε at which it merges with a
    neighbour. Bars are sorted by their length death - birth in units of λ, which is not their length on the logarithmic
    axis. A cluster of exactly repeated eigenvalues is whole at ε = 0; its bar starts at the left edge with an arrow.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
        count: how many bars to show in a panel.
    """
    chosen = sorted({0, len(steps) - 1})
    found = by_segment([spectra[position] for position in chosen])
    if not found:
        figure = new_figure(2.5, title)
        say(figure.add_subplot(), NOTHING)
        return figure
    longest = {name: max(len(d.barcode().births[:count]) for d in drawn.values()) for name, drawn in found.items()}
    heights = [0.8 + 0.15 * max(6, bars) for bars in longest.values()]
    figure = new_figure(sum(heights) + 0.6, title)
    grid = figure.add_gridspec(len(found), len(chosen), height_ratios=heights)
    for row, name in enumerate(found):
        for column, position in enumerate(chosen):
            axes = figure.add_subplot(grid[row, column])
            axes.set_title(f"step {steps[position]:,}: {TITLES[name]}", loc="left")
            if column == 0:
                axes.set_ylabel("cluster: number of eigenvalues in [their range]\nlongest bar, death − birth, first")
            if column in found[name]:
                _draw_bars(axes, found[name][column], count)
            else:
                say(axes, f"no segment of {TITLES[name]} at this step")
    _legend(figure, list(found))
    return figure


def _draw_bars(axes: Axes, dendrogram: Dendrogram, count: int) -> None:
    bars = dendrogram.barcode()
    shown = slice(0, count)
    births, deaths, errors = bars.births[shown], bars.deaths[shown], bars.errors[shown]
    if not len(births):
        say(axes, f"no cluster separates from the others ({len(dendrogram.eigenvalues):,} eigenvalues)")
        axes.set(xticks=[], yticks=[])
        return
    edge = float(np.concatenate([births[births > 0], deaths]).min()) / 2
    axes.set(xscale="log", xlim=(edge, 3 * deaths.max()), xlabel="resolution ε (units of λ)")
    resolved, bounded, places = bars.resolved[shown], bars.bounded[shown], np.arange(len(births))
    starts = np.maximum(births, edge)
    faces = np.where(~resolved, _UNRESOLVED, np.where(bounded, _RESOLVED, _UNBOUNDED)).tolist()
    hatches = np.where(bounded, "", "////").tolist()
    axes.barh(places, deaths - starts, 0.7, starts, color=faces, hatch=hatches, edgecolor="0.3", linewidth=0.5)
    # A hollow bar says that its error is longer than the bar.
    style: Any = {"fmt": "none", "ecolor": "black", "elinewidth": 0.6, "capsize": 0}
    axes.errorbar(deaths[resolved], places[resolved], xerr=errors[resolved], **style)
    if (births == 0).any():  # an empty line that is not clipped would upset the layout
        axes.plot(np.full((births == 0).sum(), edge), places[births == 0], "<", color="black", clip_on=False)
    ends = zip(dendrogram.eigenvalues[bars.starts[shown]], dendrogram.eigenvalues[bars.stops[shown] - 1], strict=True)
    names = [f"{size:,} in [{low:.4g}, {high:.4g}]" for size, (low, high) in zip(bars.sizes[shown], ends, strict=True)]
    axes.set_yticks(range(len(names)), names, size=5.5)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)


def _legend(figure: Figure, names: list[str]) -> None:
    handles = [
        Patch(facecolor=_RESOLVED, edgecolor="0.3", label="longer than its error"),
        Patch(facecolor=_UNRESOLVED, edgecolor="0.3", label="unresolved: not longer than its error"),
    ]
    if names != ["all"]:
        label = "touches a hole: the death is only an upper limit"
        handles.append(Patch(facecolor=_UNBOUNDED, edgecolor="0.3", hatch="////", label=label))
    left = figure.axes[0].plot([], [], "<", color="black", label="birth at ε = 0: repeated eigenvalues")
    figure.legend(handles=[*handles, *left], loc="outside lower center", ncols=2, frameon=False)
