"""One HTML page that holds everything it shows: text, style, plotly.js once, and the numbers of its charts.

The page loads nothing: it opens from a folder without a network, and its content security policy forbids every request
and every script but its own two, whatever a chart or a text contains. The numbers of a chart are JSON, compressed
and written in base64, which the browser unpacks when the chart comes near the window.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ..pictures.screen import configuration
from ..texts import shortened

_LONGEST = 500  # characters of a text of the run


@dataclass(frozen=True)
class Chart:
    """One chart, or one for each of several training steps, among which a slider chooses.

    Attributes:
        name: of the file that its camera button saves.
        description: one sentence for those who do not see it.
        figures: by training step, ascending, or one without a step.
    """

    name: str
    description: str
    figures: Mapping[int | None, go.Figure]


@dataclass(frozen=True)
class Section:
    """A heading, what one sees below it, and charts.

    Attributes:
        title: the heading, as plain text.
        text: HTML.
        charts: below the text.
        appendix: HTML below the charts.
    """

    title: str
    text: str
    charts: Sequence[Chart] = ()
    appendix: str = ""


@dataclass(frozen=True)
class Part:
    """Sections under a heading of their own, which can be folded.

    Attributes:
        title: the heading, as plain text.
        text: HTML.
        sections: below the text.
        is_open: whether it is unfolded at first.
    """

    title: str
    text: str
    sections: Sequence[Section] = field(default=())
    is_open: bool = True


def page(title: str, text: str, parts: Sequence[Part]) -> str:
    """Write the page.

    Args:
        title: plain text.
        text: HTML that introduces it.
        parts: what it shows.
    """
    folder = files(__package__)
    style, script = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    scripts = [get_plotlyjs(), script]
    policy = [
        "default-src 'none'",
        "script-src " + " ".join(f"'sha256-{_digest(one)}'" for one in scripts),
        "style-src 'unsafe-inline'",  # plotly.js styles what it draws
        "img-src data: blob:",  # heatmaps are pictures, and a picture is saved by way of one
    ]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{_plain(title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            '<a class="skip" href="#content">Skip to the content</a>',
            _contents(parts),
            '<main id="content">',
            f"<h1>{_plain(title)}</h1>",
            text,
            "<noscript><p><strong>The charts need JavaScript, which is switched off.</strong></p></noscript>",
            *(_part(number, part) for number, part in enumerate(parts)),
            "</main>",
            *(f"<script>{one}</script>" for one in scripts),
            "</body>",
            "</html>\n",
        ]
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> str:
    """Write a table of plain texts as HTML, the first cell of a row being its name."""
    head = "".join(f'<th scope="col">{_plain(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{_plain(first)}</th>' + "".join(f"<td>{_plain(cell)}</td>" for cell in rest) + "</tr>\n"
        for first, *rest in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{_plain(caption)}" tabindex="0"><table>\n'
        f"<caption>{_plain(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def facts(pairs: Mapping[str, str]) -> str:
    """Write names and what they stand for, both plain texts, as an HTML list; empty ones are left out."""
    items = "".join(
        f"<div><dt>{_plain(name)}</dt><dd>{_plain(text)}</dd></div>\n" for name, text in pairs.items() if text
    )
    return f"<dl>\n{items}</dl>"


def _plain(text: str) -> str:
    """A text as HTML shows it letter by letter."""
    return escape(shortened(text, _LONGEST))


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _name(number: int, section: int | None = None) -> str:
    """The anchor of a part, or of a section in it."""
    return f"part-{number}" if section is None else f"part-{number}-{section}"


def _contents(parts: Sequence[Part]) -> str:
    def entries() -> Iterator[str]:
        for number, part in enumerate(parts):
            inner = "".join(
                f'<li><a href="#{_name(number, place)}">{_plain(section.title)}</a></li>'
                for place, section in enumerate(part.sections)
            )
            inner = f"<ul>{inner}</ul>" if inner else ""
            yield f'<li><a href="#{_name(number)}">{_plain(part.title)}</a>{inner}</li>'

    return '<nav aria-label="Contents"><h2>Contents</h2>\n<ul>\n' + "\n".join(entries()) + "\n</ul></nav>"


def _part(number: int, part: Part) -> str:
    return "\n".join(
        [
            f'<details class="part" id="{_name(number)}"{" open" if part.is_open else ""}>',
            f"<summary><h2>{_plain(part.title)}</h2></summary>",
            part.text,
            *(_section(_name(number, place), section) for place, section in enumerate(part.sections)),
            "</details>",
        ]
    )


def _section(name: str, section: Section) -> str:
    return "\n".join(
        [
            f'<section aria-labelledby="{name}">',
            f'<h3 id="{name}">{_plain(section.title)}</h3>',
            section.text,
            *map(_chart, section.charts),
            section.appendix,
            "</section>",
        ]
    )


def _chart(chart: Chart) -> str:
    shown = [(step, _drawing(figure)) for step, figure in chart.figures.items()]
    height = max(drawing["layout"].get("height", 0) for _, drawing in shown)
    frames = [{"step": "" if step is None else f"{step:,}", **drawing} for step, drawing in shown]
    for frame in frames:
        frame["layout"]["height"] = height  # the page must not move with the slider
    packed = gzip.compress(
        json.dumps({"config": {**configuration(chart.name), "responsive": True}, "frames": frames}).encode(), mtime=0
    )
    return "\n".join(
        [
            f'<figure class="chart" aria-label="{_plain(chart.description)}">',
            _slider([frame["step"] for frame in frames]) if len(frames) > 1 else "",
            f'<div class="plot" style="min-height: {height:.0f}px"></div>',
            f'<script type="text/plain">{base64.b64encode(packed).decode()}</script>',
            "</figure>",
        ]
    )


def _drawing(figure: go.Figure) -> dict[str, Any]:
    known = json.loads(figure.to_json())
    return {"data": known["data"], "layout": known["layout"]}


def _slider(steps: Sequence[str]) -> str:
    last = len(steps) - 1
    return (
        '<div class="steps"><button type="button">Play</button>'
        f'<label>training step <input type="range" min="0" max="{last}" value="{last}" '
        f'aria-valuetext="{steps[-1]}"></label> <output>{steps[-1]}</output></div>'
    )
