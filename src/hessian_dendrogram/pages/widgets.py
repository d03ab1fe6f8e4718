"""What the notebook is made of: messages, sliders, pictures with their sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any, TypeVar

import marimo as mo

from ..errors import HessianDendrogramError
from ..pictures import PICTURES, Known, Picture, Steps, fourier
from ..pictures.of_runs import with_nulls
from ..pictures.screen import configuration
from ..statistics.measured import SCALES
from ..statistics.segments import TITLES
from ..store import Run
from ..store.analysed import Analysed, read
from ..store.nulls import nulls_of
from ..store.tables import csv_of, tables_of
from ..texts import shortened
from .apps import APPS, App, open_app
from .introductions import OF_KINDS

PROBLEMS = (HessianDendrogramError, OSError)
_LONGEST = 1000  # characters of a message
Show = Callable[..., mo.ui.plotly]
T = TypeVar("T")


def opened() -> tuple[App, Run, list[str]]:
    """The app and the run that are named, to marimo after `--` or to the command; and the run's analyses."""
    request = mo.app_meta().request
    named = {"app": "spectrum"} | dict(mo.cli_args()) | (request.meta if request else {})
    run, names = attempt(lambda: open_app(str(named["app"]), named.get("run")), "This run cannot be shown.")
    return APPS[str(named["app"])], run, names


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


def source(analysed: Analysed) -> mo.Html:
    """Where the numbers come from; what is wrong with loss and accuracy, without which a run can be looked at."""
    what = "groups" if analysed.kind == "tree" and analysed.results[0].vertices == "groups" else "parameters"
    line = mo.Html(f"<small>{escape(analysed.title)}; {analysed.layout.size:,} {what}</small>")
    try:
        analysed.run.metrics()
    except PROBLEMS as error:
        return mo.vstack([line, warning(f"Loss and accuracy cannot be shown. {error}")])
    return line


def downloads(analysed: Analysed) -> mo.Html:
    """Every table of an analysis, made when it is asked for."""

    def button(name: str) -> mo.download:
        def contents() -> bytes:
            return csv_of(analysed.run, name, analysed.name).encode()

        return mo.download(contents, f"{analysed.name}-{name}.csv", "text/csv", label=f"{name}.csv")

    buttons = [button(name) for name in tables_of(analysed.kind)]
    return mo.hstack([mo.md("tables"), *buttons], justify="start", align="center", gap=0.3, wrap=True)


def introduction(app: App, run: Run, kind: str) -> mo.Html:
    """The title, with the experiment's name, in which neither HTML nor Markdown means anything, and what is shown."""
    if kind != app.kind:
        app = next((other for other in APPS.values() if other.kind == kind), App(kind, text=OF_KINDS.get(kind, ())))
    name = escape(shortened(run.configuration.get("experiment", run.path.name)))
    heading = mo.Html(f'<h1 class="text-3xl pr-12">{app.heading} <code>{name}</code></h1>')
    return mo.vstack([heading, mo.md("\n\n".join(app.text))])


def step_slider(steps: Sequence[int], value: int, label: str = "checkpoint (training step)") -> mo.ui.slider:
    """One of the analysed training steps."""
    return mo.ui.slider(steps=list(steps), value=value, label=label, show_value=True, full_width=True)


def step_range(steps: Sequence[int]) -> mo.ui.range_slider:
    """The training steps that pictures over training show."""
    ends, label = [*steps] if len(steps) > 1 else [steps[0], steps[0] + 1], "steps shown by pictures over training"
    return mo.ui.range_slider(steps=ends, label=label, show_value=True, full_width=True)


def segment_choice(analysed: Analysed) -> mo.ui.dropdown:
    """The part of the spectra whose dendrograms are shown; of nothing where there is none."""
    found = analysed.dendrograms if analysed.kind == "spectrum" else {}
    known = {TITLES[name]: name for name in found} or {"": ""}
    return mo.ui.dropdown(known, value=list(known)[-1], label="dendrogram of")


def measure_choice(analysed: Analysed) -> mo.ui.dropdown:
    """What the ε of these dendrograms is measured in."""
    known = {scale.title: name for name, scale in SCALES.items()} if analysed.kind == "spectrum" else {"": "absolute"}
    return mo.ui.dropdown(known, value=next(iter(known)), label="ε measured in")


