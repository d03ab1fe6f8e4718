"""What each mark is in a plotly chart.

A chart is few elements: a browser lays all of them out again at every step of a slider. Dashes are one shape, and what
hovering says of them is a trace without marks.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from . import marks
from .axes import Log, reach
from .screen import HATCH, TEXT, UNRESOLVED, colour, hover, light, plain
from .screen_axes import exact_place, on_screen, place

if TYPE_CHECKING:
    from .picture import Panel

_SYMBOLS: dict[str, str] = {"triangle": "triangle-up", "x": "x-thin"}
_LONGEST_ENTRY = 90  # characters
_VISIBLE = 0.004  # of the axis: a shorter error bar is hidden by its dash, and thousands of them are slow
_NOWHERE: dict[str, Any] = {"x": [None], "y": [None]}  # a trace without points has no entry in the legend, nor axes


@dataclass
class Sheet:
    """The chart as it grows, in plotly's own words, and the panel that is drawn next."""

    panel: Panel
    layout: dict[str, Any]
    number: int = 0
    traces: list[dict[str, Any]] = field(default_factory=list)
    shapes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    bars: dict[marks.Scale, list[int]] = field(default_factory=dict)

    @property
    def axes(self) -> dict[str, str]:
        """The names of the panel's axes."""
        tail = "" if self.number == 1 else self.number
        return {"x": f"x{tail}", "y": f"y{tail}"}

    def entry(self, label: str) -> dict[str, Any]:
        """What makes a trace or a shape an entry of the legend, once for each label."""
        if not label:
            return {"showlegend": False}
        is_new = label not in self.named
        self.named.add(label)
        return {"name": plain(label, _LONGEST_ENTRY), "legendgroup": plain(label), "showlegend": is_new}

    def add(self, **known: Any) -> None:
        """Put a trace into the panel."""
        self.traces.append({"type": "scatter", "xaxis": self.axes["x"], "yaxis": self.axes["y"], **known})

    def shape(self, **known: Any) -> None:
        """Put a shape into the panel."""
        self.shapes.append({"xref": self.axes["x"], "yref": self.axes["y"], **known})

    def colours(self, scale: marks.Scale) -> str:
        """The name of the colour axis of a scale, which the panels share that have the same."""
        self.bars.setdefault(scale, []).append(self.number)
        number = list(self.bars).index(scale) + 1
        return f"coloraxis{number if number > 1 else ''}"

    def note(self, text: str, x: float, y: float, *, size: int = 12, **known: Any) -> None:
        """Write plain text at a place that is counted in shares of the panel, unless told otherwise."""
        refs = {f"{name}ref": f"{axis} domain" for name, axis in self.axes.items()}
        look = {"showarrow": False, "font": {"size": size, "color": TEXT}, "text": plain(text)}
        self.notes.append({**refs, **look, "x": x, "y": y, "xanchor": "left", "align": "left", **known})


@singledispatch
def draw_mark(mark: object, sheet: Sheet) -> None:
    """Put a mark on a sheet."""
    raise NotImplementedError(f"no chart shows a {type(mark).__name__}")


@draw_mark.register
def _line(mark: marks.Line, sheet: Sheet) -> None:
    line = {"color": colour(mark.colour), "width": mark.width, "dash": mark.dash}
    line |= {"shape": "hv"} if mark.stepped else {}
    x, y = place(sheet.panel.x, mark.x), place(sheet.panel.y, mark.y)
    entry = sheet.entry(mark.label if len(x) else "")
    sheet.add(x=x, y=y, mode="lines", line=line, **entry, **hover(mark.facts))


@draw_mark.register
def _points(mark: marks.Points, sheet: Sheet) -> None:
    panel, symbol = sheet.panel, _SYMBOLS.get(mark.symbol, mark.symbol)
    inks: Any = colour(mark.colour) if isinstance(mark.colour, str) else [colour(one) for one in mark.colour]
    x, y = place(panel.x, mark.x), place(panel.y, mark.y)
    where: dict[str, Any] = {"x": x, "y": y} if len(x) else {**_NOWHERE}
    if mark.y_errors is not None:
        low, high = (place(panel.y, end) for end in reach(panel.y, mark.y, mark.y_errors))
        ends = {"array": np.maximum(high - y, 0), "arrayminus": np.maximum(y - low, 0)}
        where["error_y"] = {"type": "data", "width": 2, "thickness": 1, **ends}
    hollow = np.asarray(mark.hollow, bool)
    symbols: Any = [f"{symbol}-open" if is_open else symbol for is_open in np.atleast_1d(hollow).tolist()]
    border = {"width": 1, "color": inks if symbol.endswith("thin") else "white" if mark.clickable else inks}
    sizes: Any = 2 * np.asarray(mark.size, float)
    look = {"color": inks, "size": sizes if sizes.ndim else float(sizes), "line": border}
    look["symbol"] = symbols if len(set(symbols)) > 1 else symbols[0] if symbols else symbol
    # Clicks on lines and their marks reach Python; those on bare marks do not.
    mode = "lines+markers" if mark.joined or mark.clickable else "markers"
    line = {"width": mark.joined, "dash": mark.dash, "color": inks if isinstance(inks, str) else colour(marks.INK)}
    kind: dict[str, Any] = {"mode": mode, "line": line, "marker": look, "cliponaxis": mark.symbol != "triangle-left"}
    sheet.add(**where, **kind, **sheet.entry(mark.label), **hover(mark.facts))


