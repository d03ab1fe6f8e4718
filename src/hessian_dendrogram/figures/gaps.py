"""The largest spectral gaps over training, by rank, with their errors and the number of eigenvalues beyond each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.segments import NOTHING, TITLES, by_segment, counted_from_the_end
from .style import COLOURS, STYLE, new_figure, say, step_ticks

_MARKERS = ("o", "s", "^", "D", "v", "P")


@matplotlib.rc_context(STYLE)
def largest_gaps(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "", count: int = 6) -> Figure:
    """Draw the `count` largest gaps at every step, and below them a table that says where in the spectrum each gap is.

    A line follows a *rank*, not one gap between the same eigenvalues: the table shows when another gap takes the
    rank. Gaps not larger than their errors are hollow. Exactly repeated eigenvalues have a gap of zero, which a
    logarithmic axis cannot show and the table leaves empty. Each segment of a partial spectrum has its own panels.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
        count: how many gaps, at most 6.
    """
    found = by_segment(spectra)
    figure = new_figure(0.3 + 4.4 * max(1, len(found)), title)
    if not found:
        say(figure.add_subplot(), NOTHING)
        return figure
    grid = figure.add_gridspec(2 * len(found), 1, height_ratios=[2.4, 1] * len(found))
    for row, (name, dendrograms) in enumerate(found.items()):
        upper, lower = figure.add_subplot(grid[2 * row]), figure.add_subplot(grid[2 * row + 1])
        upper.set_title(TITLES[name], loc="left")
        _draw_sizes(upper, dendrograms, count)
        step_ticks(upper, list(steps))
        upper.set(xlabel="", xticklabels=[])
        _draw_table(lower, dendrograms, name, len(steps), count)
        lower.set_ylabel("gap number" if name == "all" else f"gap number\n({TITLES[name]})")
        step_ticks(lower, list(steps))
    return figure


def _draw_sizes(axes: Axes, dendrograms: Mapping[int, Dendrogram], count: int) -> None:
    axes.set_yscale("log", nonpositive="clip")
    drawn = False
    for rank in range(count):
        rows = [(i, dendrogram.gaps(count)) for i, dendrogram in dendrograms.items()]
        rows = [(i, gaps) for i, gaps in rows if rank < len(gaps.sizes) and gaps.sizes[rank] > 0]
        if not rows:
            continue
        drawn = True
        positions = np.array([i for i, _ in rows]) + 0.09 * (
            rank - (count - 1) / 2
        )  # side by side, so bars do not hide
        sizes, errors = (np.array([getattr(gaps, name)[rank] for _, gaps in rows]) for name in ("sizes", "errors"))
        resolved = sizes > errors
        colour, marker = COLOURS[rank], _MARKERS[rank]
        axes.plot(positions, np.where(resolved, sizes, np.nan), color=colour, linewidth=0.7, alpha=0.6)
        for kind, face in ((resolved, colour), (~resolved, "white")):
            style: Any = {"fmt": marker, "color": colour, "markerfacecolor": face, "elinewidth": 0.7}
            axes.errorbar(positions[kind], sizes[kind], yerr=errors[kind], **style)
        axes.plot([], [], marker, color=colour, label=f"{rank + 1}")
    if not drawn:
        say(axes, "no two different eigenvalues at these steps")
        return
    positive = [sizes[sizes > 0].min() for d in dendrograms.values() if (sizes := d.gaps(count).sizes).any()]
    axes.set_ylim(bottom=min(positive) / 2)
    axes.set_ylabel("size of the gap (units of λ)\nbars: sum of the error bounds of its ends")
    axes.plot([], [], "o", color="0.4", markerfacecolor="white", label="not larger than its error")
    axes.legend(title="gap number, the largest first", ncols=7, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)


def _draw_table(axes: Axes, dendrograms: Mapping[int, Dendrogram], segment: str, num_steps: int, count: int) -> None:
    """Write how many eigenvalues lie beyond each gap, as a table; unresolved gaps grey, in brackets."""
    upright, side = num_steps <= 12, "above"
    for position, dendrogram in dendrograms.items():
        gaps = dendrogram.gaps(count)
        numbers, side = counted_from_the_end(gaps, segment)
        for rank in np.flatnonzero(gaps.sizes > 0).tolist():
            resolved = bool(gaps.resolved[rank])
            text = f"{numbers[rank]}" if resolved else f"({numbers[rank]})"
            size = 7.0 if upright else max(2.5, min(5.5, 150 / num_steps))
            colour = COLOURS[rank] if resolved else "0.6"
            axes.text(position, rank, text, ha="center", va="center", size=size, color=colour)
    axes.set(ylim=(count - 0.5, -0.5), yticks=range(count), yticklabels=[str(rank + 1) for rank in range(count)])
    axes.set_title(
        f"number of eigenvalues {side} the gap; (in brackets): the gap is not larger than its error", loc="left"
    )
