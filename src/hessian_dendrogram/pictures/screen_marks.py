"""What each mark is in a plotly chart.

A chart is few elements: a browser lays all of them out again at every step of a slider. Trees are walked with one pen,
dashes are one shape, and what hovering says of them is a trace without marks.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import plotly.graph_objects as go

from . import marks
from .axes import Axis, Log, reach
from .branches import pen
from .screen import HATCH, UNRESOLVED, colour, hover, light, plain
from .screen_axes import ColourScale, exact_place, place
from .sheet import Sheet

_SYMBOLS: dict[str, str] = {"triangle": "triangle-up", "cross": "cross-thin", "x": "x-thin"}
_VISIBLE = 0.004  # of the axis: a shorter error bar is hidden by its dash, and thousands of them are slow


def _line(sheet: Sheet, mark: marks.Line) -> None:
    line = {"color": colour(mark.colour), "width": mark.width, "dash": mark.dash}
    line |= {"shape": "hv"} if mark.stepped else {}
    x, y = place(sheet.panel.x, mark.x), place(sheet.panel.y, mark.y)
    sheet.add(go.Scatter(x=x, y=y, mode="lines", line=line, **sheet.entry(mark.label), **hover(mark.facts)))


def _error_bars(axis: Axis, values: Any, errors: Any) -> dict[str, Any] | None:
    if errors is None:
        return None
    low, high = (place(axis, end) for end in reach(axis, values, errors))
    here = place(axis, values)
    ends = {"array": np.maximum(high - here, 0), "arrayminus": np.maximum(here - low, 0)}
    return {"type": "data", "width": 2, "thickness": 1, **ends}


def _points(sheet: Sheet, mark: marks.Points) -> None:
    panel, symbol = sheet.panel, _SYMBOLS.get(mark.symbol, mark.symbol)
    inks: Any = colour(mark.colour) if isinstance(mark.colour, str) else [colour(one) for one in mark.colour]
    x, y = place(panel.x, mark.x), place(panel.y, mark.y)
    symbols: Any = symbol
    if mark.hollow is not None:
        symbols = [f"{symbol}-open" if is_open else symbol for is_open in [*np.asarray(mark.hollow).tolist()] or [True]]
        symbols = symbols[0] if len(set(symbols)) == 1 else symbols
    sizes: Any = 2 * np.asarray(mark.size, float)
    border = {"width": 1, "color": inks if symbol.endswith("thin") else "white" if mark.clickable else inks}
    # A trace without points has no entry in the legend.
    where: dict[str, Any] = {"x": x, "y": y} if len(x) else {"x": [None], "y": [None]}
    where["error_x"] = _error_bars(panel.x, mark.x, mark.x_errors)
    where["error_y"] = _error_bars(panel.y, mark.y, mark.y_errors)
    line = {"width": mark.joined, "dash": mark.dash, "color": inks if isinstance(inks, str) else colour(marks.INK)}
    look = {"color": inks, "symbol": symbols, "size": sizes if sizes.ndim else float(sizes), "line": border}
    # Clicks on lines and their marks reach Python; those on bare marks do not.
    kind: dict[str, Any] = {
        "mode": "lines+markers" if mark.joined or mark.clickable else "markers",
        "line": line,
        "marker": look,
    }
    kind["cliponaxis"] = mark.symbol != "triangle-left"
    sheet.add(go.Scatter(**where, **kind, **sheet.entry(mark.label), **hover(mark.facts)))


def _bars(sheet: Sheet, mark: marks.Bars) -> None:
    across, along = (sheet.panel.x, sheet.panel.y) if mark.upright else (sheet.panel.y, sheet.panel.x)
    starts, stops = place(along, mark.starts), place(along, mark.stops)
    at, half = np.asarray(mark.places, float), np.asarray(mark.thickness, float) / 2
    left, right = exact_place(across, at - half), exact_place(across, at + half)
    at, thick = light((left + right) / 2), light(right - left)
    border = {"width": bool(mark.outline), "color": colour(mark.outline)}
    look: dict[str, Any] = {"color": colour(mark.colour), "line": border}
    if mark.hatched:
        look["pattern"] = HATCH | ({"bgcolor": look["color"]} if mark.colour else {})
    lengths = stops - starts
    errors = _error_bars(along, mark.stops, mark.errors)
    where: dict[str, Any] = {"x": at, "y": lengths} if mark.upright else {"y": at, "x": lengths, "orientation": "h"}
    where |= {"error_y" if mark.upright else "error_x": errors and {**errors, "width": 0}}
    where |= {"base": starts, "width": thick, "marker": look}
    sheet.add(go.Bar(**where, **sheet.entry(mark.label), **hover(mark.facts)))


def _heat_map(sheet: Sheet, mark: marks.HeatMap) -> None:
    scale = ColourScale(mark.bar, mark.limits, mark.logarithmic, mark.colours)
    values = np.asarray(mark.values, float)
    if mark.logarithmic:
        values = np.log10(np.where(values > 0, values, np.nan))
    x, y = place(sheet.panel.x, mark.x_edges), place(sheet.panel.y, mark.y_edges)
    sheet.add(
        go.Heatmap(x=x, y=y, z=light(values), coloraxis=sheet.colours(scale), hoverongaps=False, **hover(mark.facts))
    )


def _colour_bar(sheet: Sheet, mark: marks.ColourBar) -> None:
    scale = ColourScale(mark.bar, (0.0, max(1.0, len(mark.names) - 1.0)), colours=mark.colours, names=mark.names)
    marker = {"color": [0], "coloraxis": sheet.colours(scale)}
    sheet.add(go.Scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False))


def _tree(sheet: Sheet, mark: marks.Tree) -> None:
    for group in mark.groups:
        x, y, owners = pen(mark.places, mark.heights, mark.parents, group.nodes)
        line = {"color": colour(group.colour), "width": group.width}
        where = {"x": place(sheet.panel.x, x), "y": place(sheet.panel.y, y)}
        entry = sheet.entry(group.label if len(x) else "")
        sheet.add(go.Scatter(**where, mode="lines", line=line, **entry, **hover(mark.facts, owners)))


def _dashes(sheet: Sheet, mark: marks.Dashes) -> None:
    """All dashes as one shape, and a trace without marks that says their numbers."""
    axis, x, half = sheet.panel.y, np.asarray(mark.x, float), mark.length / 2
    ends = reach(axis, mark.y, mark.errors)
    low, here, high = (place(axis, end).astype(float) for end in (ends[0], mark.y, ends[1]))
    bottom, top = (np.log10 if isinstance(axis, Log) else np.asarray)(
        place(axis, axis.limits or (here.min(), here.max()))
    )
    visible = high - low > _VISIBLE * abs(top - bottom)
    pieces = map("M{:.2f},{:.7g}H{:.2f}".format, *(part.tolist() for part in (x - half, here, x + half)))
    uprights = map("M{:.7g},{:.7g}V{:.7g}".format, *(part[visible].tolist() for part in (x, low, high)))
    line = {"width": 1, "color": colour(mark.colour)}
    entry = sheet.entry(mark.label)
    sheet.shape(type="path", path="".join([*pieces, *uprights]), line=line, **(entry | {"showlegend": False}))
    across = np.linspace(-half, half, min(16, max(2, 50 // max(1, len(np.unique(x))))))  # dashes of few steps are long
    rows = np.concatenate([np.repeat(np.arange(len(x)), len(across)), np.repeat(np.flatnonzero(visible), 2)])
    places = {"x": light([*(x[:, None] + across).ravel(), *np.repeat(x[visible], 2)])}
    places["y"] = light([*np.repeat(here, len(across)), *np.stack([low, high], axis=1)[visible].ravel()])
    sheet.add(go.Scatter(**places, mode="none", **(entry | {"showlegend": False}), **hover(mark.facts, rows)))
    sheet.add(go.Scatter(x=[None], y=[None], mode="lines", line=line, **entry))


def _areas(sheet: Sheet, mark: marks.Areas) -> None:
    x, stack = place(sheet.panel.x, mark.x), f"areas{sheet.number}"
    for heights, ink, label in zip(mark.heights, mark.colours, mark.labels, strict=True):
        style = {"mode": "none", "stackgroup": stack, "fillcolor": colour(ink), "hoverinfo": "skip"}
        sheet.add(go.Scatter(x=x, y=light(heights), **style, **sheet.entry(label)))


def _region(sheet: Sheet, mark: marks.Region) -> None:
    axes, panel = sheet.axes, sheet.panel
    if mark.hatched:
        pairs = (mark.x, panel.x.limits or (0.0, 1.0)), (mark.y, panel.y.limits or (0.0, 1.0))
        (left, right), (low, high) = ([e if t is None else t for t, e in zip(*pair, strict=True)] for pair in pairs)
        x, y = place(panel.x, [left, right, right, left]), place(panel.y, [low, low, high, high])
        fill = {"fill": "toself", "fillpattern": HATCH, "hoverinfo": "skip"}
        sheet.add(go.Scatter(x=x, y=y, mode="lines", line={"width": 0}, **fill, **sheet.entry(mark.label)))
        return
    known: dict[str, Any] = {"type": "rect", "fillcolor": UNRESOLVED, "line": {"width": 0}, "layer": "below"}
    for which, axis, ends in (("x", panel.x, mark.x), ("y", panel.y, mark.y)):
        if ends == (None, None):
            known |= {f"{which}ref": f"{axes[which]} domain", f"{which}0": 0, f"{which}1": 1}
        else:
            edges = [e if t is None else t for t, e in zip(ends, axis.limits or (0.0, 1.0), strict=True)]
            known |= dict(zip((f"{which}0", f"{which}1"), place(axis, edges).tolist(), strict=True))
    sheet.shape(**known, **sheet.entry(mark.label))


def _rule(sheet: Sheet, mark: marks.Rule) -> None:
    along, across = ("x", "y") if mark.upright else ("y", "x")
    axis = sheet.panel.x if mark.upright else sheet.panel.y
    at = float(place(axis, mark.at))
    ends = {f"{along}0": at, f"{along}1": at, f"{across}ref": f"{sheet.axes[across]} domain"}
    ends |= {f"{across}0": 0, f"{across}1": 1}
    line = {"color": colour(mark.colour), "width": mark.width, "dash": mark.dash}
    sheet.shape(type="line", line=line, **ends, **sheet.entry(mark.label))
    if mark.text:
        height = np.log10(at) if isinstance(axis, Log) else at
        look: dict[str, Any] = {"xanchor": "left", "yanchor": "middle", "align": "left", "size": 10}
        sheet.note(plain(mark.text), 1, height, yref=sheet.axes["y"], xshift=3, **look)


def _texts(sheet: Sheet, mark: marks.Texts) -> None:
    font = {"size": 1.5 * mark.size, "color": [colour(one) for one in mark.colours]}
    where = {"x": place(sheet.panel.x, mark.x), "y": place(sheet.panel.y, mark.y)}
    said = {"text": [plain(one) for one in mark.texts], "textfont": font, "hoverinfo": "skip", "showlegend": False}
    sheet.add(go.Scatter(**where, mode="text", **said))


def _said(sheet: Sheet, mark: marks.Nothing | marks.Remark) -> None:
    text = plain("\n".join(textwrap.wrap(mark.text, 44)))
    if isinstance(mark, marks.Nothing):
        sheet.add(go.Scatter(x=[None], y=[None], showlegend=False))  # a panel without a trace has no axes
        sheet.note(text, 0.5, 0.5, xanchor="center", yanchor="middle")
    else:
        sheet.note(text, 0.01, 0.02, xanchor="left", yanchor="bottom", align="left")


DRAW: dict[type, Callable[[Sheet, Any], None]] = {
    marks.Line: _line,
    marks.Points: _points,
    marks.Bars: _bars,
    marks.HeatMap: _heat_map,
    marks.ColourBar: _colour_bar,
    marks.Tree: _tree,
    marks.Dashes: _dashes,
    marks.Areas: _areas,
    marks.Region: _region,
    marks.Rule: _rule,
    marks.Texts: _texts,
    marks.Remark: _said,
    marks.Nothing: _said,
}
