"""The magnitude of a Hessian as an image, its parameters in the order of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from .axes import Linear
from .branch_layers import CLUSTERS
from .key_steps import key_positions
from .known import PICTURES, Known
from .marks import Facts, HeatMap, Line, Region, Scale
from .picture import Panel, Picture, in_rows, nothing

SENTENCE = (
    "How strongly two groups of parameters are coupled: the mean |H_ij| of each block, the parameters in the order of "
    "the tree; white lines are the borders of its clusters, and bright squares between them are what the tree found."
)
_BORDER = "#FFFFFF"
_SHOWN = (1.0, 99.0)  # percentiles of the means with the first and the last colour: a few are far beyond the others
_BAR = "block mean |H_ij|, i ≠ j (1 % beyond each end)"


def picture_limits(pictures: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """The block means with the first and the last colour, both > 0 unless every picture is zero."""
    positive = np.concatenate([picture[picture > 0].ravel() for picture in pictures])
    if not positive.size:
        return 0.0, 0.0
    low, high = np.percentile(positive, _SHOWN).tolist()
    return min(low, high / 10), high


def coupling(
    steps: Sequence[int],
    trees: Sequence[BipartitionTree],
    pictures: Sequence[NDArray[np.float32]],
    *,
    k: int = CLUSTERS,
    limits: tuple[float, float] | None = None,
    title: str = "",
    most: int = 4,
) -> Picture:
    """Show block means of |H_ij| off the diagonal at up to `most` steps, with the borders of `cut(k)`.

    The pictures are those of `Run.coupling_picture`, shape (blocks, blocks). `limits` are the means with the first and
    the last colour; default as `picture_limits` chooses them.
    """
    chosen = key_positions(len(steps), most)
    if not any(pictures[position].any() for position in chosen):
        return nothing(title, SENTENCE, "no parameter is coupled to another")
    scale = Scale(_BAR, limits or picture_limits([pictures[position] for position in chosen]), logarithmic=True)
    text = f"white: borders of cut({k})"
    panels = [_panel(trees[i], pictures[i], k, scale, f"step {steps[i]:,}; {text}") for i in chosen]
    rows = in_rows(panels, 2)
    return Picture(rows, title, SENTENCE, height=5.2 if len(panels) == 1 else 2.75 * len(rows))


PICTURES["coupling"] = Known(
    "tree",
    "|H| in the order of the tree",
    SENTENCE,
    at=lambda a, i: coupling([a.steps[i]], [a.results[i]], [a.images[i]], limits=picture_limits(a.images)),
    printed=lambda a: coupling(a.steps, a.results, a.images),
    most_steps=5,
)


def _panel(tree: BipartitionTree, picture: NDArray[np.float32], k: int, scale: Scale, title: str) -> Panel:
    edges = np.linspace(0, tree.size, len(picture) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    said = "parameters around {column:,.0f} and {row:,.0f} of the order\nmean |H_ij| {mean:.3g}"
    facts = Facts(said, {"column": middles, "row": middles[:, None], "mean": picture})
    heat = HeatMap(edges, edges, np.where(picture > 0, picture, np.nan), scale, facts)
    x, y = [], []
    for border in tree.stops[tree.cut(k)].tolist():
        x += [border, border, np.nan, 0, tree.size, np.nan]
        y += [0, tree.size, np.nan, border, border, np.nan]
    axis = Linear("parameters, in the order of the tree", (0.0, float(tree.size)), ",d")
    upright = Linear("parameters", (float(tree.size), 0.0), ",d")
    none = [Region(label="no coupling at all")] if (picture == 0).any() else []
    return Panel((*none, heat, Line(x, y, _BORDER, 0.8)), x=axis, y=upright, title=title, square=True)
