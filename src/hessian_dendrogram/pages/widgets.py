"""What all notebooks show in the same way: messages, sliders over the checkpoints, pictures with their sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import marimo as mo

from ..errors import HessianDendrogramError
from ..pictures import PICTURES, Known
from ..pictures.analysed import Analysed
from ..pictures.screen import configuration
from ..statistics.dendrogram import Dendrogram
from ..store import Run
from ..texts import shortened

_LONGEST = 1000  # characters of a message
Show = Callable[..., mo.ui.plotly]


def warning(text: str) -> mo.Html:
    """One readable message in place of a traceback; a run directory's own texts are not trusted to be harmless."""
    return mo.callout(mo.Html(f"<p>{escape(shortened(text, _LONGEST))}</p>"), kind="warn")


def metrics_warning(run: Run) -> mo.Html | None:
    """What is wrong with loss and accuracy, where they cannot be read: a run can be looked at without."""
    try:
        run.metrics()
    except (HessianDendrogramError, OSError) as error:
        return warning(f"Loss and accuracy cannot be shown. {error}")
    return None


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
    """The training steps that pictures over training show."""
    return mo.ui.range_slider(
        steps=list(steps) if len(steps) > 1 else [steps[0], steps[0] + 1],
        label="steps shown by pictures over training",
        show_value=True,
        full_width=True,
    )


def epsilon_slider(resolutions: Sequence[float], value: float) -> mo.ui.slider:
    """The resolution of an eigenvalue dendrogram."""
    label = "resolution ε (units of λ, log scale)"
    return mo.ui.slider(steps=list(resolutions), value=value, label=label, show_value=True, full_width=True)


def picture_format_choice() -> mo.ui.dropdown:
    """What the camera button of every chart saves."""
    return mo.ui.dropdown(["svg", "png"], value="svg", label="camera button of a chart saves")


def source_line(title: str, picture_format: mo.ui.dropdown) -> mo.Html:
    """Where the numbers come from, and how to save a picture of them."""
    return mo.hstack([mo.Html(f"<small>{escape(title)}</small>"), picture_format], justify="space-between", wrap=True)


def chart(name: str, figure: Any, file_format: str, **more: Any) -> mo.ui.plotly:
    """A figure with its tool bar."""
    return mo.ui.plotly(figure, config=configuration(name, file_format=file_format), **more)


def fact(figure: Any, points: Sequence[Mapping[str, Any]], name: str) -> Any:
    """A fact of the mark that was clicked, or `None` where that has no such fact.

    Args:
        figure: the chart of a picture.
        points: as marimo passes them.
        name: of the fact.
    """
    if not points:
        return None
    trace = figure.data[points[0]["curveNumber"]]
    columns = (trace.meta or {}).get("columns", [])
    return trace.customdata[points[0]["pointIndex"]][columns.index(name)] if name in columns else None


def tabs_of(analysed: Analysed) -> dict[str, dict[str, Known]]:
    """The pictures of an analysis by the tab that they belong to, in their order."""
    found: dict[str, dict[str, Known]] = {}
    for name, known in PICTURES.items():
        if known.of == analysed.kind and known.tab and known.applies(analysed):
            found.setdefault(known.tab, {})[name] = known
    return found


def over_training(analysed: Analysed, at: Any, tab: Mapping[str, Known], show: Show) -> mo.Html | None:
    """The pictures over training of a tab."""
    made = {name: known.over(analysed, at) for name, known in tab.items() if known.over}
    return _told({name: (tab[name].sentence, picture) for name, picture in made.items()}, show)


def at_step(analysed: Analysed, position: int, tab: Mapping[str, Known], show: Show) -> mo.Html | None:
    """The pictures of one checkpoint of a tab."""
    made = {name: known.at(analysed, position) for name, known in tab.items() if known.at}
    return _told({name: (tab[name].sentence, picture) for name, picture in made.items() if picture}, show)


def _told(pictures: Mapping[str, tuple[str, Any]], show: Show) -> mo.Html | None:
    parts = [(mo.md(sentence), show(name, picture)) for name, (sentence, picture) in pictures.items()]
    return mo.vstack([part for pair in parts for part in pair]) if parts else None
