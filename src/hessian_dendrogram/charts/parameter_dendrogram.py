"""A tree of recursive bipartition, its branches coloured by the layer that their parameters belong to."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..layout import Layout
from ..results.tree import BipartitionTree
from ..views.branches import branch_layers, describe_tree, layer_counts
from ..views.layers import layer_colours, layer_names
from .branches import branch_lines
from .look import HATCH, NEUTRAL, css, label_of, light, panels

Integers = NDArray[np.int64]
_HOVER = 40  # points from left to right that say what a leaf is made of
_HEIGHTS = (0.12, 0.37, 0.63, 0.88)  # where they stand
_MOST_LAYERS = 8  # that are named


def parameter_dendrogram(tree: BipartitionTree, layout: Layout, *, k: int | None = None, title: str = "") -> go.Figure:
    """Draw a tree, and under it the share of every layer in every leaf.

    The height of a cut is the number of levels below it. A branch has the colour of a layer that has two thirds of its
    parameters. Cuts along a vector that was one of many are arbitrary, and marked.

    Args:
        tree: of one checkpoint.
        layout: of the parameters.
        k: mark the clusters of `tree.cut(k)`; default none.
        title: stands above the chart.
    """
    known, layers = layer_names(layout)
    names = [label_of(layer) for layer in known]
    colours = [css(colour) for colour in layer_colours(len(names))]
    counts = layer_counts(tree, layers, len(names))
    heading = f"{title}: {describe_tree(tree)}".removeprefix(": ")
    figure = panels(
        [heading, "share of each layer in each leaf"],
        height=560,
        row_heights=[0.72, 0.28],
        spacing=0.1,
        shared_xaxes=True,
    )
    _add_branches(figure, tree, counts, names, colours)
    _add_nodes(figure, tree, counts, names)
    if k is not None:
        _add_clusters(figure, tree, k)
    _add_leaves(figure, tree, counts, names, colours)
    figure.update_xaxes(range=[0, tree.size], showgrid=False)
    figure.update_xaxes(title_text="parameters, in the order of the tree", tickformat=",d", row=2)
    figure.update_yaxes(title_text="levels below", range=[-0.3, 1.08 * max(1, int(tree.levels[0]))], row=1)
    figure.update_yaxes(title_text="share", range=[0, 1], row=2)
    figure.update_layout(hovermode="closest")
    return figure


def _add_branches(
    figure: go.Figure, tree: BipartitionTree, counts: Integers, names: list[str], colours: list[str]
) -> None:
    branches = ((tree.starts + tree.stops) / 2, tree.levels.astype(float), tree.parents)
    owners = branch_layers(counts)
    for layer, (name, colour) in enumerate([*zip(names, colours, strict=True), ("no layer has two thirds", NEUTRAL)]):
        chosen = np.flatnonzero((owners == (layer if layer < len(names) else -1)) & (tree.parents >= 0))
        if len(chosen) or layer < len(names):
            # A layer that colours no branch still colours leaves, and has its name in the legend.
            x_line, y_line, _ = branch_lines(*branches, chosen) if len(chosen) else ([None], [None], None)
            figure.add_scatter(
                x=x_line,
                y=y_line,
                mode="lines",
                line={"width": 1.4, "color": colour},
                name=name,
                legendgroup=str(layer),
                hoverinfo="skip",
                row=1,
                col=1,
            )


def _add_nodes(figure: go.Figure, tree: BipartitionTree, counts: Integers, names: list[str]) -> None:
    """An unobtrusive mark on every cut, with its numbers as hover text; hollow where the cut is arbitrary."""
    inner = np.array([node for node, below in enumerate(tree.children) if below], dtype=np.int64)
    for is_arbitrary, label in ((False, "cut"), (True, "arbitrary cut: its vector is one of many (degenerate λ₂)")):
        nodes = inner[tree.is_degenerate[inner] == is_arbitrary]
        if not len(nodes):
            continue
        main = counts[nodes].argmax(axis=1)
        share = counts[nodes].max(axis=1) / counts[nodes].sum(axis=1)
        figure.add_scatter(
            x=light((tree.starts[nodes] + tree.stops[nodes]) / 2),
            y=tree.levels[nodes],
            mode="markers",
            marker={
                "symbol": "circle-open" if is_arbitrary else "circle",
                "size": 7 if is_arbitrary else 4,
                "color": NEUTRAL,
            },
            customdata=np.stack(
                [
                    tree.stops[nodes] - tree.starts[nodes],
                    tree.eigenvalues[nodes],
                    tree.connectivities[nodes],
                    tree.conductances[nodes],
                    100 * share,
                ],
                axis=1,
            ),
            text=[names[layer] for layer in main],
            name=label,
            hovertemplate="%{customdata[0]:,} parameters, %{customdata[4]:.0f} % of them of %{text}<br>"
            f"eigenvalue of the {tree.laplacian} Laplacian %{{customdata[1]:.4g}}<br>λ₂ %{{customdata[2]:.4g}}<br>"
            f"conductance %{{customdata[3]:.4g}}<extra>{label}</extra>",
            row=1,
            col=1,
        )


def _add_clusters(figure: go.Figure, tree: BipartitionTree, k: int) -> None:
    nodes = tree.cut(k)
    figure.add_scatter(
        x=light((tree.starts[nodes] + tree.stops[nodes]) / 2),
        y=tree.levels[nodes],
        mode="markers",
        marker={"symbol": "diamond", "size": 10, "color": "black", "line": {"width": 1.2, "color": "white"}},
        customdata=tree.stops[nodes] - tree.starts[nodes],
        name=f"the {len(nodes)} clusters of cut({k})",
        hovertemplate="cluster of %{customdata:,} parameters<extra></extra>",
        row=1,
        col=1,
    )


def _leaf_text(names: list[str], shares: NDArray[np.float64], size: int) -> str:
    """A leaf in words, with the layers that have most of it."""
    most = [layer for layer in np.argsort(-shares, kind="stable")[:_MOST_LAYERS].tolist() if shares[layer] > 0]
    return f"leaf of {size:,} parameters" + "".join(f"<br>{names[layer]}: {shares[layer]:.0%}" for layer in most)


def _add_leaves(
    figure: go.Figure, tree: BipartitionTree, counts: Integers, names: list[str], colours: list[str]
) -> None:
    """One area for each layer; a bar for each leaf would be hundreds of elements, which the browser lays out again."""
    leaves = tree.leaves
    sizes = counts[leaves].sum(axis=1)
    shares = counts[leaves] / sizes[:, None]
    starts, stops = tree.starts[leaves], tree.stops[leaves]
    edges = np.stack([starts, stops], axis=1)
    for layer, (name, colour) in enumerate(zip(names, colours, strict=True)):
        figure.add_scatter(
            x=light(edges).ravel(),
            y=light(np.repeat(shares[:, layer], 2)),
            mode="none",
            stackgroup="leaves",
            fillcolor=colour,
            hoverinfo="skip",
            name=name,
            legendgroup=str(layer),
            showlegend=False,
            row=2,
            col=1,
        )
    # What hovering says, at points so close together that there is always one near.
    across = [
        np.linspace(start, stop, 2 * count + 1)[1::2]
        for start, stop, count in zip(starts, stops, -(-_HOVER * (stops - starts) // tree.size), strict=True)
    ]
    texts = [_leaf_text(names, leaf, size) for leaf, size in zip(shares, sizes.tolist(), strict=True)]
    owners = np.repeat(np.arange(len(leaves)), [len(places) for places in across])
    figure.add_scatter(
        x=light(np.tile(np.concatenate(across), len(_HEIGHTS))),
        y=np.repeat(_HEIGHTS, len(owners)),
        mode="none",
        text=[texts[owner] for owner in owners] * len(_HEIGHTS),
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
        row=2,
        col=1,
    )
    if tree.isolated.size:
        figure.add_bar(
            x=[(len(tree.order) + tree.size) / 2],
            y=[1],
            width=tree.size - len(tree.order),
            marker={"color": "rgba(0, 0, 0, 0)", "pattern": HATCH, "line": {"width": 0}},
            name=f"isolated ({len(tree.isolated):,})",
            hovertemplate="isolated: no coupling to any other parameter<extra></extra>",
            row=2,
            col=1,
        )
