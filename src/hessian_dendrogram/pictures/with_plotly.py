"""Any picture as an interactive plotly chart."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from . import marks
from .axes import Steps, wrapped
from .screen import TEMPLATE, plain
from .screen_axes import axis_layout, colour_axis, domains, letters_across
from .screen_marks import Sheet, draw_mark

if TYPE_CHECKING:
    from .picture import Panel, Picture

_PIXELS = 115  # for an inch of print
_WIDTH = 900  # of a page, where one has to be assumed
_LINE = 16  # pixels
_Ends = tuple[float, float]
_Places = list[tuple["Panel", _Ends, _Ends]]


def draw(picture: Picture) -> go.Figure:
    """Draw a picture as wide as its page."""
    heights = picture.heights or (1.0,) * len(picture.rows)
    pairs = zip(heights, picture.rows, strict=True)
    shares = [share for share, row in pairs if not all(panel.on_paper_only for panel in row)]
    rows = picture.shown(on_paper=False)
    acrosses = domains(picture.widths or [1.0] * max(len(row) for row in rows), 0.1)
    letters = [letters_across(_WIDTH * (right - left)) for left, right in acrosses]
    rows = [
        [replace(panel, title=wrapped(panel.title, most)) for panel, most in zip(row, letters, strict=False)]
        for row in rows
    ]
    pixels = round(picture.height * _PIXELS * sum(shares) / sum(heights))
    uprights = domains(shares, _gap(rows, letters) / pixels, downwards=True)
    # With one revision, what a reader zoomed into or switched off stays so when the chart is drawn again.
    sheet = Sheet(rows[0][0], {"template": TEMPLATE, "uirevision": "kept"})
    places = [(panel, acrosses[j], uprights[i]) for i, row in enumerate(rows) for j, panel in enumerate(row)]
    for number, (panel, across, upright) in enumerate(places, start=1):
        sheet.number, sheet.panel = number, panel
        _draw_panel(sheet, across, upright, pixels, len(places) == 1)
    top = _titles(sheet, picture.title, rows)
    below = _LINE * (_name_lines(rows[-1], letters) - 1)
    lines = max(picture.legend, _legend_lines([*sheet.traces, *sheet.shapes]))
    _finish(sheet, places, pixels, top, 78 + below, 21 * lines)
    return go.Figure(sheet.traces, sheet.layout | {"shapes": sheet.shapes, "annotations": sheet.notes})


def _name_lines(row: list[Panel], letters: list[int]) -> int:
    """Lines of the longest name of a row's level axes."""
    return max(wrapped(panel.x.label, most).count("\n") + 1 for panel, most in zip(row, letters, strict=False))


def _title_lines(row: list[Panel]) -> int:
    return max(panel.title.count("\n") + 1 if panel.title else 0 for panel in row)


def _gap(rows: list[list[Panel]], letters: list[int]) -> int:
    """Pixels between rows, for the numbers and the name of an axis and the title of the next panel."""
    if len(rows) == 1:
        return 0
    steps = [panel.x.unlabelled for row in rows[:-1] for panel in row if isinstance(panel.x, Steps)]
    is_bare = len(steps) == sum(map(len, rows[:-1])) and all(steps)
    named = 64 + _LINE * max(_name_lines(row, letters) for row in rows[:-1]) + 34 * (not all(steps))
    titles = max(map(_title_lines, rows[1:]))
    return (18 if is_bare else named) + (titles * _LINE + 4 if titles else 0)


def _draw_panel(sheet: Sheet, across: _Ends, upright: _Ends, pixels: float, is_alone: bool) -> None:
    panel, axes = sheet.panel, sheet.axes
    x = axis_layout(panel.x, "x", _WIDTH * (across[1] - across[0]))
    y = axis_layout(panel.y, "y", pixels * (upright[1] - upright[0]))
    if across[0] > 0 and not panel.square:  # numbers between panels would run into the left one on a narrow page
        y |= {"side": "right"}
    if panel.square:
        x |= {"constrain": "domain", "constraintoward": "left"}
        x |= {"side": "top"} if is_alone else {}  # where the image always begins
        y |= {"constrain": "domain", "constraintoward": "top", "scaleanchor": axes["x"]}
    if any(isinstance(mark, marks.Remark) and mark.is_all for mark in panel.marks):
        x["visible"] = y["visible"] = False
    sheet.layout[axes["x"].replace("x", "xaxis")] = {"domain": across, "anchor": axes["y"], **x}
    sheet.layout[axes["y"].replace("y", "yaxis")] = {"domain": upright, "anchor": axes["x"], **y}
    for mark in panel.marks:
        draw_mark(mark, sheet)


def _titles(sheet: Sheet, title: str, rows: list[list[Panel]]) -> int:
    """Write the titles of the picture and of its panels; the margin that they take."""
    panels = [panel for row in rows for panel in row]
    parts = [wrapped(title, letters_across(_WIDTH))] if title else []
    within = 0
    if len(panels) == 1:
        parts += [panels[0].title] if panels[0].title else []
    else:
        within = 6 + _LINE * max(1, _title_lines(rows[0]))
        for number, panel in enumerate(panels, start=1):
            sheet.number = number
            sheet.note(panel.title, 0, 1, yanchor="bottom", yshift=5)
    if text := "\n".join(parts):
        sheet.layout["title"] = {"text": plain(text)}
    return within + (22 + 19 * (text.count("\n") + 1) if text else 20)


def _finish(sheet: Sheet, places: _Places, pixels: int, top: int, below: int, legend: int) -> None:
    """Colour bars, margins and the height of the whole."""
    alone, every = len(places) == 1, [mark for panel, *_ in places for mark in panel.marks]
    right = 20 + max(round(5.5 * len(mark.text)) if isinstance(mark, marks.Rule) else 0 for mark in every)
    square = places[-1][0].square and alone
    bottom = (30 if square else below) + legend
    for number, (scale, users) in enumerate(sheet.bars.items(), start=1):
        known = colour_axis(scale)
        if alone:  # above the panel, which then is as wide as that of other charts
            text, sheet.number = wrapped(scale.bar, letters_across(_WIDTH)), 1
            room = 40 * square
            top += 62 + room + _LINE * text.count("\n")
            where = {"orientation": "h", "x": 0, "xanchor": "left", "xpad": 0, "ypad": 0, "yref": "container"}
            y = 1 - (top - room - 44) / (pixels + top + bottom)
            known["colorbar"] |= {**where, "lenmode": "pixels", "len": 240, "y": y, "yanchor": "top", "title": None}
            sheet.note(text, 0, 1, yref="paper", yshift=room + 54, xshift=-3, yanchor="bottom")
        else:
            _, acrosses, uprights = zip(*(places[user - 1] for user in users), strict=True)
            low, high = min(low for low, _ in uprights), max(high for _, high in uprights)
            known["colorbar"] |= {"x": max(acrosses)[1] + 0.01, "y": (low + high) / 2, "len": high - low}
            right = 90
        sheet.layout[f"coloraxis{number if number > 1 else ''}"] = known
    sheet.layout |= {"height": pixels + top + bottom, "margin": {"l": 70, "r": right, "t": top, "b": bottom}}
    if "title" in sheet.layout:
        sheet.layout["title"]["pad"] = {"b": top - 29}


def _legend_lines(items: list[dict[str, Any]]) -> int:
    """How many lines the legend takes on a page of usual width."""
    shown = [item["name"] for item in items if item.get("showlegend") and item.get("name")]
    return ceil(sum(48 + 6.3 * len(name) for name in shown) / _WIDTH)
