"""What all notebooks show in the same way: messages, sliders over the checkpoints, charts with their tool bar."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import marimo as mo

from ..charts import configuration
from ..statistics.dendrogram import Dendrogram
from ..store import Run
from ..texts import shortened

_LONGEST = 1000  # characters of a message


def warning(text: str) -> mo.Html:
    """One readable message in place of a traceback; a run directory's own texts are not trusted to be harmless."""
    return mo.callout(mo.Html(f"<p>{escape(shortened(text, _LONGEST))}</p>"), kind="warn")


def heading(before: str, run: Run) -> mo.Html:
    """The page's title with the experiment's name, in which neither HTML nor Markdown means anything."""
    name = escape(shortened(run.configuration.get("experiment", run.path.name)))
    return mo.Html(f'<h1 class="text-3xl">{before} <code>{name}</code></h1>')


def largest_first(rows: Sequence[object], tree: Dendrogram, epsilon: float) -> str:
    """Which of a dendrogram's clusters the rows of a table are."""
    total = int(tree.num_clusters(epsilon))
    return "the largest first" if len(rows) == total else f"the {len(rows):,} largest of {total:,}"


def side_by_side(parts: Sequence[object]) -> mo.Html:
    """Parts beside each other where the page is wide enough, else below each other."""
    style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr))"
    return mo.Html(f'<div style="{style}">{"".join(mo.as_html(part).text for part in parts)}</div>')


def step_slider(steps: Sequence[int], value: int, label: str = "checkpoint (training step)") -> mo.ui.slider:
    """One of the analysed training steps."""
    return mo.ui.slider(steps=list(steps), value=value, label=label, show_value=True, full_width=True)


def step_range(steps: Sequence[int]) -> mo.ui.range_slider:
    """The training steps that the charts over training show."""
    return mo.ui.range_slider(
        steps=list(steps) if len(steps) > 1 else [steps[0], steps[0] + 1],
        label="steps shown by charts over training",
        show_value=True,
        full_width=True,
    )


def picture_format_choice() -> mo.ui.dropdown:
    """What the camera button of every chart saves."""
    return mo.ui.dropdown(["svg", "png"], value="svg", label="camera button of a chart saves")


def source_line(title: str, picture_format: mo.ui.dropdown) -> mo.Html:
    """Where the numbers come from, and how to save a picture of them."""
    return mo.hstack([mo.Html(f"<small>{escape(title)}</small>"), picture_format], justify="space-between", wrap=True)


def chart(name: str, figure: Any, file_format: str, **more: Any) -> mo.ui.plotly:
    """A figure with its tool bar."""
    return mo.ui.plotly(figure, config=configuration(name, file_format=file_format), **more)
