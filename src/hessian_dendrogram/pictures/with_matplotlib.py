"""Any picture as a matplotlib figure for print."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from functools import partial, singledispatch
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.pyplot  # wandb asks for it when it is given a figure
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from . import marks
from .axes import Named, key_positions, reach, wrapped
from .paper import STYLE, UNRESOLVED, colour, legend_below, new_figure, plain
from .paper_axes import CHARACTERS, apply_axis, share

if TYPE_CHECKING:
    from .picture import Panel, Picture

_STYLES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_SYMBOLS = dict(zip([*marks.SYMBOLS, "x", "triangle-left"], "os^Dvx<", strict=True))
_MAPS = {"viridis": "viridis", "viridis reversed": "viridis_r", "diverging": "RdBu_r"}
_HATCH: Any = {"facecolor": "none", "edgecolor": "0.6", "hatch": "////", "linewidth": 0}
_SHADE: Any = {"facecolor": UNRESOLVED, "edgecolor": "none", "linewidth": 0}
_Entries = list[tuple[str, Artist]]
_ColourBars = dict[marks.Scale, tuple[ScalarMappable, list[Axes]]]
_LONGEST_ENTRY = 90  # characters
_MOST_VECTORS = 8000  # points of a line; more are drawn as pixels in a PDF


@matplotlib.rc_context(STYLE)
def draw(picture: Picture) -> Figure:
    """Draw a picture, seven inches wide."""
    figure = new_figure(picture.height, picture.title)
    shown = picture.shown(on_paper=True)
    rows, columns = len(shown), max(len(row) for row in shown)
    ratios = {"height_ratios": picture.heights or [1] * rows, "width_ratios": picture.widths or [1] * columns}
    grid = figure.add_gridspec(rows, columns, **ratios)
    handles: dict[str, Artist] = {}
    bars: _ColourBars = {}
    for row, panels in enumerate(shown):
        for column, panel in enumerate(panels):
            for name, handle in _draw_panel(figure.add_subplot(grid[row, column]), panel, bars):
                if name:
                    handles.setdefault(name, handle).set_label(plain(name, _LONGEST_ENTRY))
    for scale, (colours, users) in bars.items():
        where: Any = {"ax": users, "pad": 0.03, "shrink": 0.8} if len(users) > 1 else {"ax": users, "pad": 0.01}
        if len(users) == 1 and users[0].get_aspect() == 1:  # as high as the image, not as its place on the page
            where = {"cax": users[0].inset_axes((1.015, 0, 0.025, 1))}
        bar = figure.colorbar(colours, label=plain(scale.bar), **where)
        if scale.names:
            named = key_positions(len(scale.names), min(25, len(scale.names)))
            bar.set_ticks(named, labels=[plain(scale.names[i]) for i in named])
            bar.ax.minorticks_off()
    legend_below(figure, list(handles.values()))
    # Jupyter shows by itself what has this method. A subclass would have it, too, but wandb takes none for a figure.
    figure._repr_png_ = partial(png, figure)  # type: ignore[attr-defined]
    return figure


def png(figure: Figure) -> bytes:
    """A figure as a PNG file, 840 pixels wide."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def _draw_panel(axes: Axes, panel: Panel, bars: _ColourBars) -> _Entries:
    """Draw axes and marks, each mark in front of those before it, and collect entries of the legend."""
    apply_axis(axes, panel.x, "x")
    apply_axis(axes, panel.y, "y")
    if panel.title:
        names = panel.y.names if isinstance(panel.y, Named) else []
        room = (CHARACTERS["x"] + 7) * share(axes, "x") - 7  # of each column its numbers and names
        room -= 0.75 * max([0, *(len(name) - 5 for name in names)])
        axes.set_title(plain(wrapped(panel.title, max(20, round(room)))))
    entries: _Entries = []
    for depth, mark in enumerate(panel.marks, start=1):
        before = set(axes.get_children())
        if isinstance(mark, marks.Scale | marks.HeatMap):
            scale = mark if isinstance(mark, marks.Scale) else mark.scale
            colours, users = bars.setdefault(scale, (_colours(scale), []))
            users.append(axes)
            if isinstance(mark, marks.HeatMap):
                _heat_map(axes, mark, colours)
        else:
            entries += _draw_mark(mark, axes, panel)
        for number, artist in enumerate(one for one in axes.get_children() if one not in before):
            artist.set_zorder(1 + 0.01 * depth + 1e-6 * number)
    if panel.square:
        axes.set_aspect("equal")
    return entries


