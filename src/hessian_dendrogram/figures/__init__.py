"""Figures for papers, with matplotlib. One module per kind of view.

A view takes plain inputs (steps, spectra) and returns a `matplotlib.figure.Figure`, so it can be called alone and
edited. `draw` makes all of them for an analysis of a run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from matplotlib.figure import Figure

from ..errors import DamagedRunError, UserError
from ..results.spectrum import Spectrum
from ..store import Run
from ..texts import shortened
from ..views.filters import first_convolution
from ..views.measures import FOURIER
from ..views.steps import key_positions
from ..views.titles import describe, describe_graph
from .barcode import barcode
from .cluster_count import cluster_count_curves, cluster_count_heatmap
from .comparison import comparison
from .composition import composition
from .connectivity import connectivity
from .coupling import coupling_heatmap
from .dendrogram import dendrogram_snapshots
from .filters import first_layer_filters
from .fourier import fourier
from .gaps import largest_gaps
from .level_statistics import level_statistics
from .parameter_dendrogram import parameter_dendrograms
from .spectrum_evolution import spectrum_evolution
from .style import save
from .summary import summary

__all__ = [
    "barcode",
    "cluster_count_curves",
    "cluster_count_heatmap",
    "comparison",
    "composition",
    "connectivity",
    "coupling_heatmap",
    "dendrogram_snapshots",
    "draw",
    "draw_any",
    "draw_bipartition",
    "draw_comparison",
    "first_layer_filters",
    "fourier",
    "largest_gaps",
    "level_statistics",
    "parameter_dendrograms",
    "spectrum_evolution",
    "summary",
]


def draw(run: Run, analysis: str, folder: Path) -> list[Path]:
    """Draw every figure that applies to an analysis, as PNG (200 dpi) and as PDF.

    Args:
        run: the run directory.
        analysis: one of `run.analyses()`.
        folder: where the files go; made where it is missing. Files of the same names are replaced.

    Returns:
        The paths of the files, `spectrum_evolution.png`, `spectrum_evolution.pdf` and so on.

    Raises:
        UserError: there is no such analysis, or it has no spectrum yet.
        DamagedRunError: a stored file cannot be read.
    """
    steps = run.analysed_steps(analysis)
    if not steps:
        raise UserError(f"analysis {analysis!r} of {run.path} has no spectrum yet; finish it first")
    spectra = [run.spectrum(step, analysis, vectors=False) for step in steps]
    title = describe(str(run.configuration.get("experiment", "")), spectra[-1])
    views: dict[str, Callable[[], Figure]] = {
        "spectrum_evolution": lambda: spectrum_evolution(steps, spectra, title=title),
        "dendrogram": lambda: dendrogram_snapshots(steps, spectra, title=title),
        "cluster_count_heatmap": lambda: cluster_count_heatmap(steps, spectra, title=title),
        "cluster_count_curves": lambda: cluster_count_curves(steps, spectra, title=title),
        "gaps": lambda: largest_gaps(steps, spectra, title=title),
        "barcode": lambda: barcode(steps, spectra, title=title),
        "level_statistics": lambda: level_statistics(steps, spectra, title=title),
        "summary": lambda: summary(steps, spectra, metrics=run.metrics(), title=title),
    }
    measures = [run.measures(step, analysis) for step in steps]
    if all(name in row for row in measures for name in FOURIER):
        views["fourier"] = lambda: fourier(steps, spectra, measures, metrics=run.metrics(), title=title)
    name = first_convolution(run.layout)
    rows = sorted({*steps} & {*run.steps()})
    if name and rows:
        rows = [rows[position] for position in key_positions(len(rows), 5)]
        weights = [run.weights(step)[name] for step in rows]
        views["filters"] = lambda: first_layer_filters(rows, weights, name=name, title=title)
    folder.mkdir(parents=True, exist_ok=True)
    return [path for view, make in views.items() for path in save(make(), folder / view)]


def draw_bipartition(run: Run, analysis: str, folder: Path) -> list[Path]:
    """Draw every figure of a recursive bipartition, as `draw` does of spectra.

    Args:
        run: the run directory.
        analysis: one of `run.bipartition_analyses()`.
        folder: where the files go; made where it is missing.

    Raises:
        UserError: there is no such analysis, or it has no tree yet.
        DamagedRunError: a stored file cannot be read.
    """
    steps = run.analysed_steps(analysis)
    if not steps:
        raise UserError(f"analysis {analysis!r} of {run.path} has no tree yet; finish it first")
    trees = [run.bipartition(step, analysis) for step in steps]
    pictures = [run.coupling_picture(step, analysis) for step in steps]
    known = run.analysis(analysis)["configuration"]
    title = describe_graph(str(run.configuration.get("experiment", "")), known, trees[0])
    figures = {
        "parameter_dendrogram": parameter_dendrograms(steps, trees, run.layout_of(analysis), title=title),
        "connectivity": connectivity(steps, trees, metrics=run.metrics(), title=title),
        "composition": composition(steps, trees, run.layout_of(analysis), title=title),
        "coupling": coupling_heatmap(steps, trees, pictures, title=title),
    }
    folder.mkdir(parents=True, exist_ok=True)
    return [path for view, figure in figures.items() for path in save(figure, folder / view)]


def draw_any(run: Run, analysis: str, folder: Path) -> list[Path]:
    """Draw every figure that applies to an analysis of whatever kind; of some kinds there are none."""
    return DRAWINGS.get(run.kind(analysis), _none)(run, analysis, folder)


def _none(run: Run, analysis: str, folder: Path) -> list[Path]:  # noqa: ARG001
    folder.mkdir(parents=True, exist_ok=True)
    return []


DRAWINGS: dict[str, Callable[[Run, str, Path], list[Path]]] = {"spectrum": draw, "tree": draw_bipartition}
"""What draws the results of each kind."""


def draw_comparison(run: Run, folder: Path) -> list[Path]:
    """Draw the analyses of a run beside each other: `comparison.png` and `.pdf`; nothing for fewer than two.

    An analysis that cannot be read is left out: whoever opens it is told what is wrong with it.

    Args:
        run: the run directory.
        folder: where the files go; made where it is missing.
    """
    spectra = {}
    for name in run.analyses():
        with suppress(DamagedRunError):
            if steps := run.analysed_steps(name):
                spectra[name] = {step: run.spectrum(step, name, vectors=False) for step in steps}
    if len(spectra) < 2:
        return []
    spectra = dict(sorted(spectra.items(), key=lambda item: _samples(item[1])))
    title = f"{shortened(run.configuration.get('experiment', ''))}: {len(spectra)} analyses"
    folder.mkdir(parents=True, exist_ok=True)
    return save(comparison(spectra, title=title), folder / "comparison")


def _samples(spectra: dict[int, Spectrum]) -> int:
    known = next(iter(spectra.values())).provenance.get("samples", 0)
    return known if isinstance(known, int) else 0
