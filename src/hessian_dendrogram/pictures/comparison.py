"""Several spectra over each other: leading eigenvalues by rank, numbers of clusters, and some numbers over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import single_linkage
from ..statistics.resolutions import resolution_grid
from ..statistics.summary import summary_columns
from ..store.analysed import Analysed
from ..texts import listed, shortened
from .axes import EPSILON, LONGEST_NAME, Axis, Linear, Log, Steps
from .cluster_count import COUNT, count_curve
from .marks import Facts, Mark, Points, Remark, of_series
from .picture import Panel, Picture, in_rows, no_panel

COMPARISON = (
    "The same numbers of several spectra, a colour for each: how the leading eigenvalues fall off with their rank, "
    "and how many clusters are left at each resolution."
)
_LEADING = 100
_NUMBERS = {"largest": "largest eigenvalue", "smallest": "smallest eigenvalue", "trace": "trace"}
_NUMBERS |= {"num_negative": "eigenvalues below zero by more than their error"}


def comparison_of_spectra(spectra: Mapping[str, Spectrum], *, title: str = "") -> Picture:
    """Show the 100 leading eigenvalues of each spectrum with their error bounds, and n(ε).

    A name of each says which it is: checkpoints of one analysis, or analyses of one checkpoint.
    """
    return Picture(((_leading(spectra), _counts(spectra)),), title, COMPARISON, height=3.2)


def comparison_of_analyses(spectra: Mapping[str, Mapping[int, Spectrum]], *, title: str = "") -> Picture:
    """Show `comparison_of_spectra` of the last step that all analyses share, and four numbers over training.

    For each analysis there are its spectra by training step.
    """
    common = set.intersection(*map(set, spectra.values())) if spectra else set()
    at = Steps(tuple(sorted({step for by_step in spectra.values() for step in by_step})))
    first: tuple[Panel, ...] = (no_panel("the analyses share no step"),)
    if common:
        last = {name: by_step[max(common)] for name, by_step in spectra.items()}
        first = tuple(make(last, f" at step {max(common):,}") for make in (_leading, _counts))
    rows = first, *in_rows([_over_training(at, spectra, number) for number in _NUMBERS] if at.steps else [], 2)
    return Picture(rows, title, COMPARISON, height=2.2 * len(rows))


def comparison_of(several: Sequence[Analysed]) -> Picture:
    """Analyses of spectra beside each other."""
    spectra = {a.name: dict(zip(a.steps, a.results, strict=True)) for a in several}
    return comparison_of_analyses(spectra, title=f"{len(several)} analyses")


def _leading(spectra: Mapping[str, Spectrum], when: str = "") -> Panel:
    points, absent, hidden = [], [], []
    for number, (name, spectrum) in enumerate(spectra.items()):
        parts = spectrum.segments()
        part = parts.get("all", parts.get("top", slice(0, 0)))
        values, bounds = (array[part][::-1][:_LEADING] for array in (spectrum.eigenvalues, spectrum.error_bounds))
        shown = np.flatnonzero(values > bounds)
        if not len(values):
            absent.append(name)
        elif len(shown) < len(values):
            hidden.append(f"{len(values) - len(shown)} of {name}")
        size = max(2.0, 4.0 - 0.6 * number)  # smaller in front, so that equal ones are seen behind
        said = "number {number} from the top\nλ = "
        if len(shown):
            facts = Facts(said, {"number": shown + 1, "value": values[shown], "error": bounds[shown]})
            points.append(_points(number, name, shown + 1, facts, size))
    remarks = [f"left out: no largest eigenvalue of {listed(absent)} has converged"] if absent else []
    remarks += [f"no place on this axis, not above their error: {listed(hidden)}"] if hidden else []
    y = Log.around(np.concatenate([[], *(one.y for one in points)]), "eigenvalue λ\n(bars: error bounds)")
    x = Log((0.9, 1.1 * _LEADING), "rank, from the largest")
    return _panel(points, remarks, x, y, f"leading eigenvalues{when}")


def _counts(spectra: Mapping[str, Spectrum], when: str = "") -> Panel:
    trees = {name: single_linkage(spectrum) for name, spectrum in spectra.items() if "all" in spectrum.segments()}
    partial = [name for name in spectra if name not in trees]
    remarks = [f"left out: not every eigenvalue of {listed(partial)} is known and converged"] if partial else []
    grid = resolution_grid(list(trees.values()), 300) if trees else np.ones(2)
    lines: list[Mark] = []
    for name, tree in trees.items():
        colour = of_series(list(spectra).index(name))["colour"]
        lines += count_curve(tree, grid, name, colour, 1.6, _named(name))
    most = max((float(tree.num_clusters(0.0)) for tree in trees.values()), default=1.0)
    y = Log((0.8, 1.5 * most), COUNT)
    return _panel(lines, remarks, Log((float(grid[0]), float(grid[-1])), EPSILON), y, f"number of clusters{when}")


def _over_training(at: Steps, spectra: Mapping[str, Mapping[int, Spectrum]], number: str) -> Panel:
    """One number of each analysis, side by side at each step, so that none hides another."""
    points, absent = [], []
    for rank, (name, by_step) in enumerate(spectra.items()):
        steps = sorted(by_step)
        columns = summary_columns([by_step[step] for step in steps])
        values, errors = columns[number], columns.get(f"{number}_error", np.zeros(len(steps)))
        places = at.place(steps) + 0.5 / len(spectra) * (rank - (len(spectra) - 1) / 2)
        if np.isfinite(values).any():
            facts = Facts("step {step:,}\n", {"step": np.array(steps), "value": values, "error": errors})
            points.append(_points(rank, name, places, facts, 2.5))
        else:
            absent.append(name)
    remarks = [f"left out: not known of {listed(absent)}"] if absent else []
    values, errors = (np.concatenate([[], *(getattr(one, of) for one in points)]) for of in ("y", "y_errors"))
    is_positive = number in ("largest", "trace") and np.nanmin(values, initial=np.inf) > 0
    unit = "eigenvalues" if number == "num_negative" else "units of λ"
    y = Log.around(values, unit) if is_positive else Linear.around(values, errors, unit)
    return _panel(points, remarks, at, y, _NUMBERS[number])


def _points(number: int, name: str, x: ArrayLike, facts: Facts, size: float) -> Points:
    said = Facts(f"{{name}}\n{facts.template}{{value:.6g}} ± {{error:.1g}}", {**facts.columns, "name": name})
    y, errors = (facts.columns[of] for of in ("value", "error"))
    look = of_series(number) | {"size": size, "joined": 0.8}
    return Points(x, y, y_errors=errors, label=_named(name), facts=said, **look)


def _panel(drawn: Sequence[Mark], remarks: Sequence[str], x: Log | Steps, y: Axis, title: str) -> Panel:
    """Marks with a remark of what is missing, or that alone."""
    text = "; ".join(remarks)
    if not drawn:
        return no_panel(text or "there is nothing to compare", title)
    return Panel((*drawn, *([Remark(text)] if text else [])), x, y, title)


def _named(analysis: str) -> str:
    return shortened(analysis, LONGEST_NAME)