def _colours(scale: marks.Scale) -> ScalarMappable:
    if isinstance(scale.colours, tuple):
        norm = BoundaryNorm(np.arange(len(scale.colours) + 1) - 0.5, len(scale.colours))
        return ScalarMappable(norm, ListedColormap(scale.colours))
    return ScalarMappable((LogNorm if scale.logarithmic else Normalize)(*scale.limits), _MAPS[scale.colours])


def _heat_map(axes: Axes, mark: marks.HeatMap, colours: ScalarMappable) -> None:
    values = np.ma.masked_invalid(mark.values)
    if mark.scale.logarithmic:
        values = np.ma.masked_less_equal(values, 0)
    style: Any = {"cmap": colours.cmap, "norm": colours.norm, "rasterized": True}
    axes.pcolormesh(np.asarray(mark.x_edges), np.asarray(mark.y_edges), values, **style)


def _pen(mark: marks.Line | marks.Rule) -> dict[str, Any]:
    return {"color": colour(mark.colour), "linewidth": 0.75 * mark.width, "linestyle": _STYLES[mark.dash]}


@singledispatch
def _draw_mark(mark: object, axes: Axes, panel: Panel) -> _Entries:
    """Draw a mark, and say what stands in the legend."""
    raise NotImplementedError(f"no figure shows a {type(mark).__name__}")


@_draw_mark.register(marks.Line)
def _line(mark: marks.Line, axes: Axes, _: Panel) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    kind: Any = {"drawstyle": "steps-post"} if mark.stepped else {}
    axes.plot(x, y, rasterized=len(x) > _MOST_VECTORS, **_pen(mark), **kind)
    return [(mark.label, Line2D([], [], **_pen(mark)))]


@_draw_mark.register(marks.Points)
def _points(mark: marks.Points, axes: Axes, panel: Panel) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    several = not isinstance(mark.colour, str)
    inks = [colour(one) for one in mark.colour] if several else [colour(str(mark.colour))] * len(x)
    ink = colour(str(mark.colour)) if not several else inks[0] if inks else colour(marks.INK)
    line: Any = {"linewidth": 0.75 * mark.joined, "linestyle": _STYLES[mark.dash] if mark.joined else "none"}
    if mark.joined:
        axes.plot(x, y, color=ink, **line)
    if mark.y_errors is not None:
        low, high = reach(panel.y, y, mark.y_errors)
        bars: Any = {"yerr": np.stack([y - low, high - y]), "ecolor": inks if several else ink}
        axes.errorbar(x, y, fmt="none", elinewidth=0.7, **bars)
    hollow = np.broadcast_to(np.asarray(mark.hollow, bool), x.shape)
    faces = np.where(hollow, "white", np.array(inks, dtype=object)).tolist()
    symbol = _SYMBOLS[mark.symbol]
    kind: Any = {"c": inks} if mark.symbol == "x" else {"c": faces, "ec": inks}
    sizes = np.broadcast_to(np.asarray(mark.size, float), x.shape) ** 2
    axes.scatter(x, y, sizes, marker=symbol, linewidths=0.8, clip_on=mark.symbol != "triangle-left", **kind)
    face = "white" if np.all(mark.hollow) else ink
    return [(mark.label, Line2D([], [], color=ink, marker=symbol, markerfacecolor=face, markersize=3.5, **line))]


