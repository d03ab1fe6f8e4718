"""One offline page of a run: every picture of every analysis, each with the sentence that says how to read it.

What cannot be read costs its own part alone: that is left out, and one line says why. Everything in a run directory is
untrusted; its texts are escaped, for HTML and for the few tags that plotly knows in the texts of charts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TypeVar

from ..errors import DamagedRunError, HessianDendrogramError, UserError
from ..pictures import COMPARISON, PICTURES, Known, Picture, comparison_of
from ..pictures.axes import key_positions
from ..pictures.of_runs import with_nulls
from ..statistics.measured import SCALES
from ..statistics.relative_resolution import checked
from ..store import Run, atomic, report
from ..store.analysed import Analysed, read
from ..store.beside import directions_beside
from ..store.described import SUMMARY, describe_analysis, describe_run, summary_cells
from ..store.nulls import nulls_of
from ..store.tables import csv_of, tables_of
from .apps import analyses_by_kind
from .document import Part, Section, download, facts, page, table
from .introductions import EXPORTED

__all__ = ["Exported", "export_page"]
T = TypeVar("T")
_PARTS = {"spectrum": "Spectra", "tree": "Parameter dendrograms"}
_ROWS = 8_000  # of a table that is in the page
_OF_THE_RUN = {"filters"}  # pictures that are not of an analysis, and drawn once


@dataclass(frozen=True)
class Exported:
    """What `export_page` wrote: how much, and one line for each part that could not be read."""

    num_charts: int
    num_bytes: int
    left_out: list[str]


class _Missing(dict[str, list[str]]):
    """What is missing, by the reason for it."""

    def attempt(self, what: str, make: Callable[[], T]) -> T | None:
        """Make something of the run directory, or note why that cannot be."""
        try:
            return make()
        except (HessianDendrogramError, OSError) as error:
            problem = str(error)
        except Exception as error:  # contents that make no sense: whatever they break, the rest is shown
            problem = f"{type(error).__name__}: {error}"
        self.setdefault(" ".join(problem.split()), []).append(what)
        return None

    def lines(self) -> list[str]:
        """One line for each reason."""
        return [f"{', '.join(dict.fromkeys(what))}: {problem}" for problem, what in self.items()]


def export_page(run: Run, file: Path, *, analysis: str | None = None, measured_in: str = "absolute") -> Exported:
    """Write one HTML page of a run, or of one of its analyses, which opens without a network.

    What the ε of eigenvalue dendrograms is `measured_in` is one of `statistics.measured.SCALES`.

    Raises:
        UserError: there is no such analysis, or none at all, the page is no HTML file by its name, or ε is never
            measured in that.
        DamagedRunError: none of them can be read.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; name the HTML file to write")
    if file.suffix.lower() not in (".html", ".htm"):  # so that no other file is replaced by mistake
        raise UserError(f"the name of a page ends in .html, got {file}")
    names = [name for found in analyses_by_kind(run).values() for name in found]
    if not names:
        raise UserError(f"{run.path} has no analysis to export; take one with `hessian-dendrogram analyse`")
    if analysis not in (None, *names):
        raise UserError(f"{run.path} has no analysis {analysis!r}; it has: {', '.join(names)}")
    missing = _Missing()
    chosen = [name for name in names if analysis in (None, name)]
    known = [one for name in chosen if (one := missing.attempt(name, partial(read, run, name)))]
    opened = [replace(one, measured_in=checked(measured_in)) for one in known]
    parts = _parts(opened, missing)
    if not parts:
        raise DamagedRunError(f"nothing of {run.path} can be exported: {'; '.join(missing.lines())}")
    metrics = missing.attempt("loss and accuracy", lambda: report.in_words(report.last_metrics(run))) or ""
    of_the_run = next((found for one in opened if (found := _sections(one, missing, of_the_run=True))), [])
    parts.insert(0, Part("The run", _of_the_run(run, metrics), of_the_run))
    experiment, lines = str(run.configuration.get("experiment", run.path.name)), missing.lines()
    text = page(f"Hessian of {experiment} over training", _introduction(run, lines), parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, text)
    return Exported(sum(len(part.sections) for part in parts), len(text.encode()), lines)


def _parts(opened: Sequence[Analysed], missing: _Missing) -> list[Part]:
    """A part for each analysis, the first one of a kind unfolded, and one in which those of spectra are compared."""
    parts: list[Part] = []
    for kind in dict.fromkeys(one.kind for one in opened):
        alike = [one for one in opened if one.kind == kind]
        made = [part for one in alike if (part := missing.attempt(one.name, partial(_part, one, missing)))]
        if kind == "spectrum" and len(alike) > 1 and (part := missing.attempt("comparison", partial(_compared, alike))):
            made.append(part)
        parts += [replace(part, is_open=number == 0) for number, part in enumerate(made)]
    return parts


