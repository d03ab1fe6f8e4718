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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ..pictures.screen import configuration
from ..texts import shortened

_LONGEST = 500  # characters of a text of the run
STEP = "training step"


@dataclass(frozen=True)
class Section:
    """A heading, how to read the chart below it, and that: one, or one for each step that a slider chooses.

    `name` is that of the file which the camera button saves, `steps` are those that the chart is of, title and sentence
    plain text, and the appendix HTML below it. A slider may choose something else than a step: `over` says what, and a
    click on a point of another chart of the part that tells its number chooses it, too.
    """

    name: str
    title: str
    sentence: str
    figures: Mapping[int | None, go.Figure]
    steps: Sequence[int]
    appendix: str = ""
    over: str = STEP


@dataclass(frozen=True)
class Part:
    """Sections below a heading, which is plain text, and a text, which is HTML; they can be folded.

    `data` is what the page's script finds another part by, plain texts by name.
    """

    title: str
    text: str
    sections: Sequence[Section] = ()
    is_open: bool = True
    data: Mapping[str, str] = field(default_factory=dict)


def page(title: str, text: str, parts: Sequence[Part]) -> str:
    """Write the page: its title, as plain text, what introduces it, as HTML, and what it shows."""
    folder = files(__package__)
    skeleton, style, script = (folder.joinpath(f"page.{end}").read_text("utf-8") for end in ("html", "css", "js"))
    shared = folder.joinpath("head.html").read_text("utf-8").split("<script>")[1].split("</script>")[0]
    scripts = {"plotly": get_plotlyjs(), "script": shared + script}
    policy = [
        "default-src 'none'",
        "script-src " + " ".join(f"'sha256-{_digest(one)}'" for one in scripts.values()),
        "style-src 'unsafe-inline'",  # plotly.js styles what it draws
        "img-src data: blob:",  # heatmaps are pictures, and a picture is saved by way of one
    ]
    return Template(skeleton).substitute(
        title=_plain(title),
        text=text,
        policy="; ".join(policy),
        style=style,
        contents="\n".join(_entry(f"part-{number}", part) for number, part in enumerate(parts)),
        parts="\n".join(_part(f"part-{number}", part) for number, part in enumerate(parts)),
        **scripts,
    )


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Write a table of plain texts as HTML, the first cell of a row being its name; a click on its title unfolds it."""
    head = "".join(f'<th scope="col">{_plain(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{_plain(first)}</th>' + "".join(f"<td>{_plain(cell)}</td>" for cell in rest) + "</tr>\n"
        for first, *rest in rows
    )
    return (
        f'<details class="numbers"><summary>{_plain(title)}</summary>\n'
        f'<div class="wide" role="region" aria-label="{_plain(caption)}" tabindex="0"><table>\n'
        f"<caption>{_plain(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
        "</details>"
    )


def download(file: str, text: str) -> str:
    """Write a button that saves a text as a file of that name."""
    return f'<button type="button" data-file="{_plain(file)}" data-packed="{_packed(text)}">{_plain(file)}</button>'


def facts(pairs: Mapping[str, str]) -> str:
    """Write names and what they stand for, both plain texts, as an HTML list; empty ones are left out."""
    items = "".join(
        f"<div><dt>{_plain(name)}</dt><dd>{_plain(text)}</dd></div>\n" for name, text in pairs.items() if text
    )
    return f"<dl>\n{items}</dl>"


def _plain(text: str) -> str:
    """A text as HTML shows it letter by letter."""
    return escape(shortened(text, _LONGEST))


def _packed(value: object) -> str:
    """As the script of the page unpacks it."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode(), mtime=0)).decode()


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _entry(anchor: str, part: Part) -> str:
    """A part in the table of contents."""
    titles = [_plain(section.title) for section in part.sections]
    inner = "".join(f'<li><a href="#{anchor}-{place}">{title}</a></li>' for place, title in enumerate(titles))
    return f'<li><a href="#{anchor}">{_plain(part.title)}</a>{inner and f"<ul>{inner}</ul>"}</li>'


def _part(anchor: str, part: Part) -> str:
    known = "".join(f' data-{name}="{escape(text)}"' for name, text in part.data.items())
    begin = f'<details class="part" id="{anchor}"{known}{" open" if part.is_open else ""}>'
    sections = (_section(f"{anchor}-{place}", section) for place, section in enumerate(part.sections))
    return "\n".join([begin, f"<summary><h2>{_plain(part.title)}</h2></summary>", part.text, *sections, "</details>"])


def _section(anchor: str, section: Section) -> str:
    frames = []
    for step, figure in section.figures.items():
        drawn = json.loads(figure.to_json())
        said = "" if step is None else f"{step:,}"
        frames.append({"step": said, "data": drawn["data"], "layout": drawn["layout"]})
    height = max(frame["layout"].get("height", 0) for frame in frames)
    for frame in frames:
        frame["layout"]["height"] = height  # the page must not move with the slider
    known = {"config": {**configuration(section.name), "responsive": True}, "frames": frames}
    first, last, count = section.steps[0], section.steps[-1], len(section.steps)
    when = f"at {count} {section.over}s, from {first:,} to {last:,}" if count > 1 else f"at {section.over} {last:,}"
    return "\n".join(
        [
            f'<section aria-labelledby="{anchor}">',
            f'<h3 id="{anchor}">{_plain(section.title)}</h3>',
            f"<p>{escape(section.sentence)}</p>",
            f'<figure class="chart" data-over="{section.over}" aria-label="{_plain(section.title)} {when}">',
            _slider([frame["step"] for frame in frames], section.over) if len(frames) > 1 else "",
            f'<div class="plot" style="min-height: {height:.0f}px"></div>',
            f'<script type="text/plain">{_packed(known)}</script>',
            "</figure>",
            section.appendix,
            "</section>",
        ]
    )


def _slider(steps: Sequence[str], over: str) -> str:
    last = len(steps) - 1
    first = last if over == STEP else 0  # of training the end is shown, of anything else the first
    return (
        '<div class="steps"><button type="button">Play</button>'
        f'<label>{over} <input type="range" min="0" max="{last}" value="{first}" '
        f'aria-valuetext="{steps[first]}"></label> <output>{steps[first]}</output></div>'
    )
