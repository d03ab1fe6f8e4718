"""Which layers the largest clusters of parameters are made of, over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from .axes import Linear, Steps
from .branch_layers import cluster_layers
from .facts import Facts
from .layers import layer_colours, layer_names
from .marks import Bars
from .picture import Panel, Picture

SENTENCE = (
    "Each panel is one of the largest clusters of the parameter dendrogram by its rank at a step, at another the "
    "rank may be of other parameters; a bar is their number, in the colours of their layers."
)


def composition(
    steps: Sequence[int] | Steps, trees: Sequence[BipartitionTree], layout: Layout, *, k: int = 6, title: str = ""
) -> Picture:
    """Show the k largest clusters of `cut(k)`, the largest first, as bars of parameters by layer.

    Groups of the layout, where it has some, are shown in place of layers; ranks that no step has are left out.
    """
    at, names = Steps.of(steps), layer_names(layout)[0]
    counts = np.zeros((k, len(trees), len(names)), dtype=np.int64)
    for column, tree in enumerate(trees):
        found = cluster_layers(tree, layout, k)
        counts[: len(found), column] = found
    panels = [_panel(at, of_rank, names, rank, k) for rank, of_rank in enumerate(counts, start=1) if of_rank.any()]
    rows = tuple(tuple(panels[start : start + 2]) for start in range(0, len(panels), 2))
    return Picture(rows, title, SENTENCE, height=1.6 * len(rows) + 0.4)


def _panel(at: Steps, counts: NDArray[np.int64], names: list[str], rank: int, k: int) -> Panel:
    tops = counts.cumsum(axis=1)
    bars = []
    for layer, (name, colour) in enumerate(zip(names, layer_colours(len(names)), strict=True)):
        shown = np.flatnonzero(counts[:, layer])
        known = {"step": np.array(at.steps)[shown], "layer": [name] * len(shown), "count": counts[shown, layer]}
        known |= {"total": tops[shown, -1], "rank": np.full(len(shown), rank)}
        facts = Facts("step {step:,}, cluster {rank}\n{layer}: {count:,} of {total:,} parameters", known)
        starts, ends = tops[shown, layer] - counts[shown, layer], tops[shown, layer]
        if len(shown):
            bars.append(Bars(shown, starts, ends, 0.85, colour=colour, label=name, facts=facts))
    y = Linear("parameters", (0.0, 1.05 * float(tops.max())), ",d")
    return Panel(tuple(bars), x=at, y=y, title=f"cluster {rank} of {k}")
