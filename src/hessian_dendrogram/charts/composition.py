"""Which layers the largest clusters of parameters are made of, over training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..views.branches import cluster_layers
from ..views.layers import layer_colours, layer_names
from .look import css, label_of, panels
from .step_axis import StepAxis


def composition_chart(
    steps: StepAxis, trees: Sequence[BipartitionTree], layout: Layout, *, k: int = 6, title: str = ""
) -> go.Figure:
    """Draw the k clusters of `cut(k)`, the largest first, as bars of parameters by layer.

    Args:
        steps: the analysed training steps.
        trees: one per step.
        layout: of the parameters.
        k: clusters, at least 1.
        title: stands above the chart.
    """
    names = [label_of(layer) for layer in layer_names(layout)[0]]
    counts = np.zeros((k, len(trees), len(names)), dtype=np.int64)
    for column, tree in enumerate(trees):
        found = cluster_layers(tree, layout, k)
        counts[: len(found), column] = found
    columns, rows = min(2, k), -(-k // 2)
    first = f"{title}: cluster 1 by size, of {k}".removeprefix(": ")
    titles = [first, *(f"cluster {row + 1} by size" for row in range(1, k))]
    figure = panels(titles, columns=columns, height=170 + 200 * rows, spacing=0.34 / max(1, rows))
    for rank in range(k):
        place = {"row": rank // 2 + 1, "col": rank % 2 + 1}
        totals = counts[rank].sum(axis=1)
        for layer, colour in enumerate(layer_colours(len(names))):
            figure.add_bar(
                x=np.arange(len(trees)),
                y=counts[rank, :, layer],
                base=counts[rank, :, :layer].sum(axis=1),
                width=0.85,
                marker={"color": css(colour), "line": {"width": 0}},
                customdata=np.stack([np.array(steps.steps), totals], axis=1),
                name=names[layer],
                legendgroup=str(layer),
                showlegend=rank == 0,
                hovertemplate=f"step %{{customdata[0]:,}}<br>{names[layer]}: %{{y:,}} of %{{customdata[1]:,}} "
                f"parameters<extra>cluster {rank + 1}</extra>",
                **place,
            )
        steps.apply(figure, title=rank >= k - columns, most=13, **place)
        figure.update_yaxes(title_text="parameters" if rank % 2 == 0 else None, tickformat=",d", **place)
    return figure
