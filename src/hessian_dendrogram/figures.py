"""The figures of a run: every picture of an analysis as files for print.

The functions of earlier versions, such as `figures.barcode(steps, spectra)`, still give a matplotlib figure, for one
release; `hessian_dendrogram.pictures` has them now.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import pictures
from .errors import DamagedRunError, UserError
from .pictures import PICTURES, comparison_of
from .pictures.paper import save
from .statistics.relative_resolution import checked
from .store import Run
from .store.analysed import largest_first, read
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
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, known in PICTURES.items():
        if not analysed or known.of != analysed.kind or not (is_absolute or name in _WITH_EPSILON):
            continue
        if picture := known.for_print(replace(analysed, measured_in=measured_in)):
            file = name if is_absolute else f"{name}_{measured_in}"
            written += save(replace(picture, title=analysed.title).figure(), folder / file)
    return written


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
