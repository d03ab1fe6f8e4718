"""What the exported page of a run shows: charts in sections, each with a sentence of explanation.

What cannot be read costs its own part alone: that is left out, and one line says why. Everything in a run directory is
untrusted; its texts are escaped, for HTML and for the few tags that plotly knows in the texts of charts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TypeVar

from ..apps import reading
from ..errors import DamagedRunError, HessianDendrogramError, UserError
from ..store import Run, atomic
from .page import Part, page
from .spectra import comparison_part, spectra_part
from .trees import trees_part
from .whole_run import filters, run_part

__all__ = ["Exported", "export_page"]
T = TypeVar("T")


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
        analysis: of spectra or of trees; default all.

    Raises:
        UserError: there is no such analysis, or none at all, or the page is no HTML file by its name.
        DamagedRunError: none of them can be read.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; name the HTML file to write")
    if file.suffix.lower() not in (".html", ".htm"):  # so that no other file is replaced by mistake
        raise UserError(f"the name of a page ends in .html, got {file}")
    left_out: list[str] = []
    metrics = _try(left_out, "loss and accuracy", run.metrics)
    spectra, trees = _chosen(run, analysis)
    found = {name: _try(left_out, name, partial(reading.read_spectra, run, name)) for name in spectra}
    known = {name: one for name, one in found.items() if one}
    # They belong to checkpoints, which several analyses may have.
    measures = {name: _try(left_out, "measures", partial(reading.read_measures, one)) for name, one in known.items()}
    left_out[:] = dict.fromkeys(left_out)
    kinds = [
        [_try(left_out, name, partial(spectra_part, one, metrics, measures[name])) for name, one in known.items()],
        [_try(left_out, "comparison", partial(comparison_part, known))] if len(known) > 1 else [],
        [_try(left_out, name, partial(trees_part, run, name)) for name in trees],
    ]
    shown = [part for parts in kinds for part in _first_unfolded(parts)]
    if not shown:
        raise DamagedRunError(f"nothing of {run.path} can be exported: {'; '.join(left_out)}")
    images = _try(left_out, "filters", partial(filters, run))
    shown.insert(0, run_part(run, metrics, [images] if images else []))
    experiment = str(run.configuration.get("experiment", run.path.name))
    text = page(f"Hessian of {experiment} over training", _introduction(run, left_out), shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, text)
    count = sum(len(section.charts) for part in shown for section in part.sections)
    return Exported(count, len(text.encode()), left_out)


def _try(left_out: list[str], what: str, make: Callable[[], T]) -> T | None:
    """Make something of the run directory, or note in one line why that cannot be."""
    try:
        return make()
    except (HessianDendrogramError, OSError) as error:
        problem = str(error)
    except Exception as error:  # contents that can be read and make no sense: whatever they break, the rest is shown
        problem = f"{type(error).__name__}: {error}"
    left_out.append(f"{what}: {' '.join(problem.split())}")
    return None


def _first_unfolded(parts: Sequence[Part | None]) -> list[Part]:
    """What could be made; of several the first is unfolded."""
    made = [part for part in parts if part]
    return [replace(part, is_open=number == 0) for number, part in enumerate(made)]


def _chosen(run: Run, analysis: str | None) -> tuple[list[str], list[str]]:
    """The analyses with spectra and those with trees to show, each with the one of most samples first."""
    spectra, trees = run.analyses(), run.bipartition_analyses()
    if not spectra + trees:
        raise UserError(f"{run.path} has no analysis to export; take one with `hessian-dendrogram analyse`")
    if analysis is not None:
        if analysis not in spectra + trees:
            raise UserError(f"{run.path} has no analysis {analysis!r}; it has: {', '.join(spectra + trees)}")
        spectra, trees = ([name for name in names if name == analysis] for names in (spectra, trees))

    def most_samples_first(name: str) -> tuple[int, str]:
        known = _try([], name, lambda: run.analysis(name)["configuration"].get("samples"))
        return -known if isinstance(known, int) else 0, name

    return sorted(spectra, key=most_samples_first), sorted(trees, key=most_samples_first)


def _introduction(run: Run, left_out: Sequence[str]) -> str:
    text = (
        "<p>At every analysed training checkpoint stand the eigenvalues λ of the second derivative of the loss, the "
        "Hessian. At resolution ε, neighbours that are at most ε apart are one <em>cluster</em>; over all ε that is "
        "the <em>eigenvalue dendrogram</em>, whose merge heights are the spectral gaps. Hover over anything to "
        "read its value and error; drag to zoom in, double-click to zoom out.</p>\n"
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
