"""Which layers the largest clusters of parameters are made of, over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..statistics.layers import CLUSTERS, cluster_layers, layer_names
from .axes import Linear, Steps
from .marks import stacked_bars
from .picture import PICTURES, Known, Panel, Picture, in_rows, over

SENTENCE = (
    "Each panel is one of the largest clusters of the parameter dendrogram by its rank at a step, at another the "
    "rank may be of others; a bar is the number of its parameters, or groups, in the colours of their layers."
)


def composition(
    steps: Sequence[int] | Steps,
    trees: Sequence[BipartitionTree],
    layout: Layout,
    *,
    k: int = CLUSTERS,
    title: str = "",
) -> Picture:
    """Show the k largest clusters of `cut(k)`, the largest first, as bars of parameters, or of groups, by layer.

    Groups of the layout, where it has some, are shown in place of layers; ranks that no step has are left out.
    """
    at, names, noun = Steps.of(steps), layer_names(layout)[0], trees[0].vertices
    counts = np.zeros((k, len(names), len(trees)), dtype=np.int64)
    for position, tree in enumerate(trees):
        found = cluster_layers(tree, layout, k)
        counts[: len(found), :, position] = found
    rows = in_rows([_panel(at, counts[rank], names, rank + 1, k, noun) for rank in range(k) if counts[rank].any()], 2)
    return Picture(rows, title, SENTENCE, height=1.6 * len(rows) + 0.4)


PICTURES["composition"] = Known(
    "tree", "Composition of the largest clusters", SENTENCE, over(composition, "layout"), tab="Over training"
)


def _panel(at: Steps, counts: NDArray[np.int64], names: list[str], rank: int, k: int, noun: str) -> Panel:
    totals, said = counts.sum(axis=0), f"cluster {rank}\n{{layer}}: {{height:,}} of {{total:,}} {noun}"
    bars = stacked_bars(counts, names, 0.85, f"step {{step:,}}, {said}", {"step": at.steps, "total": totals})
    y = Linear(noun, (0.0, 1.05 * float(totals.max())), ",d")
    return Panel(bars, x=at, y=y, title=f"cluster {rank} of {k}")
