"""Pictures of training steps as one plotly chart that plays them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from .picture import Picture, nothing
from .screen import TEXT, UNRESOLVED
from .with_plotly import draw

_MILLISECONDS = 700  # for which a frame stands
_BELOW = 90  # pixels for slider and buttons
_LOOK: dict[str, Any] = {"bgcolor": UNRESOLVED, "bordercolor": TEXT, "font": {"color": TEXT}}


def film(frames: Mapping[int, Picture], *, shown: int | None = None) -> go.Figure:
    """Make a chart with a slider and a button to play; each frame has the name of its step, such as "14,070".

    Args:
        frames: by training step, with equal axes, as `film.frames` makes them.
        shown: the step that is seen first, or the frame nearest to it; default the first one.
    """
    if not frames:
        return draw(nothing("", "", "no eigenvalue of this segment has converged at any step"))
    charts = [draw(picture) for picture in frames.values()]
    layouts = [_layout(chart) for chart in charts]
    for part in ("shapes", "annotations"):  # what a frame lacks would stay from the one before
        most = max(len(layout[part]) for layout in layouts)
        for layout in layouts:
            layout[part] += [{"visible": False}] * (most - len(layout[part]))
    names = [f"{step:,}" for step in frames]
    parts = zip(charts, layouts, names, strict=True)
    drawn = [go.Frame(data=chart.data, layout=layout, name=name) for chart, layout, name in parts]
    first = 0 if shown is None else int(np.abs(np.array(list(frames)) - shown).argmin())
    figure = charts[first].update(frames=drawn)
    figure.update_layout(layouts[first])
    margin, height = figure.layout.margin.b, figure.layout.height + _BELOW
    # Clusters have other eigenvalues in every frame, which a legend would have to say; the slider has its place.
    figure.update_layout(showlegend=False, height=height, margin_b=margin + _BELOW, updatemenus=[_buttons(margin)])
    return figure.update_layout(sliders=[_slider(names, first, margin)])


def _layout(chart: go.Figure) -> dict[str, Any]:
    """What of a chart's layout changes from frame to frame."""
    known = chart.layout.to_plotly_json()
    axes = {name: {"title": known[name]["title"]} for name in known if name.startswith(("xaxis", "yaxis"))}
    parts = {name: [{**part, "visible": True} for part in known.get(name, ())] for name in ("shapes", "annotations")}
    return {"title": {"text": known.get("title", {}).get("text", "")}, **axes, **parts}


def _moving(milliseconds: int, **known: Any) -> dict[str, Any]:
    return {"frame": {"duration": milliseconds, "redraw": True}, "transition": {"duration": 0}, **known}


def _slider(names: list[str], first: int, margin: int) -> dict[str, Any]:
    now = _moving(0, mode="immediate")
    steps = [{"label": name, "method": "animate", "args": [[name], now]} for name in names]
    look = {**_LOOK, "ticklen": 4, "tickcolor": TEXT, "pad": {"t": margin - 50, "l": 140}}
    return {"active": first, "currentvalue": {"prefix": "training step "}, "steps": steps, **look}


def _buttons(margin: int) -> dict[str, Any]:
    play = {"label": "play", "args": [None, _moving(_MILLISECONDS, fromcurrent=True)]}
    stop = {"label": "pause", "args": [[None], _moving(0, mode="immediate")]}
    where = {"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": margin - 40}, "direction": "left"}
    buttons = [{**button, "method": "animate"} for button in (play, stop)]
    return {"type": "buttons", "showactive": False, "buttons": buttons, **where, **_LOOK}