@draw_mark.register
def _bars(mark: marks.Bars, sheet: Sheet) -> None:
    across, along = (sheet.panel.x, sheet.panel.y) if mark.upright else (sheet.panel.y, sheet.panel.x)
    starts, stops = place(along, mark.starts), place(along, mark.stops)
    at, half = np.asarray(mark.places, float), np.asarray(mark.thickness, float) / 2
    left, right = exact_place(across, at - half), exact_place(across, at + half)
    at, lengths = light((left + right) / 2), stops - starts
    look: dict[str, Any] = {"color": colour(mark.colour)}
    look["line"] = {"width": bool(mark.outline), "color": colour(mark.outline)}
    if mark.hatched:
        look["pattern"] = HATCH | ({"bgcolor": look["color"]} if mark.colour else {})
    where: dict[str, Any] = {"x": at, "y": lengths} if mark.upright else {"y": at, "x": lengths, "orientation": "h"}
    where |= {"base": starts, "width": light(right - left), "marker": look}
    sheet.add(type="bar", **where, **sheet.entry(mark.label), **hover(mark.facts))


@draw_mark.register
def _heat_map(mark: marks.HeatMap, sheet: Sheet) -> None:
    values = np.asarray(mark.values, float)
    if mark.scale.logarithmic:
        values = np.log10(np.where(values > 0, values, np.nan))
    where = {"x": place(sheet.panel.x, mark.x_edges), "y": place(sheet.panel.y, mark.y_edges), "z": light(values)}
    colours = sheet.colours(mark.scale)
    sheet.add(type="heatmap", **where, coloraxis=colours, hoverongaps=False, **hover(mark.facts))


@draw_mark.register
def _scale(mark: marks.Scale, sheet: Sheet) -> None:
    marker = {"color": [0], "coloraxis": sheet.colours(mark)}
    sheet.add(**_NOWHERE, mode="markers", marker=marker, showlegend=False)


