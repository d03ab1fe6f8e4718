"""The magnitude of a Hessian as a picture, its parameters in the order of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from ..views.coupling import picture_limits
from ..views.steps import key_positions
from .style import STYLE, new_figure


@matplotlib.rc_context(STYLE)
def coupling_heatmap(
    steps: Sequence[int],
    trees: Sequence[BipartitionTree],
    pictures: Sequence[NDArray[np.float32]],
    *,
    k: int = 6,
    title: str = "",
    most: int = 4,
) -> Figure:
    """Draw block means of |H_ij| off the diagonal at up to `most` steps, with the borders of `cut(k)`."""
    chosen = key_positions(len(steps), most)
    floor, largest = picture_limits([pictures[position] for position in chosen])
    norm = LogNorm(floor, largest)
    rows = -(-len(chosen) // 2)
    figure = new_figure(2.85 * rows + 0.4, title)
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, position in zip(panels, chosen, strict=False):
        tree, picture = trees[position], pictures[position]
        image = axes.imshow(
            np.ma.masked_equal(np.where(picture > 0, np.maximum(picture, floor), 0), 0),
            norm=norm,
            cmap="viridis",
            extent=(0, tree.size, tree.size, 0),
        )
        axes.set_facecolor("0.85")  # no coupling at all
        for node in tree.cut(k):
            axes.axhline(tree.stops[node], color="white", linewidth=0.5)
            axes.axvline(tree.stops[node], color="white", linewidth=0.5)
        axes.set_title(f"step {steps[position]:,}", loc="left")
        axes.set(xlabel="parameters, in the order of the tree", ylabel="parameters")
    for axes in panels[len(chosen) :]:
        axes.set_visible(False)
    label = "mean of |H_ij| in a block, i ≠ j (log scale; grey: zero)"
    figure.colorbar(image, ax=list(panels), label=label, shrink=0.8)
    return figure
