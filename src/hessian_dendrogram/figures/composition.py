"""Which layers the largest clusters of parameters are made of, over training."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..views.branches import cluster_layers
from ..views.layers import layer_colours, layer_names
from .style import STYLE, label_of, legend_below, new_figure, step_ticks


@matplotlib.rc_context(STYLE)
def composition(
    steps: Sequence[int], trees: Sequence[BipartitionTree], layout: Layout, *, k: int = 6, title: str = ""
) -> Figure:
    """Draw the k clusters of `cut(k)`, the largest first, as bars of parameters by layer."""
    names, _ = layer_names(layout)
    colours = layer_colours(len(names))
    counts = np.zeros((k, len(steps), len(names)), dtype=np.int64)
    for column, tree in enumerate(trees):
        found = cluster_layers(tree, layout, k)
        counts[: len(found), column] = found
    rows = -(-k // 2)
    figure = new_figure(1.6 * rows + 0.8, title)
    panels = figure.subplots(rows, 2, sharex=True, squeeze=False).ravel()
    for row, axes in enumerate(panels[:k]):
        bottom = np.zeros(len(steps))
        for layer, colour in enumerate(colours):
            axes.bar(np.arange(len(steps)), counts[row, :, layer], 0.85, bottom, color=colour, linewidth=0)
            bottom += counts[row, :, layer]
        axes.set_title(f"cluster {row + 1} by size, of {k}", loc="left")
    for axes in panels[::2]:
        axes.set_ylabel("parameters")
    for axes in panels[k:]:
        axes.set_visible(False)
    for axes in panels[max(0, k - 2) : k]:
        step_ticks(axes, list(steps), most=15)
        axes.tick_params(axis="x", labelbottom=True)
    handles = [Patch(color=colour, label=label_of(name)) for name, colour in zip(names, colours, strict=True)]
    legend_below(figure, handles, 7)
    return figure
