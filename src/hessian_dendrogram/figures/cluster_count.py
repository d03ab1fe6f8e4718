"""The number of clusters n(ε) of the eigenvalue dendrogram over training: as a heatmap, and as one curve per step.

Below the dendrogram's resolution, the largest error of any gap, numerical errors alone could change n(ε). There the
heatmap is hatched instead of coloured, and the curves are grey and dashed. Each segment of a partial spectrum has its
own panel, since the hole between them is not a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..views.cluster_count import resolved_counts
from ..views.segments import NOTHING, TITLES, by_segment, resolution_grid
from .style import STYLE, UNRESOLVED, new_figure, say, step_ticks

Floats = NDArray[np.float64]
_Panels = list[tuple[Axes, dict[int, Dendrogram]]]
_RESOLUTIONS = 300
_EPSILON = "resolution ε (units of λ)"


@matplotlib.rc_context(STYLE)
def cluster_count_heatmap(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "") -> Figure:
    """Draw n(ε) in colour over training step and resolution.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
    """
    figure, panels = _panels(spectra, title, 3.9)
    for axes, dendrograms in panels:
        resolutions = resolution_grid(list(dendrograms.values()), _RESOLUTIONS)
        counts = resolved_counts(dendrograms, len(steps), resolutions)
        mesh = axes.pcolormesh(
            np.arange(len(steps)),
            resolutions,
            counts,
            norm=LogNorm(1, max(2.0, float(np.nan_to_num(counts).max()))),
            cmap="viridis",
            rasterized=True,
        )
        figure.colorbar(mesh, ax=axes, label="number of clusters n(ε)", pad=0.01)
        hatched = np.full(len(steps), resolutions[-1])
        for position, dendrogram in dendrograms.items():
            hatched[position] = np.clip(dendrogram.resolution, resolutions[0], resolutions[-1])
        style: Any = {"color": UNRESOLVED, "hatch": "////", "linewidth": 0}
        axes.bar(np.arange(len(steps)), hatched - resolutions[0], 1, resolutions[0], **style)
        axes.set(yscale="log", ylim=(resolutions[0], resolutions[-1]), ylabel=_EPSILON)
        step_ticks(axes, list(steps))
        label = "unresolved: ε ≤ largest gap error (or no eigenvalue)"
        unresolved = Patch(facecolor=UNRESOLVED, hatch="////", label=label)
        axes.legend(handles=[unresolved], loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    return figure


@matplotlib.rc_context(STYLE)
def cluster_count_curves(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "") -> Figure:
    """Draw n(ε) as one curve per step, coloured by progress of training; grey and dashed where it is unresolved.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
    """
    figure, panels = _panels(spectra, title, 3.4)
    # Without the brightest yellow, which is weak on white; two boundaries are the fewest that a norm takes.
    palette = matplotlib.colormaps["viridis"](np.linspace(0, 0.93, len(steps)))
    colours = ScalarMappable(BoundaryNorm(np.arange(len(steps) + 1) - 0.5, len(steps)), ListedColormap(palette))
    for axes, dendrograms in panels:
        resolutions = resolution_grid(list(dendrograms.values()), 2 * _RESOLUTIONS)
        for position, dendrogram in dendrograms.items():
            counts, resolved = dendrogram.num_clusters(resolutions), resolutions > dendrogram.resolution
            # The first resolved point belongs to both parts, so that the curve does not break.
            dashed = np.concatenate([[True], ~resolved[:-1]])
            axes.step(resolutions[dashed], counts[dashed], where="post", color="0.6", linestyle="--", linewidth=0.7)
            axes.step(resolutions[resolved], counts[resolved], where="post", color=palette[position], linewidth=1)
        axes.set(xscale="log", yscale="log", xlabel=_EPSILON, ylabel="number of clusters n(ε)")
        axes.set(xlim=(resolutions[0], resolutions[-1]))
        axes.plot([], [], "--", color="0.6", linewidth=0.7, label="unresolved: ε ≤ largest gap error of its step")
        axes.legend(loc="upper right")
    if panels:
        bar = figure.colorbar(colours, ax=figure.axes, label="training step", pad=0.01)
        step_ticks(bar.ax, list(steps), which="y", most=25)
        bar.ax.minorticks_off()
    return figure


def _panels(spectra: Sequence[Spectrum], title: str, height: float) -> tuple[Figure, _Panels]:
    """Make a figure with one panel, `height` inches high, per segment."""
    found = by_segment(spectra)
    figure = new_figure(0.3 + height * max(1, len(found)), title)
    panels: _Panels = []
    for row, (name, dendrograms) in enumerate(found.items()):
        axes = figure.add_subplot(len(found), 1, row + 1)
        axes.set_title(TITLES[name], loc="left")
        panels.append((axes, dendrograms))
    if not found:
        say(figure.add_subplot(), NOTHING)
    return figure, panels
