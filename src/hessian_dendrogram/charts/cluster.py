"""One cluster of eigenvalues: its values, and in which layers its eigenvectors lie."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..layout import Layout
from ..statistics.dendrogram import Dendrogram
from ..views.layers import layer_colours, part_layers
from .look import COLOURS, NEUTRAL, css, hollow, label_of, light, new_chart

_MOST_VECTORS = 60


def cluster_eigenvalues(dendrogram: Dendrogram, start: int, stop: int, *, title: str = "") -> go.Figure:
    """Draw the eigenvalues of a cluster by rank with their error bounds, and both neighbours outside.

    Args:
        dendrogram: of one segment.
        start: number of the cluster's first eigenvalue.
        stop: one more than the number of its last.
        title: stands above the chart.
    """
    figure = new_chart(title=title, height=340)
    around = np.arange(max(0, start - 1), min(len(dendrogram.eigenvalues), stop + 1))
    values, bounds = dendrogram.eigenvalues, dendrogram.error_bounds
    for name, mask, colour, symbol in (
        ("in the cluster", (around >= start) & (around < stop), COLOURS[0], "circle"),
        ("next outside", (around < start) | (around >= stop), NEUTRAL, hollow("diamond")),
    ):
        shown = around[mask]
        if len(shown):
            figure.add_scatter(
                x=shown + 1,
                y=values[shown],
                error_y={"type": "data", "array": bounds[shown], "width": 2, "thickness": 1},
                mode="markers",
                marker={"color": colour, "symbol": symbol, "size": 5 if len(shown) > 100 else 8},
                customdata=light(bounds[shown]),
                name=f"{name} ({len(shown):,})",
                hovertemplate="number %{x:,} from the bottom<br>λ = %{y:.8g} ± %{customdata:.1g}<extra></extra>",
            )
    figure.update_xaxes(title_text="number of the eigenvalue in its segment, from the smallest", tickformat=",d")
    if len(around) <= 12:
        figure.update_xaxes(tickvals=around + 1)
    figure.update_yaxes(title_text="eigenvalue λ (bars: error bounds)", exponentformat="power")
    return figure


def layer_shares(
    layout: Layout,
    numbers: NDArray[np.int64],
    eigenvalues: NDArray[np.float64],
    shares: NDArray[np.float64],
    *,
    title: str = "",
) -> go.Figure:
    """Draw how much of each eigenvector lies in each layer: the sum of v_i² over its parameters.

    Args:
        layout: of the parameters.
        numbers: which eigenvalues of the spectrum the vectors belong to, shape (m,).
        eigenvalues: theirs, shape (m,).
        shares: as `Run.shares` gives them, shape (parts, m).
        title: stands above the chart; it says how many of more than 60 vectors are drawn.
    """
    layers, of_parts = part_layers(layout)
    names = [label_of(layer) for layer in layers]
    chosen = np.argsort(-np.abs(eigenvalues), kind="stable")[:_MOST_VECTORS]
    chosen = chosen[np.argsort(-eigenvalues[chosen], kind="stable")]
    some = f", the {len(chosen)} of largest magnitude of {len(numbers):,}" if len(chosen) < len(numbers) else ""
    figure = new_chart(title=title + some, height=360)
    by_layer = np.zeros((len(names), shares.shape[1]))
    np.add.at(by_layer, of_parts, shares)
    below = np.zeros(len(chosen))
    for layer, colour in enumerate(layer_colours(len(names))):
        figure.add_bar(
            x=np.arange(len(chosen)),
            y=light(by_layer[layer, chosen]),
            base=light(below),
            width=0.9,
            marker={"color": css(colour), "line": {"width": 0}},
            customdata=np.stack([eigenvalues, numbers + 1], axis=1)[chosen],
            name=names[layer],
            hovertemplate="λ = %{customdata[0]:.5g} (number %{customdata[1]:,})<br>"
            f"{names[layer]}: %{{y:.1%}} of the eigenvector<extra></extra>",
        )
        below += by_layer[layer, chosen]
    stride = -(-len(chosen) // 20)
    figure.update_xaxes(
        tickvals=np.arange(len(chosen))[::stride],
        ticktext=[f"{eigenvalues[index]:.3g}" for index in chosen[::stride]],
        title_text="eigenvectors, by their eigenvalue λ",
        showgrid=False,
        range=[-0.6, max(3, len(chosen)) - 0.4],
    )
    figure.update_yaxes(title_text="share of the eigenvector", range=[0, 1], tickformat=".0%")
    return figure
