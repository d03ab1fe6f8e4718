"""How strongly a coupling graph holds together over training: λ₂, the first cut, isolated parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..results.tree import BipartitionTree
from .look import COLOURS, MUTED, log_axis, panels, say
from .step_axis import StepAxis

_HOVER = "step %{customdata:,}<br>%{y:.5g}"


def connectivity_chart(steps: StepAxis, trees: Sequence[BipartitionTree], *, title: str = "") -> go.Figure:
    """Draw the algebraic connectivity of the graph of all parameters but the isolated ones, and what is beside it.

    A hollow mark says that the vector of the first cut was one of many, so that the cut is arbitrary.

    Args:
        steps: the analysed training steps.
        trees: one per step.
        title: stands above the chart.
    """
    names = [
        "algebraic connectivity λ₂, without the isolated parameters",
        "first cut",
        "isolated parameters",
    ]
    names[0] = f"{title}: {names[0]}".removeprefix(": ")
    figure = panels(names, height=700, spacing=0.09, shared_xaxes=True)
    _add_connectivity(figure, steps, np.array([float(tree.connectivities[0]) for tree in trees]), trees)
    for name, label, colour, symbol in (
        ("eigenvalues", f"eigenvalue of the {trees[0].laplacian} Laplacian", COLOURS[0], "circle"),
        ("conductances", "conductance", COLOURS[1], "square"),
    ):
        values = [float(getattr(tree, name)[0]) for tree in trees]
        _add_points(figure, steps, np.arange(len(trees)), values, trees, label, colour, symbol, row=2)
    figure.update_yaxes(rangemode="tozero", title_text="eigenvalue, conductance<br>(no unit)", row=2)
    isolated = [len(tree.isolated) for tree in trees]
    _add_points(figure, steps, np.arange(len(trees)), isolated, None, "isolated", COLOURS[2], "diamond", row=3)
    whole_numbers = {"dtick": 1} if max(isolated) < 5 else {}
    title_text = f"parameters, of {trees[0].size:,}"
    figure.update_yaxes(rangemode="tozero", title_text=title_text, tickformat=",d", row=3, **whole_numbers)
    for row in (1, 2, 3):
        steps.apply(figure, title=row == 3, row=row, col=1)
    figure.update_layout(hovermode="closest")
    return figure


def _add_connectivity(figure: go.Figure, steps: StepAxis, found: np.ndarray, trees: Sequence[BipartitionTree]) -> None:
    if np.isnan(found).all():
        say(figure, "no cut was made: min_size is the whole graph", row=1, col=1)
        return
    positions = np.flatnonzero((found > 0) & np.isfinite(found))
    if len(positions):
        chosen = [trees[position] for position in positions.tolist()]
        _add_points(figure, steps, positions, found[positions].tolist(), chosen, "λ₂", COLOURS[3], "circle", row=1)
        low, high = found[positions].min(), found[positions].max()
        log_axis(figure, 0.7 * low, 1.5 * high, "λ₂ (units of |H_ij|,<br>log scale)", row=1)
    for number, position in enumerate(np.flatnonzero(found == 0).tolist()):
        figure.add_scatter(
            x=[position, position],
            y=[found[positions].min(), found[positions].max()] if len(positions) else [0, 1],
            mode="lines",
            line={"dash": "dot", "color": MUTED, "width": 2},
            name="λ₂ = 0: the graph falls into several components",
            showlegend=number == 0,
            hovertemplate=f"step {steps.steps[position]:,}: several components<extra></extra>",
            row=1,
            col=1,
        )


def _add_points(
    figure: go.Figure,
    steps: StepAxis,
    positions: Any,
    values: Sequence[float],
    trees: Sequence[BipartitionTree] | None,
    label: str,
    colour: str,
    symbol: str,
    *,
    row: int,
) -> None:
    arbitrary = [bool(tree.is_degenerate[0]) for tree in trees] if trees else [False] * len(values)
    figure.add_scatter(
        x=positions,
        y=values,
        mode="lines+markers",
        line={"width": 1.4, "color": colour},
        marker={"size": 8, "symbol": [f"{symbol}-open" if is_open else symbol for is_open in arbitrary]},
        customdata=np.array(steps.steps)[positions],
        text=["<br>arbitrary cut: the vector was one of many" if is_open else "" for is_open in arbitrary],
        name=label + (" (hollow: arbitrary cut, degenerate)" if any(arbitrary) else ""),
        hovertemplate=f"{_HOVER}%{{text}}<extra>{label}</extra>",
        row=row,
        col=1,
    )