@draw_mark.register
def _dashes(mark: marks.Dashes, sheet: Sheet) -> None:
    """All dashes as one shape, and a trace without marks that says their numbers."""
    axis, x, half = sheet.panel.y, np.asarray(mark.x, float), marks.DASH / 2
    ends = reach(axis, mark.y, mark.errors)
    low, here, high = (place(axis, end).astype(float) for end in (ends[0], mark.y, ends[1]))
    edges = place(axis, axis.limits) if axis.limits else np.array([here.min(), here.max()])
    visible = high - low > _VISIBLE * np.ptp(np.log10(edges) if isinstance(axis, Log) else edges)
    pieces = map("M{:.2f},{:.7g}H{:.2f}".format, *(part.tolist() for part in (x - half, here, x + half)))
    uprights = map("M{:.7g},{:.7g}V{:.7g}".format, *(part[visible].tolist() for part in (x, low, high)))
    line, entry = {"width": 1, "color": colour(mark.colour)}, sheet.entry(mark.label)
    hidden = {**entry, "showlegend": False}
    sheet.shape(type="path", path="".join([*pieces, *uprights]), line=line, **hidden)
    across = np.linspace(-half, half, min(16, max(2, 50 // max(1, len(np.unique(x))))))  # dashes of few steps are long
    rows = np.concatenate([np.repeat(np.arange(len(x)), len(across)), np.repeat(np.flatnonzero(visible), 2)])
    places = {"x": light([*(x[:, None] + across).ravel(), *np.repeat(x[visible], 2)])}
    places["y"] = light([*np.repeat(here, len(across)), *np.stack([low, high], axis=1)[visible].ravel()])
    sheet.add(**places, mode="none", **hidden, **hover(mark.facts, rows))
    sheet.add(**_NOWHERE, mode="lines", line=line, **entry)


@draw_mark.register
def _areas(mark: marks.Areas, sheet: Sheet) -> None:
    x, stack = place(sheet.panel.x, mark.x), f"areas{sheet.number}"
    for heights, ink, label in zip(mark.heights, mark.colours, mark.labels, strict=True):
        style = {"mode": "none", "stackgroup": stack, "fillcolor": colour(ink), "hoverinfo": "skip"}
        sheet.add(x=x, y=light(heights), **style, **sheet.entry(label))


@draw_mark.register
def _band(mark: marks.Band, sheet: Sheet) -> None:
    """Each piece as an outline that is filled; one place alone as a thick line."""
    panel, opacity = sheet.panel, marks.OPACITY[mark.pale]
    x, low, high = place(panel.x, mark.x), *(place(panel.y, np.asarray(end, float)) for end in (mark.low, mark.high))
    fill: dict[str, Any] = {"mode": "lines", "opacity": opacity, "hoverinfo": "skip"}
    outlines = [piece for piece in mark.pieces() if len(piece) > 1]
    if outlines or mark.label:
        gap = np.array([np.nan], np.float32)
        across = [part for piece in outlines for part in (x[piece], x[piece][::-1], gap)]
        along = [part for piece in outlines for part in (low[piece], high[piece][::-1], gap)]
        where = {"x": np.concatenate(across), "y": np.concatenate(along)} if outlines else _NOWHERE
        filled = {"fill": "toself", "fillcolor": colour(mark.colour), "line": {"width": 0}}
        sheet.add(**where, **fill, **filled, **sheet.entry(mark.label))
    for piece in mark.pieces():
        if len(piece) == 1:
            line = {"width": 6, "color": colour(mark.colour)}
            sheet.add(x=np.repeat(x[piece], 2), y=np.r_[low[piece], high[piece]], line=line, **fill, showlegend=False)


@draw_mark.register
def _region(mark: marks.Region, sheet: Sheet) -> None:
    panel, entry = sheet.panel, sheet.entry(mark.label)
    x, y = mark.within(panel.x.limits or (0.0, 1.0), panel.y.limits or (0.0, 1.0))
    (left, right), (low, high) = place(panel.x, x), place(panel.y, y)
    if mark.hatched:
        corners = {"x": [left, right, right, left], "y": [low, low, high, high]}
        fill = {"fill": "toself", "fillpattern": HATCH, "hoverinfo": "skip"}
        sheet.add(**corners, mode="lines", line={"width": 0}, **fill, **entry)
        return
    where: dict[str, Any] = {"x0": float(left), "x1": float(right), "y0": float(low), "y1": float(high)}
    for which, ends in (("x", mark.x), ("y", mark.y)):
        if ends == (None, None):
            where |= {f"{which}ref": f"{sheet.axes[which]} domain", f"{which}0": 0, f"{which}1": 1}
    sheet.shape(type="rect", fillcolor=UNRESOLVED, line={"width": 0}, layer="below", **where, **entry)


@draw_mark.register
def _rule(mark: marks.Rule, sheet: Sheet) -> None:
    at, domain = float(place(sheet.panel.y, mark.at)), f"{sheet.axes['x']} domain"
    line = {"color": colour(mark.colour), "width": mark.width, "dash": mark.dash}
    sheet.shape(type="line", line=line, x0=0, x1=1, y0=at, y1=at, xref=domain, **sheet.entry(mark.label))
    if mark.text:
        height = np.log10(at) if isinstance(on_screen(sheet.panel.y), Log) else at
        sheet.note(mark.text, 1, height, yref=sheet.axes["y"], xshift=3, yanchor="middle", size=10)


@draw_mark.register
def _texts(mark: marks.Texts, sheet: Sheet) -> None:
    where = {"x": place(sheet.panel.x, mark.x), "y": place(sheet.panel.y, mark.y)}
    look = {"textfont": {"size": 1.5 * mark.size, "color": colour(mark.colour)}, "hoverinfo": "skip"}
    sheet.add(**where, mode="text", text=[plain(one) for one in mark.texts], showlegend=False, **look)


@draw_mark.register
def _remark(mark: marks.Remark, sheet: Sheet) -> None:
    text = "\n".join(textwrap.wrap(mark.text, 44))
    if mark.is_all:
        sheet.add(**_NOWHERE, showlegend=False)
        sheet.note(text, 0.5, 0.5, xanchor="center", yanchor="middle", align="center")
    else:
        sheet.note(text, 0.01, 0.02, yanchor="bottom")
