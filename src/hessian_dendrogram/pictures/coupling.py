"""The magnitude of a Hessian as an image, its parameters in the order of the tree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.tree import BipartitionTree
from ..statistics.layers import CLUSTERS, coupling_limits
from ..store.analysed import Analysed, Cut
from .axes import Linear, key_positions
from .marks import Facts, HeatMap, Line, Region, Scale
from .picture import PICTURES, Panel, Picture, in_rows, nothing, of_clusters

SENTENCE = (
    "How strongly two groups of parameters are coupled: the mean |H_ij| of each block, the parameters in the order of "
    "the tree; white lines are the borders of its clusters, and bright squares between them are what the tree found."
)
BORDER = "#FFFFFF"
"""The colour of the lines between clusters."""
_BAR = "block mean |H_ij|, i ≠ j (1 % beyond each end)"


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
    the last colour; default as `coupling_limits` chooses them.
    """
    chosen = key_positions(len(steps), most)
    if not any(pictures[position].any() for position in chosen):
        return nothing(title, SENTENCE, "no parameter is coupled to another")
    scale = Scale(_BAR, limits or coupling_limits([pictures[position] for position in chosen]), logarithmic=True)
    text = f"white: borders of cut({k})"
    panels = [_panel(trees[i], pictures[i], k, scale, f"step {steps[i]:,}; {text}") for i in chosen]
    rows = in_rows(panels, 2)
    return Picture(rows, title, SENTENCE, height=5.2 if len(panels) == 1 else 2.75 * len(rows))


def borders(tree: BipartitionTree, k: int) -> tuple[list[float], list[float]]:
    """The lines between the clusters of `cut(k)`, broken at NaN, in a square of the tree's size."""
    x: list[float] = []
    y: list[float] = []
    for border in tree.stops[tree.cut(k)].tolist():
        x += [border, border, np.nan, 0, tree.size, np.nan]
        y += [0, tree.size, np.nan, border, border, np.nan]
    return x, y


def _cut(cut: Cut) -> Picture | None:
    """At one step, in colours that are those of every step of all that is seen."""
    if not _is_of_parameters(cut.of):
        return None
    seen = {one.of for one in (cut, *cut.beside) if _is_of_parameters(one.of)}
    limits = coupling_limits([tree.picture for of in seen for tree in of.results])
    return coupling([cut.step], [cut.result], [cut.result.picture], k=int(cut.at), limits=limits, title=cut.name)


def _is_of_parameters(analysed: Analysed) -> bool:
    return all(tree.vertices == "parameters" for tree in analysed.results)


PICTURES["coupling"] = of_clusters(
    "|H| in the order of the tree",
    SENTENCE,
    _cut,
    printed=lambda a: coupling(a.steps, a.results, [tree.picture for tree in a.results]),
    applies=_is_of_parameters,
)


def _panel(tree: BipartitionTree, picture: NDArray[np.float32], k: int, scale: Scale, title: str) -> Panel:
    edges = np.linspace(0, tree.size, len(picture) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    said = "parameters around {column:,.0f} and {row:,.0f} of the order\nmean |H_ij| {mean:.3g}"
    facts = Facts(said, {"column": middles, "row": middles[:, None], "mean": picture})
    heat = HeatMap(edges, edges, np.where(picture > 0, picture, np.nan), scale, facts)
    axis = Linear("parameters, in the order of the tree", (0.0, float(tree.size)), ",d")
    upright = Linear("parameters", (float(tree.size), 0.0), ",d")
    none = [Region(label="no coupling at all")] if (picture == 0).any() else []
    return Panel((*none, heat, Line(*borders(tree, k), BORDER, 0.8)), x=axis, y=upright, title=title, square=True)
