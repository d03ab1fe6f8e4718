"""Trees of recursive bipartition, the branches coloured by the layer that their parameters belong to."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..views.branches import branch_layers, describe_tree, layer_counts
from ..views.layers import layer_colours, layer_names
from ..views.steps import key_positions
from .style import STYLE, label_of, legend_below, new_figure

MIXED = "0.55"


@matplotlib.rc_context(STYLE)
def parameter_dendrograms(
    steps: Sequence[int], trees: Sequence[BipartitionTree], layout: Layout, *, title: str = "", most: int = 4
) -> Figure:
    """Draw the trees at up to `most` steps, and under each the share of every layer in every leaf.

    The width of a branch is its number of parameters, the height of a cut the number of levels below it. A branch has
    the colour of a layer that has two thirds of its parameters.
    """
    chosen = key_positions(len(steps), most)
    names, layers = layer_names(layout)
    colours = layer_colours(len(names))
    figure = new_figure(0.6 + 2.3 * len(chosen), title)
    grid = figure.add_gridspec(2 * len(chosen), 1, height_ratios=[3, 1] * len(chosen))
    for row, position in enumerate(chosen):
        tree = trees[position]
        counts = layer_counts(tree, layers, len(names))
        above, below = (figure.add_subplot(grid[2 * row + part]) for part in (0, 1))
        _draw_tree(above, tree, counts, colours)
        _draw_leaves(below, tree, counts, colours)
        above.set_title(f"step {steps[position]:,}: {describe_tree(tree)}", loc="left")
        if row == len(chosen) - 1:
            below.set_xlabel("parameters, in the order of the tree")
        else:
            below.set_xticklabels([])
    handles = [Patch(color=colour, label=label_of(name)) for name, colour in zip(names, colours, strict=True)]
    handles.append(Patch(color=MIXED, label="branch: no layer has two thirds"))
    if any(tree.isolated.size for tree in trees):
        handles.append(Patch(facecolor="white", edgecolor="0.6", hatch="////", label="isolated"))
    legend_below(figure, handles, 6)
    return figure


def _draw_tree(
    axes: Axes, tree: BipartitionTree, counts: NDArray[np.int64], colours: list[tuple[float, float, float]]
) -> None:
    centres = (tree.starts + tree.stops) / 2
    branch = [colours[layer] if layer >= 0 else matplotlib.colors.to_rgb(MIXED) for layer in branch_layers(counts)]
    lines, line_colours = [], []
    for node in range(1, len(tree.parents)):
        parent = tree.parents[node]
        x, y, top = centres[node], tree.levels[node], tree.levels[parent]
        lines.append([(centres[parent], top), (x, top), (x, y)])
        line_colours.append(branch[node])
    axes.add_collection(LineCollection(lines, colors=line_colours, linewidths=0.8, capstyle="projecting"))
    axes.set(xlim=(0, tree.size), ylim=(0, 1.05 * max(1, int(tree.levels[0]))), ylabel="levels below", xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def _draw_leaves(
    axes: Axes, tree: BipartitionTree, counts: NDArray[np.int64], colours: list[tuple[float, float, float]]
) -> None:
    leaves = tree.leaves
    shares = counts[leaves] / counts[leaves].sum(axis=1, keepdims=True)
    edges, bottom = np.stack([tree.starts[leaves], tree.stops[leaves]], axis=1).ravel(), np.zeros(2 * len(leaves))
    for layer, colour in enumerate(colours):  # one area for each layer: a bar for each leaf would be thousands
        top = bottom + np.repeat(shares[:, layer], 2)
        axes.fill_between(edges, bottom, top, color=colour, linewidth=0, rasterized=True)
        bottom = top
    if tree.isolated.size:
        axes.axvspan(len(tree.order), tree.size, facecolor="white", edgecolor="0.6", hatch="////", linewidth=0)
    axes.set(xlim=(0, tree.size), ylim=(0, 1), ylabel="share in leaf")
