"""How every chart on a screen looks, on light and on dark pages: colours, template, and what its tool bar does.

Paper and plotting area are transparent; text, axes and grid are greys that read on white and on black. Attributes are
those that plotly.js 3 and 4 share.
"""

from __future__ import annotations

from html import escape
from string import Formatter
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from ..texts import shortened
from .marks import COLOURS, FAINT, INK, Facts

TEXT = "#7C7C7C"  # a contrast of 4:1 against white, and against a dark page
_MUTED = "rgba(128, 128, 128, 0.55)"
_NAMED = {INK: "#808080", FAINT: _MUTED, "": "rgba(0, 0, 0, 0)"}
UNRESOLVED = "rgba(128, 128, 128, 0.22)"
HATCH: dict[str, Any] = {"shape": "/", "size": 6, "solidity": 0.25, "fgcolor": _NAMED[INK], "bgcolor": _NAMED[""]}
_LONGEST = 300  # characters
_LIGHT_FROM = 2000  # points whose facts are sent in single precision
_AXIS: dict[str, Any] = {
    "gridcolor": "rgba(128, 128, 128, 0.18)",
    "linecolor": _NAMED[INK],
    "zeroline": False,
    "showline": True,
    "ticks": "outside",
    "ticklen": 5,
    "tickcolor": _NAMED[INK],
    "title": {"standoff": 8, "font": {"size": 12}},
    "tickfont": {"size": 12},
    "exponentformat": "power",
    "automargin": True,
}
_TITLE = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "bottom"}
_LEGEND = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom"}
TEMPLATE = go.layout.Template(
    layout={
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "colorway": list(COLOURS),
        "font": {"color": TEXT, "size": 13},
        "title": {"font": {"size": 13}, **_TITLE},
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {"font": {"size": 12}, **_LEGEND},
        "modebar": {"bgcolor": "rgba(0, 0, 0, 0)", "color": _MUTED, "activecolor": COLOURS[0]},
        "hoverlabel": {"font": {"size": 12}, "align": "left"},
        "hovermode": "closest",
        "dragmode": "zoom",
        "barmode": "overlay",
        "showlegend": True,
    }
)


def colour(name: str) -> str:
    """A colour of a mark as plotly takes it."""
    return _NAMED.get(name, name)


def plain(text: str, most: int = _LONGEST) -> str:
    """A text as plotly shows it letter by letter, whatever tags, places of numbers or formulas are in it."""
    lines = [escape(shortened(line, most), quote=False) for line in text.split("\n")]
    return "<br>".join(lines).replace("{", "&#123;").replace("$", "&#36;")


def light(values: ArrayLike) -> NDArray[np.float32]:
    """Coordinates in single precision: half the bytes, and finer than any screen.

    Values beyond its range, of which eigenvalues of 1e-60 are an example, become 0 or the largest number it has.
    """
    limit = np.finfo(np.float32).max
    return np.asarray(np.clip(np.asarray(values, float), -limit, limit), dtype=np.float32)


def hover(facts: Facts | None, rows: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """What a trace says under the pointer: at each point the next row of the facts, or the row that is given for it."""
    if facts is None:
        return {"hoverinfo": "skip"}
    shown = np.broadcast_arrays(*(_shown(np.asarray(column)) for column in facts.columns.values()))
    columns = dict(zip(facts.columns, shown if rows is None else [column[rows] for column in shown], strict=True))
    # A text that all points share is sent once. Numbers stay, which a click on a point asks for.
    alike = {name: text for name, column in columns.items() if (text := _text_of_all(column)) is not None}
    names = [name for name in columns if name not in alike] or list(columns)[:1]
    known: NDArray[Any] = np.stack([columns[name] for name in names], axis=-1)
    data = known  # plotly checks and copies lists cell by cell, and arrays as one
    if known.dtype != object:
        data = light(known) if known.size > _LIGHT_FROM * len(names) else known.astype(float)
    said = f"{_template(facts.template, names, alike)}<extra></extra>"
    return {"customdata": data, "hovertemplate": said, "meta": {"columns": names}}


def _shown(column: NDArray[Any]) -> NDArray[Any]:
    """Numbers as they are, texts letter by letter."""
    if column.dtype.kind in "iufb":
        return column
    texts = {cell: plain(cell) for cell in set(column.ravel().tolist()) if isinstance(cell, str)}
    return np.asarray(np.vectorize(lambda cell: texts.get(cell, cell), [object])(column))


def _text_of_all(column: NDArray[Any]) -> str | None:
    """The text in every cell, where there is such a one."""
    found = set(column.ravel().tolist()) if column.dtype == object else set()
    text = found.pop() if len(found) == 1 else None
    return text if isinstance(text, str) else None


def _template(template: str, names: list[str], alike: dict[str, str]) -> str:
    """Places such as `{step:,}` as plotly writes them, or what stands there at every point; the rest is plain text."""
    parts = []
    for text, name, form, _ in Formatter().parse(template):
        parts.append(plain(text))
        if name in alike:
            parts.append(alike[name])
        elif name is not None:
            parts.append(f"%{{customdata[{names.index(name)}]{':' + form if form else ''}}}")
    return "".join(parts)


def configuration(name: str, *, file_format: str = "svg") -> dict[str, Any]:
    """The tool bar of a chart, whose camera button saves `name`.svg or `name`.png, this with twice the pixels."""
    saved = {"format": file_format, "filename": name, "scale": 2 if file_format == "png" else 1}
    return {"displaylogo": False, "toImageButtonOptions": saved}
