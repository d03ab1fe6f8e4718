"""Barcodes: for which range of resolutions ε each cluster of eigenvalues exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..statistics.dendrogram import Dendrogram
from .look import COLOURS, HATCH, NEUTRAL, UNRESOLVED, log_axis, new_chart, say


def barcode_chart(dendrogram: Dendrogram, *, title: str = "", count: int = 25) -> go.Figure:
    """Draw the `count` longest bars, from the ε at which a cluster is whole to the ε at which it merges.

    Bars are sorted by death - birth in units of λ, which is not their length on the logarithmic axis. A cluster of
    exactly repeated eigenvalues is whole at ε = 0; its bar starts at the left edge with a triangle. So does one that is
    whole far below the largest error of a gap, which is shaded.

    Args:
        dendrogram: of one segment.
        title: stands above the chart.
        count: how many bars to show.
    """
    bars, shown = dendrogram.barcode(), slice(0, count)
    births, deaths, errors = bars.births[shown], bars.deaths[shown], bars.errors[shown]
    figure = new_chart(title=title, height=170 + 20 * max(6, len(births)))
    if not len(births):
        return say(figure, f"no cluster separates from the others ({len(dendrogram.eigenvalues):,} eigenvalues)")
    unresolved = min(dendrogram.resolution, float(deaths.min()))
    edge = max(float(np.concatenate([births[births > 0], deaths]).min()), unresolved) / 2
    lows = dendrogram.eigenvalues[bars.starts[shown]]
    highs = dendrogram.eigenvalues[bars.stops[shown] - 1]
    resolved, bounded, places = bars.resolved[shown], bars.bounded[shown], np.arange(len(births))
    kinds: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "longer than its error": (resolved & bounded, {"color": COLOURS[0]}),
        "touches a hole: the death is only an upper limit": (
            resolved & ~bounded,
            {"color": COLOURS[4], "pattern": HATCH | {"bgcolor": COLOURS[4]}},
        ),
        "unresolved: not longer than its error": (
            ~resolved,
            {"color": "rgba(0, 0, 0, 0)", "line": {"color": NEUTRAL, "width": 1}},
        ),
    }
    for name, (mask, marker) in kinds.items():
        if mask.any():
            starts = np.maximum(births[mask], edge)
            figure.add_bar(
                y=places[mask],
                base=starts,
                x=deaths[mask] - starts,
                width=0.7,
                orientation="h",
                marker=marker,
                error_x=None if "unresolved" in name else {"type": "data", "array": errors[mask], "width": 0},
                customdata=np.stack([births, deaths, errors, bars.sizes[shown], lows, highs], axis=1)[mask],
                name=name,
                hovertemplate="%{customdata[3]:,} eigenvalues from %{customdata[4]:.5g} to %{customdata[5]:.5g}<br>"
                "one cluster for ε from %{customdata[0]:.4g} to %{customdata[1]:.4g} (± %{customdata[2]:.1g})"
                f"<extra>{name}</extra>",
            )
    beyond = births < edge
    if beyond.any():
        figure.add_scatter(
            x=np.full(beyond.sum(), edge),
            y=places[beyond],
            mode="markers",
            marker={"symbol": "triangle-left", "size": 9, "color": NEUTRAL},
            name="born further left" if births[beyond].any() else "birth at ε = 0: repeated eigenvalues",
            hoverinfo="skip",
        )
    if dendrogram.resolution > edge:
        figure.add_shape(
            type="rect",
            x0=0.9 * edge,
            x1=min(dendrogram.resolution, 3 * float(deaths.max())),
            y0=0,
            y1=1,
            yref="paper",
            fillcolor=UNRESOLVED,
            line_width=0,
            layer="below",
            name="ε ≤ largest gap error",
            showlegend=True,
        )
    names = zip(bars.sizes[shown], lows, highs, strict=True)
    figure.update_yaxes(
        tickvals=places,
        ticktext=[f"{size:,} in [{low:.4g}, {high:.4g}]" for size, low, high in names],
        tickfont_size=11,
        range=[len(births) - 0.4, -0.6],
        showgrid=False,
        title_text="cluster: number of eigenvalues in [their range]",
    )
    log_axis(figure, 0.9 * edge, 3 * float(deaths.max()), "resolution ε (units of λ)", which="x")
    return figure
