"""One offline page of a run: every picture of every analysis, each with the sentence that says how to read it.

What cannot be read costs its own part alone: that is left out, and one line says why. Everything in a run directory is
untrusted; its texts are escaped, for HTML and for the few tags that plotly knows in the texts of charts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TypeVar

from ..errors import DamagedRunError, HessianDendrogramError, UserError
from ..pictures import COMPARISON, PICTURES, Known, Picture, comparison_of
from ..pictures.analysed import Analysed, largest_first, read
from ..pictures.axes import Steps
from ..pictures.key_steps import key_positions
from ..store import Run, atomic, report
from ..store.kinds import KINDS
from .document import Chart, Part, Section, page
from .facts import analysis_facts, run_facts, summary_table, tensor_table

__all__ = ["Exported", "export_page"]
T = TypeVar("T")
_PARTS = {"spectrum": "Spectra", "tree": "Parameter dendrograms"}


@dataclass(frozen=True)
class Exported:
    """What `export_page` wrote.

    Attributes:
        num_charts: on the page.
        num_bytes: of the file.
        left_out: one line for each part that could not be read.
    """

    num_charts: int
    num_bytes: int
    left_out: list[str]


def export_page(run: Run, file: Path, *, analysis: str | None = None) -> Exported:
    """Write one HTML page of a run, which opens without a network.

    Args:
        run: what to show.
        file: the page; one that is there is replaced.
        analysis: of any kind that has pictures; default all.

    Raises:
        UserError: there is no such analysis, or none at all, or the page is no HTML file by its name.
        DamagedRunError: none of them can be read.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; name the HTML file to write")
    if file.suffix.lower() not in (".html", ".htm"):  # so that no other file is replaced by mistake
        raise UserError(f"the name of a page ends in .html, got {file}")
    left_out: dict[str, list[str]] = {}
    names = {kind: largest_first(run, kind) for kind in KINDS if any(known.of == kind for known in PICTURES.values())}
    everything = [name for found in names.values() for name in found]
    if not everything:
        raise UserError(f"{run.path} has no analysis to export; take one with `hessian-dendrogram analyse`")
    if analysis not in (None, *everything):
        raise UserError(f"{run.path} has no analysis {analysis!r}; it has: {', '.join(everything)}")
    shown: list[Part] = []
    for kind, found in names.items():
        chosen = [name for name in found if analysis in (None, name)]
        opened = {name: one for name in chosen if (one := _try(left_out, name, partial(read, run, name)))}
        parts = [part for one in opened.values() if (part := _try(left_out, one.name, partial(_part, one, left_out)))]
        shown += [replace(part, is_open=number == 0) for number, part in enumerate(parts)]
        compared = _try(left_out, "comparison", partial(_compared, opened)) if len(opened) > 1 else None
        shown += [replace(compared, is_open=False)] if compared and kind == "spectrum" else []
    if not shown:
        raise DamagedRunError(f"nothing of {run.path} can be exported: {'; '.join(_lines(left_out))}")
    metrics = _try(left_out, "loss and accuracy", lambda: report.in_words(report.last_metrics(run)))
    shown.insert(0, Part("The run", f"{run_facts(run, metrics or '')}\n{tensor_table(run)}"))
    experiment = str(run.configuration.get("experiment", run.path.name))
    lines = _lines(left_out)
    text = page(f"Hessian of {experiment} over training", _introduction(run, lines), shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, text)
    count = sum(len(section.charts) for part in shown for section in part.sections)
    return Exported(count, len(text.encode()), lines)


def _part(analysed: Analysed, left_out: dict[str, list[str]]) -> Part:
    """Every picture of an analysis that applies to it; what cannot be drawn is left out alone."""
    sections = []
    for name, known in PICTURES.items():
        if known.of == analysed.kind and known.is_on_page:
            made = _try(left_out, f"{name} of {analysed.name}", partial(_section, name, known, analysed))
            sections += [made] if made else []
    title = f"{_PARTS.get(analysed.kind, analysed.kind.capitalize())}: {analysed.name}"
    return Part(title, analysis_facts(analysed), sections)


def _section(name: str, known: Known, analysed: Analysed) -> Section | None:
    if not known.applies(analysed):
        return None
    pictures = _by_step(known, analysed)
    if not pictures:
        return None
    figures = {step: picture.chart() for step, picture in pictures.items()}
    steps = [step for step in figures if step is not None] or analysed.steps
    chart = Chart(name, f"{known.title} {_at(steps)}", figures)
    appendix = summary_table(analysed) if name == "summary" else ""
    return Section(known.title, f"<p>{escape(known.sentence)}</p>", [chart], appendix)


def _by_step(known: Known, analysed: Analysed) -> Mapping[int | None, Picture]:
    """One picture over training, or one for each of some steps, among which the page has a slider."""
    if known.at is None:
        return {None: known.over(analysed, Steps.of(analysed.steps))} if known.over else {}
    chosen = key_positions(len(analysed.steps), known.most_steps or len(analysed.steps))
    found = {analysed.steps[position]: known.at(analysed, position) for position in chosen}
    return {step: picture for step, picture in found.items() if picture is not None}


def _compared(analyses: Mapping[str, Analysed]) -> Part:
    picture = comparison_of(list(analyses.values()))
    chart = Chart("comparison", f"Leading eigenvalues of {len(analyses)} analyses", {None: picture.chart()})
    section = Section("At the last step that they share", f"<p>{escape(COMPARISON)}</p>", [chart])
    return Part("The analyses beside each other", "", [section])


def _at(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"at training step {steps[0]:,}"
    return f"at {len(steps)} training steps, from {steps[0]:,} to {steps[-1]:,}"


def _try(left_out: dict[str, list[str]], what: str, make: Callable[[], T]) -> T | None:
    """Make something of the run directory, or note why that cannot be, and what else is missing for the same reason."""
    try:
        return make()
    except (HessianDendrogramError, OSError) as error:
        problem = str(error)
    except Exception as error:  # contents that can be read and make no sense: whatever they break, the rest is shown
        problem = f"{type(error).__name__}: {error}"
    left_out.setdefault(" ".join(problem.split()), []).append(what)
    return None


def _lines(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{', '.join(dict.fromkeys(what))}: {problem}" for problem, what in left_out.items()]


def _introduction(run: Run, left_out: Sequence[str]) -> str:
    text = (
        "<p>At every analysed training checkpoint stand the eigenvalues λ of the second derivative of the loss, the "
        "Hessian. At resolution ε, neighbours that are at most ε apart are one <em>cluster</em>; over all ε that is "
        "the <em>eigenvalue dendrogram</em>, whose merge heights are the spectral gaps. The magnitudes "
        "|H<sub>ij</sub>| couple parameters; their graph, cut again and again along Fiedler vectors, is the "
        "<em>parameter dendrogram</em>. Hover over anything to read its value and error; drag to zoom in, double-click "
        "to zoom out.</p>\n"
        "<p>Grey, hatched or hollow is what is not known: <em>unresolved</em>, not larger than its numerical error, or "
        "a <em>hole</em>, where eigenvalues were not computed; the legends say which. Crosses have not converged. An "
        "error bound says that <em>some</em> true eigenvalue is within it; it says nothing about the sampling error of "
        "the data.</p>"
    )
    if left_out:
        # Where the run lies on the machine that wrote the page is nothing to its readers.
        lines = "".join(f"<li>{escape(line.replace(f'{run.path}{os.sep}', ''))}</li>" for line in left_out)
        text += f'\n<div class="problems"><strong>Left out, because it cannot be read:</strong><ul>{lines}</ul></div>'
    return text
