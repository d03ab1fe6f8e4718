"""Dendrograms over training as an animation, one frame for each checkpoint, small enough to be sent at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from ..dendrogram import Dendrogram
from ..views.clusters import clusters_at
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.tree import height_limits
from .dendrogram import tree_traces
from .eigenvalue_axis import apply_axis
from .look import COLOURS, NEUTRAL, TEXT, log_axis, new_chart, say
from .step_axis import StepAxis

MOST_MERGES = 300
_MILLISECONDS = 700  # for which a frame stands


def dendrogram_evolution(
    steps: StepAxis, dendrograms: Mapping[int, Dendrogram], epsilon: float, *, title: str = ""
) -> go.Figure:
    """Draw the 300 largest merges at each step, clusters at ε in colours, with a slider and a button to play.

    Args:
        steps: the analysed training steps.
        dendrograms: of one segment, by position in `steps.steps`.
        epsilon: resolution, in units of the eigenvalues.
        title: stands above the chart.
    """
    figure = new_chart(title=title, height=620)
    if not dendrograms:
        return say(figure, "no eigenvalue of this segment has converged at any step")
    axis = EigenvalueAxis.around(*((tree.eigenvalues, tree.error_bounds) for tree in dendrograms.values()))
    low, high = height_limits(list(dendrograms.values()), MOST_MERGES)
    frames = []
    for position, tree in dendrograms.items():
        clusters = clusters_at(tree, epsilon)
        traces = tree_traces(tree, clusters, epsilon, axis, low, most_merges=MOST_MERGES)
        name = f"{steps.steps[position]:,}"
        frames.append(go.Frame(data=traces, name=name))
    first = frames[0]
    figure.add_traces(first.data)
    figure.frames = frames
    apply_axis(figure, axis, which="x", most=12)
    log_axis(figure, low, high, "merge height ε (units of λ)")
    figure.add_hline(epsilon, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    figure.update_layout(sliders=[_slider([frame.name for frame in frames])], updatemenus=[_buttons()])
    figure.update_layout(showlegend=False, hovermode="closest", margin_b=150)
    return figure


def _slider(names: list[str]) -> dict[str, Any]:
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    return {
        "active": 0,
        "currentvalue": {"prefix": "training step "},
        "pad": {"t": 60, "l": 140},
        "ticklen": 4,
        "tickcolor": NEUTRAL,
        "bgcolor": "rgba(128, 128, 128, 0.3)",
        "activebgcolor": COLOURS[0],
        "bordercolor": NEUTRAL,
        "font": {"color": TEXT},
        "steps": [{"label": name, "method": "animate", "args": [[name], still]} for name in names],
    }


def _buttons() -> dict[str, Any]:
    play = {"frame": {"duration": _MILLISECONDS, "redraw": True}, "transition": {"duration": 0}, "fromcurrent": True}
    stop = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    return {
        "type": "buttons",
        "direction": "left",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "top",
        "pad": {"t": 70},
        "showactive": False,
        "bgcolor": "rgba(128, 128, 128, 0.15)",
        "bordercolor": NEUTRAL,
        "font": {"color": TEXT},
        "buttons": [
            {"label": "play", "method": "animate", "args": [None, play]},
            {"label": "pause", "method": "animate", "args": [[None], stop]},
        ],
    }
