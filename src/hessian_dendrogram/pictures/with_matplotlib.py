"""Any picture as a matplotlib figure for print."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import marks
from .axes import Named, reach, wrapped
from .branches import pen
from .key_steps import key_positions
from .paper import STYLE, UNRESOLVED, colour, legend_below, new_figure, plain
from .paper_axes import CHARACTERS, apply_axis, share

if TYPE_CHECKING:
    from .picture import Panel, Picture

__all__ = ["draw"]
_STYLES = {"solid": "-", "dash": "--", "dot": ":"}
_SYMBOLS = dict(zip([*marks.SYMBOLS, "x", "triangle-left"], "os^Dv+x<", strict=True))
_MAPS = {"viridis": "viridis", "viridis reversed": "viridis_r", "diverging": "RdBu_r"}
_HATCH: Any = {"facecolor": "none", "edgecolor": "0.6", "hatch": "////", "linewidth": 0}
_SHADE: Any = {"facecolor": UNRESOLVED, "edgecolor": "none", "linewidth": 0}
_Handles = dict[str, Artist]
_ColourBars = dict[tuple[Any, ...], tuple[ScalarMappable, list[Axes]]]
_LONGEST_ENTRY = 90  # characters
_MOST_VECTORS = 2000  # points of a line; more are drawn as pixels in a PDF


@matplotlib.rc_context(STYLE)
def draw(picture: Picture) -> Figure:
    """Draw a picture, seven inches wide."""
    figure = new_figure(picture.height, picture.title)
    shown = picture.shown(on_paper=True)
    rows, columns = len(shown), max(len(row) for row in shown)
    grid = figure.add_gridspec(
        rows, columns, height_ratios=picture.heights or [1] * rows, width_ratios=picture.widths or [1] * columns
    )
    handles: _Handles = {}
    bars: _ColourBars = {}
    for row, panels in enumerate(shown):
        for column, panel in enumerate(panels):
            _draw_panel(figure.add_subplot(grid[row, column]), panel, handles, bars)
    for key, (mesh, users) in bars.items():
        where: Any = {"ax": users, "pad": 0.03, "shrink": 0.8} if len(users) > 1 else {"ax": users, "pad": 0.01}
        if len(users) == 1 and users[0].get_aspect() == 1:  # as high as the image, not as its place on the page
            where = {"cax": users[0].inset_axes((1.015, 0, 0.025, 1))}
        bar = figure.colorbar(mesh, label=plain(key[0]), **where)
        if isinstance(key[1], marks.ColourBar):
            named = key_positions(len(key[1].names), min(25, len(key[1].names)))
            bar.set_ticks(named, labels=[plain(key[1].names[i]) for i in named])
            bar.ax.minorticks_off()
    legend_below(figure, list(handles.values()))
    return figure


def _draw_panel(axes: Axes, panel: Panel, handles: _Handles, bars: _ColourBars) -> None:
    apply_axis(axes, panel.x, "x")
    apply_axis(axes, panel.y, "y")
    if panel.title:
        names = panel.y.names if isinstance(panel.y, Named) else []
        room = (CHARACTERS["x"] + 7) * share(axes, "x") - 7  # of each column its numbers and names
        room -= 0.75 * max([0, *(len(name) - 5 for name in names)])
        axes.set_title(plain(wrapped(panel.title, max(20, round(room)))))
    for depth, mark in enumerate(panel.marks):
        if isinstance(mark, marks.HeatMap):
            mesh = _heat_map(axes, mark, depth)
            bars.setdefault((mark.bar, mark.limits, mark.logarithmic, mark.colours), (mesh, []))[1].append(axes)
        elif isinstance(mark, marks.ColourBar):
            norm = BoundaryNorm(np.arange(len(mark.colours) + 1) - 0.5, len(mark.colours))
            bars.setdefault((mark.bar, mark), (ScalarMappable(norm, ListedColormap(mark.colours)), []))[1].append(axes)
        else:
            for name, handle in _DRAW[type(mark)](_Canvas(axes, panel, 1 + 0.01 * depth), mark):
                if name:
                    handles.setdefault(name, handle).set_label(plain(name, _LONGEST_ENTRY))
    if panel.square:
        axes.set_aspect("equal")
    if any(isinstance(mark, marks.Nothing) for mark in panel.marks):
        axes.set(xticks=[], yticks=[])


def _heat_map(axes: Axes, mark: marks.HeatMap, depth: int) -> ScalarMappable:
    norm = (LogNorm if mark.logarithmic else Normalize)(*mark.limits)
    values = np.ma.masked_invalid(mark.values)
    if mark.logarithmic:
        values = np.ma.masked_less_equal(values, 0)
    style: Any = {"cmap": _MAPS[mark.colours], "norm": norm, "rasterized": True, "zorder": 1 + 0.01 * depth}
    return axes.pcolormesh(np.asarray(mark.x_edges), np.asarray(mark.y_edges), values, **style)


_Entries = list[tuple[str, Artist]]


@dataclass(frozen=True)
class _Canvas:
    """Where a mark is drawn, and how far in front."""

    axes: Axes
    panel: Panel
    order: float


def _line(on: _Canvas, mark: marks.Line) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    style: Any = {"color": colour(mark.colour), "linewidth": 0.75 * mark.width, "linestyle": _STYLES[mark.dash]}
    kind: Any = {"drawstyle": "steps-post"} if mark.stepped else {}
    on.axes.plot(x, y, rasterized=len(x) > _MOST_VECTORS, zorder=on.order, **style, **kind)
    return [(mark.label, Line2D([], [], **style))]


def _points(on: _Canvas, mark: marks.Points) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    several = not isinstance(mark.colour, str)
    inks = [colour(one) for one in mark.colour] if several else [colour(str(mark.colour))] * len(x)
    ink = inks[0] if inks else colour(marks.INK)
    if mark.joined:
        style: Any = {"color": ink, "linewidth": 0.75 * mark.joined, "linestyle": _STYLES[mark.dash]}
        on.axes.plot(x, y, zorder=on.order, **style)
    for errors, name, axis, values in ((mark.x_errors, "xerr", on.panel.x, x), (mark.y_errors, "yerr", on.panel.y, y)):
        if errors is not None:
            low, high = reach(axis, values, errors)
            bars: Any = {name: np.stack([values - low, high - values]), "ecolor": inks if several else ink}
            on.axes.errorbar(x, y, fmt="none", elinewidth=0.7, zorder=on.order, **bars)
    hollow = np.zeros(len(x), bool) if mark.hollow is None else np.asarray(mark.hollow, bool)
    faces = np.where(hollow, "white", np.array(inks, dtype=object)).tolist()
    symbol, is_thin = _SYMBOLS[mark.symbol], mark.symbol in ("x", "cross")
    kind: Any = {"linewidths": 0.8, "zorder": on.order + 0.001, "clip_on": mark.symbol != "triangle-left"}
    sizes = np.broadcast_to(np.asarray(mark.size, float), x.shape) ** 2
    on.axes.scatter(x, y, sizes, marker=symbol, **(kind | {"c": inks} if is_thin else kind | {"c": faces, "ec": inks}))
    face = "white" if mark.hollow is not None and hollow.all() else ink
    line: Any = {"linewidth": 0.75 * mark.joined, "linestyle": _STYLES[mark.dash] if mark.joined else "none"}
    return [(mark.label, Line2D([], [], color=ink, marker=symbol, markerfacecolor=face, markersize=3.5, **line))]


def _bars(on: _Canvas, mark: marks.Bars) -> _Entries:
    starts, stops = np.asarray(mark.starts, float), np.asarray(mark.stops, float)
    look: Any = {"facecolor": colour(mark.colour), "edgecolor": colour(mark.outline), "linewidth": 0.5}
    if mark.hatched:
        look = {**_HATCH, "facecolor": UNRESOLVED}
        look |= {"facecolor": colour(mark.colour), "edgecolor": "0.2"} if mark.colour else {}
    draw_bars: Callable[..., Any] = on.axes.bar if mark.upright else on.axes.barh
    draw_bars(np.asarray(mark.places), stops - starts, np.asarray(mark.thickness), starts, zorder=on.order, **look)
    if mark.errors is not None:
        axis = on.panel.y if mark.upright else on.panel.x
        low, high = reach(axis, stops, mark.errors)
        ends = np.stack([stops - low, high - stops])
        at = (mark.places, stops) if mark.upright else (stops, mark.places)
        style: Any = {"fmt": "none", "ecolor": "black", "elinewidth": 0.6, "capsize": 0, "zorder": on.order + 0.001}
        on.axes.errorbar(*at, **(style | {"yerr" if mark.upright else "xerr": ends}))
    return [(mark.label, Patch(**look))]


def _tree(on: _Canvas, mark: marks.Tree) -> _Entries:
    entries: _Entries = []
    for group in mark.groups:
        style: Any = {"color": colour(group.colour), "linewidth": 0.6 * group.width}
        x, y, _ = pen(mark.places, mark.heights, mark.parents, group.nodes)
        on.axes.plot(x, y, solid_joinstyle="miter", zorder=on.order, rasterized=len(x) > 4 * _MOST_VECTORS, **style)
        entries.append((group.label, Line2D([], [], **style)))
    return entries


def _dashes(on: _Canvas, mark: marks.Dashes) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    style: Any = {"color": colour(mark.colour), "linewidth": 0.7, "rasterized": True, "zorder": on.order}
    low, high = reach(on.panel.y, y, mark.errors)
    on.axes.hlines(y, x - mark.length / 2, x + mark.length / 2, **style)
    on.axes.vlines(x, low, high, **style)
    return [(mark.label, Line2D([], [], color=style["color"], marker="_", markersize=8, linestyle="none"))]


def _areas(on: _Canvas, mark: marks.Areas) -> _Entries:
    x, tops = np.asarray(mark.x, float), np.cumsum(mark.heights, axis=0)
    entries: _Entries = []
    for low, high, ink, name in zip(tops - mark.heights, tops, mark.colours, mark.labels, strict=True):
        on.axes.fill_between(x, low, high, color=colour(ink), linewidth=0, rasterized=True, zorder=on.order)
        entries.append((name, Patch(color=colour(ink))))
    return entries


def _region(on: _Canvas, mark: marks.Region) -> _Entries:
    look = _HATCH if mark.hatched else _SHADE
    edges = [
        [edge if end is None else end for end, edge in zip(ends, limits, strict=True)]
        for ends, limits in ((mark.x, on.axes.get_xlim()), (mark.y, on.axes.get_ylim()))
    ]
    (left, right), (low, high) = edges
    on.axes.fill([left, right, right, left], [low, low, high, high], zorder=on.order, **look)
    return [(mark.label, Patch(**look))]


def _rule(on: _Canvas, mark: marks.Rule) -> _Entries:
    style: Any = {"color": colour(mark.colour), "linewidth": 0.75 * mark.width, "linestyle": _STYLES[mark.dash]}
    (on.axes.axvline if mark.upright else on.axes.axhline)(mark.at, zorder=on.order, **style)
    if mark.text:
        place: Any = {"xycoords": on.axes.get_yaxis_transform(), "textcoords": "offset points", "xytext": (3, 0)}
        on.axes.annotate(plain(mark.text), (1, mark.at), va="center", size=6.5, color="0.3", **place)
    return [(mark.label, Line2D([], [], **style))]


def _texts(on: _Canvas, mark: marks.Texts) -> _Entries:
    for x, y, text, ink in zip(np.asarray(mark.x), np.asarray(mark.y), mark.texts, mark.colours, strict=True):
        on.axes.text(x, y, plain(text), ha="center", va="center", size=mark.size, color=colour(ink))
    return []


def _said(on: _Canvas, mark: marks.Nothing | marks.Remark) -> _Entries:
    middle = isinstance(mark, marks.Nothing)
    at, sides = ((0.5, 0.5), "center") if middle else ((0.01, 0.02), "left")
    style: Any = {"ha": sides, "va": "center" if middle else "bottom", "color": "0.3", "zorder": 5}
    on.axes.text(*at, plain(textwrap.fill(mark.text, 40)), transform=on.axes.transAxes, **style)
    return []


_DRAW: dict[type, Callable[[_Canvas, Any], _Entries]] = {
    marks.Line: _line,
    marks.Points: _points,
    marks.Bars: _bars,
    marks.Tree: _tree,
    marks.Dashes: _dashes,
    marks.Areas: _areas,
    marks.Region: _region,
    marks.Rule: _rule,
    marks.Texts: _texts,
    marks.Remark: _said,
    marks.Nothing: _said,
}
