"""Dendrograms over training as an animation, one frame for each checkpoint, small enough to be sent at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from ..statistics.dendrogram import Dendrogram
from ..views.clusters import clusters_at
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.tree import height_limits
from .dendrogram import count_text, hole_traces, tree_traces, with_floor_reason
from .eigenvalue_axis import apply_axis
from .look import COLOURS, NEUTRAL, TEXT, log_axis, new_chart, say
from .step_axis import StepAxis

MOST_MERGES = 300
_MILLISECONDS = 700  # for which a frame stands


def dendrogram_evolution(
    steps: StepAxis, dendrograms: Mapping[int, Dendrogram], epsilon: float, *, shown: int | None = None
) -> go.Figure:
    """Draw the 300 largest merges at each step, clusters at ε in colours, with a slider and a button to play.

    The title of each frame says the step and n(ε), the eigenvalue axis why a part is shaded.

    Args:
        steps: the analysed training steps.
        dendrograms: of one segment, by position in `steps.steps`.
        epsilon: resolution, in units of the eigenvalues.
        shown: the position whose frame is seen first; the first one where that has no dendrogram.
    """
    figure = new_chart(height=640)
    if not dendrograms:
        return say(figure, "no eigenvalue of this segment has converged at any step")
    axis = EigenvalueAxis.around(*((tree.eigenvalues, tree.error_bounds) for tree in dendrograms.values()))
    low, high = height_limits(list(dendrograms.values()), MOST_MERGES)
    apply_axis(figure, axis, which="x", most=12)
    frames = []
    for position, tree in dendrograms.items():
        traces = tree_traces(tree, clusters_at(tree, epsilon), epsilon, axis, low, most_merges=MOST_MERGES)
        name = f"{steps.steps[position]:,}"
        layout = {
            "title": {"text": f"step {name}; {count_text(tree, epsilon)}"},
            "xaxis": {"title": {"text": with_floor_reason(figure, tree, MOST_MERGES)}},
        }
        frames.append(go.Frame(data=[*traces, *hole_traces(tree, axis, (low, high))], layout=layout, name=name))
    first = list(dendrograms).index(shown) if shown is not None and shown in dendrograms else 0
    figure.add_traces(frames[first].data)
    figure.frames = frames
    log_axis(figure, low, high, "merge height ε (units of λ)")
    figure.add_hline(epsilon, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    figure.update_layout(sliders=[_slider([frame.name for frame in frames], first)], updatemenus=[_buttons()])
    figure.update_layout(frames[first].layout)
    figure.update_layout(showlegend=False, hovermode="closest", margin_b=170)
    return figure


def _slider(names: list[str], first: int) -> dict[str, Any]:
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    return {
        "active": first,
        "currentvalue": {"prefix": "training step "},
        "pad": {"t": 80, "l": 140},
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
        "pad": {"t": 90},
        "showactive": False,
        "bgcolor": "rgba(128, 128, 128, 0.15)",
        "bordercolor": NEUTRAL,
        "font": {"color": TEXT},
        "buttons": [
            {"label": "play", "method": "animate", "args": [None, play]},
            {"label": "pause", "method": "animate", "args": [[None], stop]},
        ],
    }