def _part(analysed: Analysed, missing: _Missing) -> Part:
    title = f"{_PARTS.get(analysed.kind, analysed.kind.capitalize())}: {analysed.name}"
    if analysed.kind == "spectrum" and analysed.measured_in != "absolute":
        title += f", ε in {SCALES[analysed.measured_in].title}"
    text = f"{facts(describe_analysis(analysed))}\n{_tables(analysed, missing)}"
    data = {"analysis": analysed.name} | (
        missing.attempt(f"directions beside {analysed.name}", partial(_beside, analysed)) or {}
    )
    return Part(title, text, _sections(analysed, missing), data=data)


def _beside(analysed: Analysed) -> dict[str, str]:
    """Where a click on a cluster finds its directions: of the same matrix, at the step that their pictures show."""
    if analysed.kind != "spectrum" or analysed.measured_in != "absolute":
        return {}
    for name in directions_beside(analysed):
        step = analysed.run.analysed_steps(name)[-1]
        result = analysed.run.result(step, name, parts=())
        found = {"analysis": name, "step": f"{step:,}", "values": result.eigenvalues.tolist()}
        return {"directions": json.dumps(found | {"errors": result.error_bounds.tolist()})}
    return {}


def _of_the_run(run: Run, metrics: str) -> str:
    """What was trained, how, and how well, and folded the parameters."""
    layout = zip(run.layout.names, run.layout.shapes, strict=True)
    shapes = [[name, " × ".join(map(str, shape)) or "scalar"] for name, shape in layout]
    caption = "Parameters, in the order of the Hessian's rows"
    return f"{facts(describe_run(run, metrics))}\n{table('The parameters', ['tensor', 'shape'], shapes, caption)}"


def _tables(analysed: Analysed, missing: _Missing) -> str:
    """The tables of an analysis to be saved: at every step, or at as many as keep the page small."""
    steps, size = analysed.steps, analysed.layout.size
    chosen = [steps[position] for position in key_positions(len(steps), max(1, _ROWS // size))]
    when = (
        "every step"
        if chosen == steps
        else f"{'steps' if len(chosen) > 1 else 'step'} " + ", ".join(f"{step:,}" for step in chosen)
    )
    buttons = []
    for name in tables_of(analysed.kind):
        make = partial(csv_of, analysed.run, name, analysed.name, at=chosen)
        text = missing.attempt(f"the table {name} of {analysed.name}", make)
        if text and text.count("\n") > 1:  # more than the names of its columns
            buttons.append(download(f"{analysed.name}-{name}.csv", text))
    return f"<p>Tables of {when}: {' '.join(buttons)}</p>" if buttons else ""


def _sections(analysed: Analysed, missing: _Missing, *, of_the_run: bool = False) -> list[Section]:
    """Every picture of an analysis that applies to it; what cannot be drawn is left out alone."""
    nulls = nulls_of(analysed)
    made = [
        missing.attempt(f"{name} of {analysed.name}", partial(_section, name, known, analysed, nulls))
        for name, known in PICTURES.items()
        if known.of == analysed.kind and (name in _OF_THE_RUN) == of_the_run
    ]
    return [section for section in made if section]


def _section(name: str, known: Known, analysed: Analysed, nulls: Mapping[str, Analysed]) -> Section | None:
    """One picture over training, or one for each of some steps, among which the page has a slider."""
    if not known.applies(analysed):
        return None
    steps, made = analysed.steps, dict[int | None, Picture | None]()
    if known.at:
        chosen = key_positions(len(steps), known.most_steps or len(steps))
        made = {steps[position]: known.at(analysed, position) for position in chosen}
    elif known.each:
        ranks = range(1, len(analysed.results[-1].eigenvalues) + 1)
        made = {rank: known.each(analysed, len(steps) - 1, rank) for rank in ranks}
    elif known.over:
        made = {None: with_nulls(known, analysed, nulls)}
    figures = {step: picture.chart() for step, picture in made.items() if picture}
    appendix = ""
    if name == "summary":
        caption = "Each with its error bound; that of an estimated trace is a standard error"
        appendix = table("The same as a table", ["step", *SUMMARY.values()], summary_cells(analysed), caption)
    shown = [step for step in figures if step is not None] or steps
    over = {"over": "direction"} if known.each else {}
    alone = made.get(None)
    sentence = alone.sentence if alone else known.sentence
    return Section(name, known.title, sentence, figures, shown, appendix, **over) if figures else None


def _compared(analyses: Sequence[Analysed]) -> Part:
    title, steps = f"Leading eigenvalues of {len(analyses)} analyses", {step for one in analyses for step in one.steps}
    section = Section("comparison", title, COMPARISON, {None: comparison_of([*analyses]).chart()}, sorted(steps))
    return Part("The analyses beside each other", "", [section])


def _introduction(run: Run, left_out: Sequence[str]) -> str:
    text = "".join(f"<p>{paragraph}</p>\n" for paragraph in EXPORTED)
    if left_out:
        # Where the run lies on the machine that wrote the page is nothing to its readers.
        lines = "".join(f"<li>{escape(line.replace(f'{run.path}{os.sep}', ''))}</li>" for line in left_out)
        text += f'<div class="problems"><strong>Left out, because it cannot be read:</strong><ul>{lines}</ul></div>'
    return text
