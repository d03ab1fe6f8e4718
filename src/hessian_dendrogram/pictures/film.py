"""The eigenvalue dendrogram over training: a picture for each step, on the same axes, and a chart that plays them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from ..statistics.dendrogram import Dendrogram
from ..statistics.segments import MovingDendrogram
from .axes import Steps, key_positions
from .dendrogram import at_step, leading_frame
from .picture import Picture, nothing
from .screen import TEXT, UNRESOLVED
from .with_plotly import draw

_MOST = 30  # steps: more than 8 MB are not sent to a notebook's page
_MILLISECONDS = 700  # for which a frame stands
_BELOW = 90  # pixels for slider and buttons
_LOOK: dict[str, Any] = {"bgcolor": UNRESOLVED, "bordercolor": TEXT, "font": {"color": TEXT}}


def frames(steps: Sequence[int] | Steps, trees: Mapping[int, Dendrogram], epsilon: float) -> dict[int, Picture]:
    """Make the picture of each step, of at most 30 of them, on equal axes with as many leading eigenvalues and marks.

    The trees are those of one segment, by position in `steps`; ε has the units of the eigenvalues.
    """
    if not trees:
        return {}
    known, moving, positions = Steps.of(steps).steps, MovingDendrogram(dict(trees)), sorted(trees)
    axes: dict[str, Any] = {"count": moving.count, "first": leading_frame([*trees.values()], moving.count)}
    chosen = [positions[i] for i in key_positions(len(positions), _MOST)]
    made = {known[at]: at_step(moving, at, epsilon, title=f"step {known[at]:,}", **axes) for at in chosen}
    if len({len(picture.rows[0]) for picture in made.values()}) > 1:  # somewhere too few eigenvalues for two panels
        made = {step: replace(picture, rows=(picture.rows[0][-1:],), widths=()) for step, picture in made.items()}
    return made


def film(frames: Mapping[int, Picture], *, shown: int | None = None) -> go.Figure:
    """Make a chart with a slider and a button to play; each frame has the name of its step, such as "14,070".

    Frames are given by training step, as `frames` makes them; that nearest to `shown` is seen first.
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