def cut_slider(analysed: Analysed, segment: str) -> mo.ui.slider | None:
    """Where the dendrogram is cut: the resolution of one of eigenvalues, the clusters of one of parameters."""
    look: dict[str, Any] = {"show_value": True, "full_width": True}
    if analysed.kind == "tree":
        return mo.ui.slider(1, 20, value=6, label="clusters k of cut(k)", **look)
    if not segment:
        return None
    moving = attempt(lambda: analysed.moving(segment), "There is no such dendrogram.")
    label = SCALES[analysed.measured_in].slider
    return mo.ui.slider(steps=moving.resolutions, value=moving.epsilon, label=label, **look)


def show_as(file_format: str) -> Show:
    """A function that shows a picture, or a chart of one, under a name."""

    def show(name: str, picture: Any, **more: Any) -> mo.ui.plotly:
        figure = picture.chart() if isinstance(picture, Picture) else picture
        # A drag zooms, where marimo would select; with one revision, zoom and legend stay while a slider moves.
        figure.update_layout(dragmode="zoom", uirevision="kept")
        return mo.ui.plotly(figure, config=configuration(name, file_format=file_format), **more)

    return show


def chooser(figure: Any, choose: Callable[[float], None], column: str = "low") -> Callable[[Any], None]:
    """What is done when marks of a chart are clicked: choose what the first one tells under that name, if it does."""

    def on_change(points: Sequence[Mapping[str, Any]]) -> None:
        if points:
            trace = figure.data[points[0]["curveNumber"]]
            columns = (trace.meta or {}).get("columns", [])
            if column in columns and isinstance(points[0]["pointIndex"], int):
                choose(float(trace.customdata[points[0]["pointIndex"]][columns.index(column)]))

    return on_change


def tabs_of(analysed: Analysed) -> dict[str, dict[str, Known]]:
    """The tabs of an analysis, each with its pictures; those of dendrograms are around them and drawn by themselves."""
    own = {"tree": ["Dendrogram"], "directions": ["Directions"]}.get(analysed.kind, [])
    if analysed.kind == "spectrum" and analysed.dendrograms:
        own = ["Dendrogram", "Film"]
    found: dict[str, dict[str, Known]] = {tab: {} for tab in own}
    for name, known in PICTURES.items():
        if known.of == analysed.kind and _applies(known, analysed):
            if known.tab:
                found.setdefault(known.tab, {})[name] = known
            elif name == "fourier":  # which has sliders of its own, and below it the spectrum on the same steps
                found["Fourier"] = {below: PICTURES[below] for below in ("spectrum_evolution", "gaps")}
    return found | ({"Compare": {}} if "Dendrogram" in own else {})


def _applies(known: Known, analysed: Analysed) -> bool:
    try:
        return known.applies(analysed)
    except PROBLEMS:
        return True  # its tab says why it cannot be shown


def with_sentences(pictures: Iterable[tuple[str, Picture]], show: Show) -> list[mo.Html]:
    """Each picture below the sentence that says how to read it."""
    return [part for name, picture in pictures for part in (mo.md(picture.sentence), show(name, picture))]


def drawn(analysed: Analysed, at: Sequence[int] | int, tab: Mapping[str, Known], show: Show) -> mo.Html | None:
    """The pictures of a tab, of the first to the last of some steps or at the position of one, with their sentences.

    What cannot be read costs its own picture alone.
    """
    parts: list[mo.Html] = []
    nulls = {} if isinstance(at, int) else nulls_of(analysed)
    for name, known in tab.items():
        try:
            if isinstance(at, int):
                picture = known.at(analysed, at) if known.at else None
            else:
                shown = Steps(tuple(analysed.steps), at[0], at[-1])
                picture = with_nulls(known, analysed, nulls, shown) if known.over else None
        except PROBLEMS as error:
            parts.append(warning(f"{known.title} cannot be shown. {error}"))
        else:
            parts += with_sentences([(name, picture)] if picture else [], show)
    return mo.vstack(parts) if parts else None


def fourier_tab(end: str, most: int) -> dict[str, Known]:
    """What the network has learned, below so many eigenvalues of one end."""
    look: Any = {"ends": (end,), "most": most}
    known = PICTURES["fourier"]
    return {"fourier": replace(known, over=lambda a, at: fourier(at, a.results, a.measures, metrics=a.metrics, **look))}
