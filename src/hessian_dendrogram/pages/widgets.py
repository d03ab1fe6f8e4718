"""What all notebooks do in the same way: open a run, tell what is wrong, sliders, pictures with their sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any, TypeVar

import marimo as mo

from ..errors import HessianDendrogramError
from ..pictures import PICTURES, Known, Picture
from ..pictures.analysed import Analysed, read
from ..pictures.by_segment import TITLES
from ..pictures.screen import configuration
from ..statistics.dendrogram import Dendrogram
from ..store import Run
from ..texts import shortened
from . import opening

PROBLEMS = (HessianDendrogramError, OSError)
_LONGEST = 1000  # characters of a message
Show = Callable[..., mo.ui.plotly]
T = TypeVar("T")


def opened(notebook: str) -> tuple[Run, list[str]]:
    """The run that `--run` names, to marimo after `--` or to the command that serves the notebook; and its analyses."""
    request = mo.app_meta().request
    named = mo.cli_args().get("run") or (request.meta.get("run") if request else None)
    run = attempt(lambda: opening.open_run(named, notebook), "This run cannot be shown.")
    return run, attempt(lambda: opening.analyses(run, notebook), "This run cannot be shown.")


def attempt(make: Callable[[], T], told: str) -> T:
    """What is made; where that cannot be, the cell ends with one message."""
    try:
        return make()
    except PROBLEMS as error:
        mo.stop(True, warning(f"{told} {error}"))
        raise


def read_analysis(run: Run, name: str) -> Analysed:
    """The chosen analysis, or a message."""
    return attempt(lambda: read(run, name), f"{name} cannot be shown.")


def warning(text: str) -> mo.Html:
    """One readable message in place of a traceback; a run directory's own texts are not trusted to be harmless."""
    return mo.callout(mo.Html(f"<p>{escape(shortened(text, _LONGEST))}</p>"), kind="warn")


def metrics_warning(run: Run) -> mo.Html | None:
    """What is wrong with loss and accuracy, where they cannot be read: a run can be looked at without."""
    try:
        run.metrics()
    except PROBLEMS as error:
        return warning(f"Loss and accuracy cannot be shown. {error}")
    return None


def introduction(before: str, run: Run, text: str) -> mo.Html:
    """The page's title, with the experiment's name, in which neither HTML nor Markdown means anything; and Markdown."""
    name = escape(shortened(run.configuration.get("experiment", run.path.name)))
    return mo.vstack([mo.Html(f'<h1 class="text-3xl pr-12">{before} <code>{name}</code></h1>'), mo.md(text)])


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


def segment_choice(analysed: Analysed) -> mo.ui.dropdown:
    """The part of the spectra whose dendrograms are shown; a message where there is none."""
    known = {TITLES[name]: name for name in analysed.dendrograms}
    told = f"No eigenvalue of {analysed.name} has converged, so there is no dendrogram."
    mo.stop(not known, None if known else warning(told))
    return mo.ui.dropdown(known, value=list(known)[-1], label="dendrogram of")


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


def show_as(file_format: str) -> Show:
    """How a notebook shows a picture, or a chart of one: with a tool bar, whose camera saves it under a name."""

    def show(name: str, picture: Any, **more: Any) -> mo.ui.plotly:
        figure = picture.chart() if isinstance(picture, Picture) else picture
        # A drag zooms, where marimo would select; with one revision, zoom and legend stay while a slider moves.
        figure.update_layout(dragmode="zoom", uirevision="kept")
        return mo.ui.plotly(figure, config=configuration(name, file_format=file_format), **more)

    return show


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
        if known.of == analysed.kind and known.tab and _applies(known, analysed):
            found.setdefault(known.tab, {})[name] = known
    return found


def _applies(known: Known, analysed: Analysed) -> bool:
    try:
        return known.applies(analysed)
    except PROBLEMS:
        return True  # its tab says why it cannot be shown


def over_training(analysed: Analysed, at: Any, tab: Mapping[str, Known], show: Show) -> mo.Html | None:
    """The pictures over training of a tab."""
    return _shown(tab, {name: partial(known.over, analysed, at) for name, known in tab.items() if known.over}, show)


def at_step(analysed: Analysed, position: int, tab: Mapping[str, Known], show: Show) -> mo.Html | None:
    """The pictures of one checkpoint of a tab."""
    return _shown(tab, {name: partial(known.at, analysed, position) for name, known in tab.items() if known.at}, show)


def _shown(tab: Mapping[str, Known], makers: Mapping[str, Callable[[], Picture | None]], show: Show) -> mo.Html | None:
    """Each picture below its sentence; what cannot be read costs its own picture alone."""
    parts: list[mo.Html] = []
    for name, make in makers.items():
        try:
            picture = make()
        except PROBLEMS as error:
            parts.append(warning(f"{tab[name].title} cannot be shown. {error}"))
        else:
            parts += [mo.md(tab[name].sentence), show(name, picture)] if picture else []
    return mo.vstack(parts) if parts else None
