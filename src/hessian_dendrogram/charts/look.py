"""How every chart looks, on light and on dark pages: colours, template, and the configuration of the tool bar.

Paper and plotting area are transparent; text, axes and grid are greys that read on white and on black. Attributes are
those that plotly.js 3 and 4 share.

Texts that come from a run are shown letter by letter (`plain`): plotly would take some for tags, places of numbers or
formulas. Titles and remarks are made plain here, names of layers and analyses where a chart uses them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from ..texts import MOST, shortened
from ..views.palette import COLOURS, UNCONVERGED

__all__ = ["COLOURS", "HATCH", "MUTED", "NEUTRAL", "SYMBOLS", "TEXT", "UNCONVERGED", "UNRESOLVED"]
TEXT = "#7C7C7C"  # a contrast of 4:1 against white, and against a dark page
NEUTRAL = "#808080"  # lines that are part of no coloured group
MUTED = "rgba(128, 128, 128, 0.55)"
GRID = "rgba(128, 128, 128, 0.18)"
UNRESOLVED = "rgba(128, 128, 128, 0.22)"  # behind everything that the numerical error hides
HATCH: dict[str, Any] = {"shape": "/", "size": 6, "solidity": 0.25, "fgcolor": NEUTRAL, "bgcolor": "rgba(0, 0, 0, 0)"}
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
_HOLLOW = "-open"
_LONGEST_LABEL = 50  # characters
_LONGEST_TITLE = 300
_POWERS = 10  # the size of ticks on a logarithmic axis over decades, which plotly enlarges by a quarter

_AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "linecolor": NEUTRAL,
    "zerolinecolor": MUTED,
    "zeroline": False,
    "showline": True,
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": NEUTRAL,
    "title": {"standoff": 8, "font": {"size": 13}},
    "tickfont": {"size": 12},
    "automargin": True,
}
_COLOUR_BAR: dict[str, Any] = {
    "title": {"font": {"size": 12}},
    "outlinewidth": 0,
    "ticks": "outside",
    "tickcolor": NEUTRAL,
    "thickness": 14,
}
_TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "colorway": list(COLOURS),
        "font": {"color": TEXT, "size": 13},
        "title": {
            "font": {"size": 14},
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "yanchor": "bottom",
            "yref": "paper",
            "y": 1,
            "pad": {"b": 8},
        },
        "margin": {"l": 70, "r": 20, "t": 56, "b": 100},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": 12},
        },
        "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": MUTED, "activecolor": COLOURS[0]},
        "hoverlabel": {"font": {"size": 12}, "align": "left"},
        "barmode": "overlay",
        "showlegend": True,
    },
    data={"heatmap": [{"colorbar": _COLOUR_BAR}]},
)


def new_chart(*, title: str = "", height: int = 420, **layout: Any) -> go.Figure:
    """Make an empty chart of a height in pixels, as wide as its page, under a title of plain text."""
    figure = go.Figure(layout={"template": _TEMPLATE, "height": height, "dragmode": "zoom", **layout})
    if title:
        figure.update_layout(title_text=plain(title, _LONGEST_TITLE))
    return figure


def panels(titles: Sequence[str], *, columns: int = 1, height: int, spacing: float = 0.0, **options: Any) -> go.Figure:
    """Make a chart of several panels, with a title above each, on the left.

    Args:
        titles: one per panel, row by row, plain text.
        columns: panels beside each other.
        height: of the whole chart, in pixels.
        spacing: between rows, as a share of the height; 0 chooses one.
        options: of `plotly.subplots.make_subplots`.
    """
    from plotly.subplots import make_subplots

    rows = -(-len(titles) // columns)
    gap = spacing or (0.0 if rows == 1 else min(0.3 / (rows - 1), 90 / height))
    figure = make_subplots(rows=rows, cols=columns, vertical_spacing=gap, horizontal_spacing=0.14, **options)
    axes = ["", *range(2, len(titles) + 1)]  # the first panel has the axes "xaxis" and "yaxis", the second "xaxis2"
    places = [(figure.layout[f"xaxis{n}"].domain, figure.layout[f"yaxis{n}"].domain) for n in axes]
    style = {"xref": "paper", "yref": "paper", "xanchor": "left", "yanchor": "bottom", "showarrow": False}
    annotations = [
        {"text": plain(text, _LONGEST_TITLE), "x": x[0], "y": y[1], "font": {"size": 13, "color": TEXT}, **style}
        for text, (x, y) in zip(titles, places, strict=True)
    ]
    figure.update_layout(template=_TEMPLATE, height=height, dragmode="zoom", annotations=annotations)
    return figure


def colour_bar_above(figure: go.Figure, name: str, *, axis: int = 0) -> None:
    """Put the colour bar of a heatmap between its title and its panel, which then is as wide as that of other charts.

    Args:
        figure: a chart of one panel.
        name: what the colours mean.
        axis: pixels for an axis between the bar and the panel.
    """
    # By the page and with a name of its own: plotly's names for bars lie upon them, and a bar beside its panel makes
    # room for itself, after which the axes' names stand wrong.
    margin = 106 + axis
    place = {"orientation": "h", "x": 0, "xanchor": "left", "xpad": 0, "yref": "container", "yanchor": "top", "ypad": 0}
    bar = place | {"y": 1 - 62 / figure.layout.height, "lenmode": "pixels", "len": 240}
    figure.update_traces(colorbar=bar, selector={"type": "heatmap"})
    text = {"text": name, "showarrow": False, "font": {"size": 12, "color": TEXT}}
    figure.add_annotation(
        x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom", yshift=margin - 54, xshift=-3, **text
    )
    figure.update_layout(margin_t=margin, title_pad_b=margin - 30)


def keep_proportions(figure: go.Figure, name: str) -> None:
    """Draw a picture with square pixels, at the left, under its colour bar and on pages of any width."""
    # The numbers are at the top, where the picture always begins; a name there would be pushed above the bar.
    figure.update_xaxes(constrain="domain", constraintoward="left", side="top")
    figure.update_yaxes(constrain="domain", constraintoward="top", scaleanchor="x")
    colour_bar_above(figure, name, axis=22)
    figure.update_layout(margin_b=40)


def log_axis(figure: go.Figure, low: float, high: float, title: str, *, which: str = "y", **where: Any) -> None:
    """Make a logarithmic axis from `low` to `high`, both > 0, of a chart or of the panel `row`, `col`."""
    decades = np.log10(high) - np.log10(low)
    update = figure.update_xaxes if which == "x" else figure.update_yaxes
    update(
        type="log",
        range=[np.log10(low), np.log10(high)],
        dtick=max(1, round(decades / 6)) if decades > 2 else "D2" if decades > 0.8 else "D1",
        exponentformat="power",
        tickfont_size=_POWERS if decades > 2 else None,
        title_text=title,
        **where,
    )


def say(figure: go.Figure, text: str, **place: Any) -> go.Figure:
    """Write in the middle of a chart, or of the panel `row`, `col`, why there is nothing to see."""
    x, y = 0.5, 0.5
    if place:  # by the page: a panel without data has no axes to refer to
        panel = figure.get_subplot(**place)
        x, y = sum(panel.xaxis.domain) / 2, sum(panel.yaxis.domain) / 2
    text = _wrapped(text, 36) if place else plain(text, _LONGEST_TITLE)
    middle = {"xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "middle"}
    figure.add_annotation(text=text, x=x, y=y, showarrow=False, font={"size": 13}, **middle)
    if not place:
        figure.update_xaxes(visible=False)
        figure.update_yaxes(visible=False)
    return figure


def note(figure: go.Figure, text: str, *, row: int, col: int) -> None:
    """Write a remark into the lower left corner of a panel."""
    panel = figure.get_subplot(row=row, col=col)
    figure.add_annotation(
        text=_wrapped(text, 44),
        x=panel.xaxis.domain[0] + 0.01,
        y=panel.yaxis.domain[0] + 0.02,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="bottom",
        align="left",
        showarrow=False,
        font={"size": 12, "color": TEXT},
    )


def configuration(name: str, *, file_format: str = "svg") -> dict[str, Any]:
    """The tool bar of a chart, whose camera button saves a picture.

    Args:
        name: of the file, without its ending.
        file_format: "svg" or "png"; a PNG has twice the pixels of the screen.
    """
    return {
        "displaylogo": False,
        "toImageButtonOptions": {"format": file_format, "filename": name, "scale": 2 if file_format == "png" else 1},
    }


def light(values: ArrayLike) -> NDArray[np.float32]:
    """Coordinates in single precision: half the bytes, and finer than any screen.

    Values beyond its range, of which eigenvalues of 1e-60 are an example, become 0 or the largest number it has.
    """
    limit = np.finfo(np.float32).max
    return np.asarray(np.clip(np.asarray(values, float), -limit, limit), dtype=np.float32)


def plain(text: str, most: int = MOST) -> str:
    """A text as plotly shows it letter by letter, whatever tags, places of numbers (`%{x}`) or formulas are in it."""
    shown = escape(shortened(text, most), quote=False)
    return shown.replace("{", "&#123;").replace("$", "&#36;")


def label_of(name: str) -> str:
    """The name of a layer or an analysis in a legend or under the pointer."""
    return plain(name, _LONGEST_LABEL)


def _wrapped(text: str, width: int) -> str:
    return "<br>".join(plain(line) for line in textwrap.wrap(shortened(text, _LONGEST_TITLE), width))


def css(colour: tuple[float, float, float]) -> str:
    """A colour of `views.layers` as plotly takes it."""
    return "rgb({}, {}, {})".format(*(round(255 * part) for part in colour))


def hollow(symbol: str) -> str:
    """The outline of a symbol, for what is unresolved."""
    return symbol + _HOLLOW
