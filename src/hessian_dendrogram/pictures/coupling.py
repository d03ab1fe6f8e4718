"""The magnitude of a Hessian as an image, its parameters in the order of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from ..views.coupling import picture_limits
from ..views.steps import key_positions
from .axes import Linear
from .facts import Facts
from .marks import HeatMap, Line, Region
from .picture import Panel, Picture
from .segments import nothing

SENTENCE = (
    "How strongly two groups of parameters are coupled: the mean |H_ij| of each block, the parameters in the order of "
    "the tree; white lines are the borders of its clusters, and bright squares between them are what the tree found."
)
_BORDER = "#FFFFFF"


def coupling(
    steps: Sequence[int],
    trees: Sequence[BipartitionTree],
    pictures: Sequence[NDArray[np.float32]],
    *,
    k: int = 6,
    limits: tuple[float, float] | None = None,
    title: str = "",
    most: int = 4,
) -> Picture:
    """Show block means of |H_ij| off the diagonal at up to `most` steps, with the borders of `cut(k)`.

    Args:
        steps: the analysed training steps, ascending.
        trees: one per step.
        pictures: one per step as `Run.coupling_picture` gives them, shape (blocks, blocks).
        k: clusters whose borders are drawn.
        limits: of the colours, the smallest and the largest mean; default those of the pictures shown.
        title: stands above.
        most: how many steps to show.
    """
    chosen = key_positions(len(steps), most)
    if not any(pictures[position].any() for position in chosen):
        return nothing(title, SENTENCE, "no parameter is coupled to another")
    floor, largest = limits or picture_limits([pictures[position] for position in chosen])
    panels = [
        _panel(trees[i], pictures[i], k, (floor, largest), f"step {steps[i]:,}; white: borders of cut({k})")
        for i in chosen
    ]
    rows = tuple(tuple(panels[start : start + 2]) for start in range(0, len(panels), 2))
    height = 5.2 if len(panels) == 1 else 2.75 * len(rows)
    return Picture(rows, title, SENTENCE, height=height)


def _panel(
    tree: BipartitionTree, picture: NDArray[np.float32], k: int, limits: tuple[float, float], heading: str
) -> Panel:
    edges = np.linspace(0, tree.size, len(picture) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    row, column = np.meshgrid(middles, middles, indexing="ij")
    heat = HeatMap(
        edges,
        edges,
        np.where(picture > 0, np.maximum(picture, limits[0]), np.nan),
        limits=limits,
        bar="block mean of |H_ij|, i ≠ j (log scale)",
        logarithmic=True,
        facts=Facts(
            "parameters around {column:,.0f} and {row:,.0f} of the order\nmean |H_ij| {mean:.3g}",
            {"column": column, "row": row, "mean": picture},
        ),
    )
    x, y = [], []
    for border in tree.stops[tree.cut(k)].tolist():
        x += [border, border, np.nan, 0, tree.size, np.nan]
        y += [0, tree.size, np.nan, border, border, np.nan]
    none = Region(label="no coupling at all")
    axis = Linear("parameters, in the order of the tree", (0.0, float(tree.size)), ",d")
    upright = Linear("parameters", (float(tree.size), 0.0), ",d")
    return Panel((none, heat, Line(x, y, _BORDER, 0.8)), x=axis, y=upright, title=heading, square=True)
