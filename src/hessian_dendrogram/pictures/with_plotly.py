"""Any picture as an interactive plotly chart."""

from __future__ import annotations

from math import ceil

import plotly.graph_objects as go

from . import marks
from .axes import Steps
from .picture import Panel, Picture
from .screen import TEMPLATE, configuration, plain
from .screen_axes import axis_layout, domains
from .screen_marks import DRAW
from .sheet import Sheet

__all__ = ["configuration", "draw"]
_PIXELS = 115  # for an inch of print
_WIDTH = 900  # of a page, where one has to be assumed


def draw(picture: Picture) -> go.Figure:
    """Draw a picture as wide as its page."""
    heights = picture.heights or (1.0,) * len(picture.rows)
    kept = [not all(panel.on_paper_only for panel in row) for row in picture.rows]
    rows, shares = (
        picture.shown(on_paper=False),
        [share for share, is_kept in zip(heights, kept, strict=True) if is_kept],
    )
    pixels = round(picture.height * _PIXELS * sum(shares) / sum(heights))
    gap = _gap(rows)
    uprights = domains(shares, gap / pixels, downwards=True)
    columns = max(len(row) for row in rows)
    acrosses = domains(picture.widths or [1.0] * columns, 0.1)
    sheet = Sheet(go.Figure(layout={"template": TEMPLATE}))
    places = [(i, j, panel) for i, row in enumerate(rows) for j, panel in enumerate(row)]
    for number, (row, column, panel) in enumerate(places, start=1):
        sheet.number, sheet.panel = number, panel
        _draw_panel(sheet, acrosses[column], uprights[row], pixels, len(places) == 1)
    _finish(sheet, picture, pixels, acrosses, uprights, places)
    return sheet.figure


def _gap(rows: list[list[Panel]]) -> int:
    """Pixels between rows, for the numbers and the name of an axis and the title of the next panel."""
    bare = all(isinstance(panel.x, Steps) and panel.x.unlabelled for row in rows[:-1] for panel in row)
    upright = any(isinstance(panel.x, Steps) and not panel.x.unlabelled for row in rows[:-1] for panel in row)
    return (18 if bare else 68 + 34 * upright) + (20 if any(panel.title for row in rows[1:] for panel in row) else 0)


def _draw_panel(
    sheet: Sheet, across: tuple[float, float], upright: tuple[float, float], pixels: float, is_alone: bool
) -> None:
    panel, axes = sheet.panel, sheet.axes
    x = axis_layout(panel.x, "x", _WIDTH * (across[1] - across[0]))
    y = axis_layout(panel.y, "y", pixels * (upright[1] - upright[0]))
    if panel.square:
        x |= {"constrain": "domain", "constraintoward": "left"}
        x |= {"side": "top"} if is_alone else {}  # where the image always begins
        y |= {"constrain": "domain", "constraintoward": "top", "scaleanchor": axes["x"]}
    if any(isinstance(mark, marks.Nothing) for mark in panel.marks):
        x["visible"] = y["visible"] = False
    sheet.figure.update_layout(
        {
            axes["x"].replace("x", "xaxis"): {"domain": across, "anchor": axes["y"], **x},
            axes["y"].replace("y", "yaxis"): {"domain": upright, "anchor": axes["x"], **y},
        }
    )
    for mark in panel.marks:
        DRAW[type(mark)](sheet, mark)


def _finish(
    sheet: Sheet,
    picture: Picture,
    pixels: int,
    acrosses: list[tuple[float, float]],
    uprights: list[tuple[float, float]],
    places: list[tuple[int, int, Panel]],
) -> None:
    """Titles, colour bars, margins and the height of the whole."""
    figure, alone = sheet.figure, len(places) == 1
    titles = [picture.title] if picture.title else []
    if alone and places[0][2].title:
        titles.append(places[0][2].title)
    text = "\n".join(titles)
    top = 22 + 19 * (text.count("\n") + 1) if text else 20
    if not alone:
        top += 22
        for number, (_, _, panel) in enumerate(places, start=1):
            sheet.number = number
            sheet.note(plain(panel.title), 0, 1, xanchor="left", yanchor="bottom", yshift=5, align="left")
    texts = [mark.text for *_, panel in places for mark in panel.marks if isinstance(mark, marks.Rule)]
    right = 20 + 7 * max(map(len, texts), default=0)
    lines = max(_legend_lines(figure), 3 if any(isinstance(m, marks.Tree) for *_, p in places for m in p.marks) else 1)
    bottom = (30 if places[-1][2].square and alone else 78) + 21 * lines
    for number, (scale, users) in enumerate(sheet.bars.items(), start=1):
        known = scale.layout()
        bar = known["colorbar"]
        if alone:  # above the panel, which then is as wide as that of other charts
            square = 40 * places[0][2].square
            height, top = pixels + top + 62 + square + bottom, top + 62 + square
            bar |= {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "xpad": 0,
                "ypad": 0,
                "lenmode": "pixels",
                "len": 240,
            }
            bar |= {"y": 1 - (top - square - 44) / height, "yref": "container", "yanchor": "top"}
            del bar["title"]
            sheet.number = 1
            sheet.note(
                plain(scale.bar), 0, 1, yref="paper", xanchor="left", yanchor="bottom", yshift=square + 54, xshift=-3
            )
        else:
            rows, columns = zip(*(places[user - 1][:2] for user in users), strict=True)
            low, high = uprights[max(rows)][0], uprights[min(rows)][1]
            bar |= {"x": acrosses[max(columns)][1] + 0.01, "y": (low + high) / 2, "len": high - low}
            right = 90
        figure.update_layout({f"coloraxis{number if number > 1 else ''}": known})
    figure.update_layout(height=pixels + top + bottom, margin={"l": 70, "r": right, "t": top, "b": bottom})
    if text:
        figure.update_layout(title={"text": plain(text), "pad": {"b": top - 29}})


def _legend_lines(figure: go.Figure) -> int:
    """How many lines the legend takes on a page of usual width."""
    shown = [item.name for item in (*figure.data, *figure.layout.shapes) if item.name and item.showlegend]
    return ceil(sum(48 + 6.3 * len(name) for name in shown) / _WIDTH)