@_draw_mark.register(marks.Bars)
def _bars(mark: marks.Bars, axes: Axes, _: Panel) -> _Entries:
    starts, stops = np.asarray(mark.starts, float), np.asarray(mark.stops, float)
    look: Any = {"facecolor": colour(mark.colour), "edgecolor": colour(mark.outline), "linewidth": 0.5}
    if mark.hatched:
        known = {"facecolor": colour(mark.colour), "edgecolor": "0.2"} if mark.colour else {"facecolor": UNRESOLVED}
        look = _HATCH | known
    draw_bars: Callable[..., Any] = axes.bar if mark.upright else axes.barh
    draw_bars(np.asarray(mark.places), stops - starts, np.asarray(mark.thickness), starts, **look)
    return [(mark.label, Patch(**look))]


@_draw_mark.register(marks.Dashes)
def _dashes(mark: marks.Dashes, axes: Axes, panel: Panel) -> _Entries:
    x, y = np.asarray(mark.x, float), np.asarray(mark.y, float)
    style: Any = {"color": colour(mark.colour), "linewidth": 0.7, "rasterized": True}
    low, high = reach(panel.y, y, mark.errors)
    axes.hlines(y, x - marks.DASH / 2, x + marks.DASH / 2, **style)
    axes.vlines(x, low, high, **style)
    return [(mark.label, Line2D([], [], color=style["color"], marker="_", markersize=8, linestyle="none"))]


@_draw_mark.register(marks.Areas)
def _areas(mark: marks.Areas, axes: Axes, _: Panel) -> _Entries:
    tops = np.cumsum(mark.heights, axis=0)
    entries: _Entries = []
    for low, high, ink, name in zip(tops - mark.heights, tops, mark.colours, mark.labels, strict=True):
        axes.fill_between(np.asarray(mark.x, float), low, high, color=colour(ink), linewidth=0, rasterized=True)
        entries.append((name, Patch(color=colour(ink))))
    return entries


@_draw_mark.register(marks.Band)
def _band(mark: marks.Band, axes: Axes, _: Panel) -> _Entries:
    x, low, high = (np.asarray(values, float) for values in (mark.x, mark.low, mark.high))
    look: Any = {"color": colour(mark.colour), "alpha": marks.OPACITY[mark.pale], "linewidth": 0}
    for piece in mark.pieces():
        if len(piece) > 1:
            axes.fill_between(x[piece], low[piece], high[piece], **look)
        else:  # as wide as can be seen
            axes.vlines(x[piece], low[piece], high[piece], **look | {"linewidth": 4.0})
    return [(mark.label, Patch(**look))]


@_draw_mark.register(marks.Region)
def _region(mark: marks.Region, axes: Axes, _: Panel) -> _Entries:
    look = _HATCH if mark.hatched else _SHADE
    (left, right), (low, high) = mark.within(axes.get_xlim(), axes.get_ylim())
    axes.fill([left, right, right, left], [low, low, high, high], **look)
    return [(mark.label, Patch(**look))]


@_draw_mark.register(marks.Rule)
def _rule(mark: marks.Rule, axes: Axes, _: Panel) -> _Entries:
    axes.axhline(mark.at, **_pen(mark))
    if mark.text:
        place: Any = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "xytext": (3, 0)}
        axes.annotate(plain(mark.text), (1, mark.at), va="center", size=6.5, color="0.3", **place)
    return [(mark.label, Line2D([], [], **_pen(mark)))]


@_draw_mark.register(marks.Texts)
def _texts(mark: marks.Texts, axes: Axes, _: Panel) -> _Entries:
    for x, y, text in zip(np.asarray(mark.x), np.asarray(mark.y), mark.texts, strict=True):
        axes.text(x, y, plain(text), ha="center", va="center", size=mark.size, color=colour(mark.colour))
    return []


@_draw_mark.register(marks.Remark)
def _remark(mark: marks.Remark, axes: Axes, _: Panel) -> _Entries:
    where: Any = {"x": 0.01, "y": 0.02, "ha": "left", "va": "bottom"}
    if mark.is_all:
        where = {"x": 0.5, "y": 0.5, "ha": "center", "va": "center"}
        axes.set(xticks=[], yticks=[])
    axes.text(s=plain(textwrap.fill(mark.text, 40)), transform=axes.transAxes, color="0.3", **where)
    return []
