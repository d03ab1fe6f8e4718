"""The dendrogram of one segment of a spectrum, cut at a resolution ε.

What is below the floor, unresolved or too fine for a page, is shaded and not drawn; the title says why.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from ..statistics.dendrogram import Dendrogram
from ..views.clusters import Clusters, clusters_at
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.tree import MOST_ON_SCREEN, drawing_floor, floor_reason, height_limits, node_points
from .branches import branch_lines
from .eigenvalue_axis import apply_axis, place
from .look import COLOURS, HATCH, NEUTRAL, UNRESOLVED, light, log_axis, new_chart

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_SMALLER = "#B0885A"  # clusters beyond the palette
_MOST_MARKS = 500  # clusters that are marked on the cut
_RUG = 600  # places along the axis that an eigenvalue's tick can have


def dendrogram_chart(
    dendrogram: Dendrogram,
    epsilon: float,
    *,
    axis: EigenvalueAxis | None = None,
    heights: tuple[float, float] | None = None,
    title: str = "",
) -> go.Figure:
    """Draw a dendrogram, with its clusters at ε in colours and marks on the cut that can be clicked.

    Args:
        dendrogram: of one segment.
        epsilon: resolution, in units of the eigenvalues.
        axis: of the eigenvalues; default around those of the dendrogram.
        heights: the limits of the ε axis; default as `views.tree.height_limits` chooses them.
        title: stands above the chart, with the number of clusters.
    """
    axis = axis or EigenvalueAxis.around((dendrogram.eigenvalues, dendrogram.error_bounds))
    low, high = heights or height_limits([dendrogram], MOST_ON_SCREEN)
    clusters = clusters_at(dendrogram, epsilon)
    figure = new_chart(title=f"{title}; {count_text(dendrogram, epsilon)}".removeprefix("; "), height=590)
    figure.add_traces(tree_traces(dendrogram, clusters, epsilon, axis, low))
    figure.add_traces(hole_traces(dendrogram, axis, (low, high)))
    _add_cut(figure, dendrogram, clusters, epsilon, axis)
    apply_axis(figure, axis, which="x", most=12)
    figure.update_xaxes(title_text=with_floor_reason(figure, dendrogram, MOST_ON_SCREEN))
    # Room for every entry on a narrow page, so that the panel keeps its size while ε moves.
    figure.update_layout(margin_b=200, legend={"entrywidth": 180, "entrywidthmode": "pixels"})
    log_axis(figure, low, high, "merge height ε (units of λ)")
    figure.update_layout(hovermode="closest")
    return figure


def tree_traces(
    dendrogram: Dendrogram,
    clusters: Clusters,
    epsilon: float,
    axis: EigenvalueAxis,
    bottom: float,
    *,
    most_merges: int = MOST_ON_SCREEN,
) -> list[go.Scatter]:
    """The shaded floor, the eigenvalues below it, the merges above ε, and one trace for each of the largest clusters.

    There are always as many traces, so that frames of an animation correspond.

    Args:
        dendrogram: of one segment.
        epsilon: resolution, in units of the eigenvalues.
        axis: of the eigenvalues.
        clusters: those at ε.
        bottom: where the ε axis ends, below the floor.
        most_merges: how many merges are drawn.
    """
    floor, count = drawing_floor(dendrogram, most_merges), len(dendrogram.eigenvalues)
    x, heights, parents, order = _placed_nodes(dendrogram, axis)
    tree = x, np.maximum(heights, floor), parents
    nodes = np.flatnonzero((parents >= 0) & (heights[parents] > floor))
    top, gap = heights[parents[nodes]], order[parents[nodes] - count]  # of the merge that each branch hangs from
    ends = place(axis, [axis.low, axis.high])
    shade = go.Scatter(
        x=light(ends[[0, 1, 1, 0, 0]]),
        y=light([bottom / 10, bottom / 10, floor, floor, bottom / 10]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=UNRESOLVED,
        hoverinfo="skip",
        name="unresolved or too fine",
    )
    places = place(axis, dendrogram.eigenvalues)
    rug = np.unique(np.round(places / (ends[1] - ends[0]) * _RUG)) * (ends[1] - ends[0]) / _RUG
    traces = [shade, _rug_line(rug, bottom, floor)]
    traces.append(_branch_line(tree, nodes[top > epsilon], heights, NEUTRAL, 1.2, "merges above ε"))
    below = top <= epsilon
    largest = [cluster for cluster in clusters.by_size() if clusters.sizes[cluster] > 1]
    for rank, colour in enumerate(COLOURS):
        if rank < len(largest):
            start, stop = clusters.starts[largest[rank]], clusters.stops[largest[rank]]
            low, high = dendrogram.eigenvalues[[start, stop - 1]]
            name = f"{stop - start:,} in [{low:.3g}, {high:.3g}]"
            inside = below & (gap >= start) & (gap < stop)
            line = _branch_line(tree, nodes[inside], heights, colour, 1.4, name)
            traces.append(line)
            below &= ~inside
            root = count + int(np.flatnonzero((order >= start) & (order < stop - 1))[-1])  # where all of it is merged
            if parents[root] >= 0 and epsilon > tree[1][root]:
                _extend_to_cut(line, x[root], tree[1][root], epsilon, heights[parents[root]])
        else:
            traces.append(_branch_line(tree, nodes[:0], heights, colour, 1.4, "", showlegend=False))
    more = {"showlegend": bool(below.any())}
    traces.append(_branch_line(tree, nodes[below], heights, _SMALLER, 1.2, "smaller clusters", **more))
    return traces


@lru_cache(maxsize=64)
def _placed_nodes(dendrogram: Dendrogram, axis: EigenvalueAxis) -> tuple[Floats, Floats, Integers, Integers]:
    """Places, heights and parents of all nodes, shape (2k - 1,) each, and the gap that each merge closes, (k - 1,)."""
    positions, heights = node_points(dendrogram, axis)
    children = dendrogram.linkage[:, :2].astype(np.int64)
    parents = np.full(len(positions), -1, dtype=np.int64)
    parents[children] = len(dendrogram.eigenvalues) + np.arange(len(children))[:, None]
    return place(axis, positions), heights, parents, np.argsort(dendrogram.gap_sizes, kind="stable")


def _branch_line(
    tree: tuple[Floats, Floats, Integers],
    nodes: Integers,
    heights: Floats,
    colour: str,
    width: float,
    name: str,
    **more: Any,
) -> go.Scatter:
    """Branches in one colour; every point of a merge's bar and stems says the merge's height."""
    x, y, owners = branch_lines(*tree, nodes)
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": colour, "width": width},
        customdata=light(heights[owners]),
        name=name,
        hovertemplate="merge at ε = %{customdata:.4g}<extra></extra>",
        **more,
    )


def _extend_to_cut(line: go.Scatter, x: float, bottom: float, top: float, merge: float) -> None:
    """Colour the stem of a whole cluster up to ε, where all of its own merges may be too fine to be drawn."""
    line.x = light([*line.x, x, x])
    line.y = light([*line.y, bottom, top])
    line.customdata = light([*line.customdata, merge, merge])


def _rug_line(places: Floats, bottom: float, floor: float) -> go.Scatter:
    """A tick for each place from the bottom to the floor; the pen goes from tick to tick along the axis."""
    return go.Scatter(
        x=light(np.repeat(places, 3)),
        y=light(np.tile([bottom, floor, bottom], len(places))),
        mode="lines",
        line={"color": NEUTRAL, "width": 0.5},
        opacity=0.6,
        name="eigenvalues",
        hoverinfo="skip",
    )


def _add_cut(
    figure: go.Figure, dendrogram: Dendrogram, clusters: Clusters, epsilon: float, axis: EigenvalueAxis
) -> None:
    """The line of ε, and on it a mark for each cluster."""
    figure.add_hline(max(epsilon, 1e-300), line={"color": COLOURS[1], "width": 1.2, "dash": "dash"})
    shown = np.sort(clusters.by_size()[:_MOST_MARKS])
    low, high = dendrogram.eigenvalues[clusters.starts[shown]], dendrogram.eigenvalues[clusters.stops[shown] - 1]
    sizes = clusters.sizes[shown]
    some = f" ({_MOST_MARKS} largest)" if len(shown) < len(clusters.starts) else ""
    figure.add_scatter(
        x=light((place(axis, low) + place(axis, high)) / 2),
        y=np.full(len(shown), epsilon),
        # Clicks on lines and their marks reach Python; those on bare marks do not.
        mode="lines+markers",
        line={"width": 0, "color": COLOURS[1]},
        marker={
            "size": light(6 + 4 * np.log10(sizes)),
            "color": COLOURS[1],
            "line": {"width": 1, "color": "white"},
            "opacity": 0.9,
        },
        customdata=np.stack([sizes, low, high, high - low, shown + 1], axis=1),
        name=f"a cluster at ε{some}",
        hovertemplate="cluster %{customdata[4]:,}: %{customdata[0]:,} eigenvalues<br>"
        "from %{customdata[1]:.5g} to %{customdata[2]:.5g}<br>width %{customdata[3]:.3g}<extra></extra>",
    )


def count_text(dendrogram: Dendrogram, epsilon: float) -> str:
    """ε and the number of clusters, unless errors alone could change it."""
    count = f"= {int(dendrogram.num_clusters(epsilon)):,}" if epsilon > dendrogram.resolution else "is unresolved"
    return f"ε = {epsilon:.3g}: n(ε) {count}"


def with_floor_reason(figure: go.Figure, dendrogram: Dendrogram, most_merges: int) -> str:
    """The name of the eigenvalue axis, and below it why a part is shaded."""
    return f"{figure.layout.xaxis.title.text}<br>shaded: {floor_reason(dendrogram, most_merges)}"


def hole_traces(dendrogram: Dendrogram, axis: EigenvalueAxis, heights: tuple[float, float]) -> list[go.Scatter]:
    """Hatch the sides at which unknown eigenvalues adjoin, up to the edge of the axis."""
    values = dendrogram.eigenvalues
    sides = [(axis.low, values[0])] * dendrogram.hole_below + [(values[-1], axis.high)] * dendrogram.hole_above
    return [
        go.Scatter(
            x=light(place(axis, [low, high, high, low, low])),
            y=light([heights[0], heights[0], heights[1], heights[1], heights[0]]),
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillpattern=HATCH,
            hoverinfo="skip",
            name="hole: values not known",
        )
        for low, high in sides
    ]
