"""Two or more spectra over each other: leading eigenvalues by rank, and numbers of clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import single_linkage
from ..texts import listed
from ..views.segments import resolution_grid
from .look import COLOURS, NEUTRAL, SYMBOLS, label_of, light, log_axis, note, panels, say

_LEADING = 100


def comparison_chart(spectra: Mapping[str, Spectrum], *, title: str = "") -> go.Figure:
    """Draw the 100 leading eigenvalues of each spectrum with their error bounds, and n(ε).

    Only eigenvalues above their error bound fit the logarithmic axis; a note names a spectrum that is left out.

    Args:
        spectra: by a name that says which; checkpoints of one analysis, or analyses of one checkpoint.
        title: stands above the chart.
    """
    names = [f"{title}: leading eigenvalues".removeprefix(": "), "number of clusters n(ε)"]
    figure = panels(names, columns=2, height=440)
    _add_leading(figure, spectra)
    _add_counts(figure, spectra)
    figure.update_layout(hovermode="closest")
    return figure


def _add_leading(figure: go.Figure, spectra: Mapping[str, Spectrum]) -> None:
    drawn: list[float] = []
    for number, (name, spectrum) in enumerate(spectra.items()):
        segments = spectrum.segments()
        if not {"all", "top"} & set(segments):
            continue
        part = segments["all"] if "all" in segments else segments["top"]
        values, bounds = spectrum.eigenvalues[part][::-1][:_LEADING], spectrum.error_bounds[part][::-1][:_LEADING]
        shown = np.flatnonzero(values > bounds)
        drawn += values[shown].tolist()
        colour = COLOURS[number % len(COLOURS)]
        figure.add_scatter(
            x=shown + 1,
            y=values[shown],
            error_y={"type": "data", "array": bounds[shown], "width": 0, "thickness": 1},
            mode="lines+markers",
            line={"width": 1, "color": colour},
            marker={"size": 6, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            customdata=bounds[shown],
            name=label_of(name),
            legendgroup=str(number),
            hovertemplate="number %{x} from the top<br>λ = %{y:.6g} ± %{customdata:.1g}"
            f"<extra>{label_of(name)}</extra>",
            row=1,
            col=1,
        )
    left_out = [name for name, spectrum in spectra.items() if not {"all", "top"} & set(spectrum.segments())]
    if left_out and drawn:
        note(figure, f"left out: no largest eigenvalue of {listed(left_out)} has converged", row=1, col=1)
    if not drawn:
        say(figure, "left out: no largest eigenvalue is known and surely positive", row=1, col=1)
        return
    log_axis(figure, 0.9, 1.1 * _LEADING, "rank, from the largest (log scale)", which="x", row=1, col=1)
    label = "eigenvalue λ (log scale; bars: error bounds)"
    log_axis(figure, 0.7 * min(drawn), 1.5 * max(drawn), label, row=1, col=1)


def _add_counts(figure: go.Figure, spectra: Mapping[str, Spectrum]) -> None:
    panel: dict[str, Any] = {"row": 1, "col": 2}
    trees = {name: single_linkage(spectrum) for name, spectrum in spectra.items() if "all" in spectrum.segments()}
    if not trees:
        say(figure, "left out: n(ε) needs every eigenvalue, converged", **panel)
        return
    if len(trees) < len(spectra):
        partial = listed([name for name in spectra if name not in trees])
        note(figure, f"left out: not every eigenvalue of {partial} is known", **panel)
    grid = resolution_grid(list(trees.values()), 300)
    for name, tree in trees.items():
        number = list(spectra).index(name)
        resolved, colour = grid > tree.resolution, COLOURS[number % len(COLOURS)]
        unresolved = {"color": NEUTRAL, "dash": "dot", "width": 1}
        for mask, line, label, group in (
            (~resolved, unresolved, "unresolved: ε ≤ largest gap error", "unresolved"),
            (resolved, {"color": colour, "width": 1.6}, label_of(name), str(number)),
        ):
            figure.add_scatter(
                x=light(grid[mask]),
                y=tree.num_clusters(grid[mask]),
                mode="lines",
                line={"shape": "hv", **line},
                name=label,
                legendgroup=group,
                showlegend=group == "unresolved" and name == next(iter(trees)),
                hovertemplate=f"ε = %{{x:.3g}}<br>n(ε) = %{{y:,}}<extra>{label_of(name)}</extra>",
                **panel,
            )
    most = max(float(tree.num_clusters(0.0)) for tree in trees.values())
    log_axis(figure, grid[0], grid[-1], "resolution ε (units of λ)", which="x", **panel)
    log_axis(figure, 0.8, 1.5 * most, "number of clusters n(ε)", **panel)
