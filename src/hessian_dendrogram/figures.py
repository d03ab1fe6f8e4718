"""The figures of a run: every picture of an analysis as files for print.

The functions of earlier versions, such as `figures.barcode(steps, spectra)`, still give a matplotlib figure, for one
release; `hessian_dendrogram.pictures` has them now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import pictures
from .errors import DamagedRunError, UserError
from .pictures import PICTURES, comparison_of
from .pictures.of_runs import beside_nulls, named_seeds, of_seeds, training_of_seeds
from .pictures.paper import save
from .statistics.relative_resolution import checked
from .store import Run
from .store.analysed import Analysed, largest_first, read
from .store.nulls import difference, nulls_of
from .store.run import NULLS
from .texts import shortened

_MOVED = {
    "comparison": "comparison_of_analyses",
    "coupling_heatmap": "coupling",
    "dendrogram_snapshots": "dendrograms",
    "first_layer_filters": "filters",
    "parameter_dendrograms": "parameter_dendrogram",
}
_WITH_EPSILON = {"dendrogram", "cluster_count_heatmap", "cluster_count_curves", "gaps", "barcode"}


def draw(run: Run, analysis: str, folder: Path, *, measured_in: str = "absolute") -> list[Path]:
    """Draw every picture that applies to an analysis, as PNG (200 dpi) and as PDF.

    Of some kinds of results there are no pictures. The folder is made where it is missing, files of the same names are
    replaced: `spectrum_evolution.png`, `spectrum_evolution.pdf` and so on. Their paths are returned. Where ε is
    `measured_in` anything else than `"absolute"`, one of `statistics.measured.SCALES`, these are the pictures that have
    an ε, as `dendrogram_log.png` and so on.

    Raises:
        UserError: there is no such analysis, or it has no result yet, or ε is never measured in that.
        DamagedRunError: a stored file cannot be read.
    """
    is_absolute = checked(measured_in) == "absolute"
    if not is_absolute and analysis not in run.analyses("spectrum"):
        raise UserError(f"{analysis!r} is no analysis of spectra, whose dendrograms have an ε")
    kinds = {known.of for known in PICTURES.values()}
    analysed = read(run, analysis) if run.kind(analysis) in kinds or analysis not in run.analyses(None) else None
    analysed = replace(analysed, measured_in=measured_in) if analysed else None
    nulls = nulls_of(analysed) if analysed else {}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, known in PICTURES.items():
        if not analysed or known.of != analysed.kind or not (is_absolute or name in _WITH_EPSILON):
            continue
        if picture := known.for_print(analysed):
            file = name if is_absolute else f"{name}_{measured_in}"
            picture = beside_nulls(picture, nulls, known.for_print)
            written += save(replace(picture, title=analysed.title).figure(), folder / file)
    return written


def draw_seeds(
    runs: Sequence[Run], folder: Path, *, analysis: str | None = None, measured_in: str = "absolute"
) -> list[Path]:
    """Draw what several runs of one experiment show over training, as bands, each analysis into a folder of its own.

    Args:
        runs: that differ in their seed, as `store.seeds.seeds_of` gives them.
        folder: where the figures go.
        analysis: draw this one; default every one that two runs have.
        measured_in: as for `draw`.

    Raises:
        UserError: there is no such analysis of two runs, or of the same name they have different ones.
        DamagedRunError: a stored file cannot be read.
    """
    is_absolute = checked(measured_in) == "absolute"
    having: dict[str, list[Run]] = {}
    for run in runs:
        for name in run.analyses(None if is_absolute else "spectrum"):
            if run.analysed_steps(name) and analysis in (None, name):
                having.setdefault(name, []).append(run)
    several = {name: found for name, found in having.items() if len(found) > 1}
    if not several:
        there = ", ".join(f"{name} of {found[0].path}" for name, found in having.items()) or "none"
        raise UserError(f"bands need {analysis or 'an analysis'} of two runs with different seeds; there is {there}")
    written = []
    for name, found in several.items():
        analysed = _alike(found, name, measured_in)
        beside = [nulls_of(one) for one in analysed]
        nulls = {label: [one[label] for one in beside if label in one] for label in NULLS.values()}
        for file, known in PICTURES.items():
            if known.of != analysed[0].kind or not (is_absolute or file in _WITH_EPSILON):
                continue
            if picture := of_seeds(known, analysed, nulls, [run.configuration.get("seed") for run in found]):
                (folder / name).mkdir(parents=True, exist_ok=True)
                stem = file if is_absolute else f"{file}_{measured_in}"
                written += save(picture.figure(), folder / name / stem)
    return written + (_draw_training(runs, folder) if is_absolute else [])


def _alike(runs: Sequence[Run], name: str, measured_in: str) -> list[Analysed]:
    """The analysis of that name of each run, once it is certain that they were taken of the same."""
    analysed = [replace(read(run, name), measured_in=measured_in) for run in runs]
    for one in analysed[1:]:
        if different := difference(analysed[0].configuration, one.configuration):
            raise UserError(
                f"{name} of {one.run.path} is another analysis than that of {analysed[0].run.path}: {different}; name "
                "one that is the same with --analysis"
            )
    return analysed


def _draw_training(runs: Sequence[Run], folder: Path) -> list[Path]:
    nulls = {NULLS[kind]: [run.null(kind).metrics() for run in runs if kind in run.nulls()] for kind in NULLS}
    if not (picture := training_of_seeds([run.metrics() for run in runs], nulls)):
        return []
    experiment = shortened(runs[0].configuration.get("experiment", ""))
    title = f"{experiment}: {named_seeds([run.configuration.get('seed') for run in runs])}"
    folder.mkdir(parents=True, exist_ok=True)
    return save(replace(picture, title=title).figure(), folder / "training")


def draw_comparison(run: Run, folder: Path) -> list[Path]:
    """Draw the analyses of a run beside each other: `comparison.png` and `.pdf`; nothing for fewer than two.

    An analysis that cannot be read is left out: whoever opens it is told what is wrong with it.
    """
    several = []
    for name in largest_first(run, "spectrum")[::-1]:
        with suppress(DamagedRunError, UserError):
            several.append(read(run, name))
    if len(several) < 2:
        return []
    title = f"{shortened(run.configuration.get('experiment', ''))}: {len(several)} analyses"
    folder.mkdir(parents=True, exist_ok=True)
    return save(replace(comparison_of(several), title=title).figure(), folder / "comparison")


def __getattr__(name: str) -> Callable[..., Any]:
    if name in ("draw_any", "draw_bipartition"):
        return draw
    make = getattr(pictures, _MOVED.get(name, name), None) if not name.startswith("_") else None
    if not callable(make):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda *arguments, **options: make(*arguments, **options).figure()
