"""Several analyses of one run, such as 50, 1,000 and all training samples, on the same checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import single_linkage
from ..statistics.summary import SpectrumSummary, summarise
from ..views.segments import resolution_grid
from .style import COLOURS, STYLE, label_of, new_figure, say

Spectra = Mapping[str, Mapping[int, Spectrum]]
_LEADING = 100
_MARKERS = "os^Dv<>P"  # one more than colours, so that their pairs repeat late
_NUMBERS: dict[str, Callable[[SpectrumSummary], float | None]] = {
    "largest eigenvalue": lambda known: known.largest,
    "trace": lambda known: known.trace,
    "smallest eigenvalue": lambda known: known.smallest,
    "eigenvalues below zero by more than their error": lambda known: known.num_negative,
}


@matplotlib.rc_context(STYLE)
def comparison(spectra: Spectra, *, title: str = "") -> Figure:
    """Draw the leading eigenvalues and n(ε) at the last step that all share, and four numbers over training.

    Args:
        spectra: for each analysis its spectra by training step.
        title: stands above the figure.
    """
    common = sorted(set.intersection(*(set(by_step) for by_step in spectra.values()))) if spectra else []
    figure = new_figure(7.6, title)
    panels = figure.subplots(3, 2)
    if common:
        last = {name: by_step[common[-1]] for name, by_step in spectra.items()}
        _draw_leading(panels[0, 0], last, common[-1])
        _draw_counts(panels[0, 1], last, common[-1])
    else:
        for axes in panels[0]:
            say(axes, "the analyses share no step")
    for axes, name in zip(panels[1:].flat, _NUMBERS, strict=True):
        _draw_over_training(axes, spectra, name)
    if spectra and not panels[0, 0].get_legend():
        panels[1, 0].legend()
    first = _first_step(spectra)
    for axes in panels[2]:
        axes.set_xlabel(f"training step (symlog, linear up to {first:,})")
    return figure


def _draw_leading(axes: Axes, spectra: Mapping[str, Spectrum], step: int) -> None:
    axes.set_title(f"leading eigenvalues at step {step:,} (log scales)", loc="left")
    for position, (name, spectrum) in enumerate(spectra.items()):
        segments = spectrum.segments()
        if not {"all", "top"} & set(segments):
            continue
        part = segments["all"] if "all" in segments else segments["top"]
        values, bounds = spectrum.eigenvalues[part][::-1], spectrum.error_bounds[part][::-1]
        shown = np.flatnonzero(values[:_LEADING] > bounds[:_LEADING])
        style: Any = {"color": COLOURS[position % len(COLOURS)], "marker": _MARKERS[position % len(_MARKERS)]}
        axes.plot(shown + 1, values[shown], linewidth=0.6, markersize=2.2, label=label_of(name), **style)
    if not axes.lines:
        say(axes, "left out: the largest eigenvalues are not known")
        return
    axes.set(xscale="log", yscale="log", xlabel="rank, from the largest", ylabel="eigenvalue λ")
    axes.legend()


def _draw_counts(axes: Axes, spectra: Mapping[str, Spectrum], step: int) -> None:
    axes.set_title(f"number of clusters n(ε) at step {step:,} (log scales)", loc="left")
    trees = {name: single_linkage(spectrum) for name, spectrum in spectra.items() if "all" in spectrum.segments()}
    if not trees:
        say(axes, "left out: n(ε) needs every eigenvalue, converged")
        return
    resolutions = resolution_grid(list(trees.values()), 300)
    for name, tree in trees.items():
        resolved = resolutions > tree.resolution
        colour = COLOURS[list(spectra).index(name) % len(COLOURS)]
        axes.step(resolutions[resolved], tree.num_clusters(resolutions[resolved]), where="post", color=colour)
    axes.set(xscale="log", yscale="log", xlabel="resolution ε (units of λ)", ylabel="n(ε)")


def _draw_over_training(axes: Axes, spectra: Spectra, name: str) -> None:
    """Draw one number of each spectrum; its error is drawn by the summary of each analysis."""
    drawn: list[float] = []
    for position, (analysis, by_step) in enumerate(spectra.items()):
        known = {step: _NUMBERS[name](summarise(spectrum)) for step, spectrum in sorted(by_step.items())}
        points = [(step, value) for step, value in known.items() if value is not None]
        drawn += [value for _, value in points]
        style: Any = {"color": COLOURS[position % len(COLOURS)], "marker": _MARKERS[position % len(_MARKERS)]}
        at, values = np.array(points, dtype=float).reshape(-1, 2).T
        axes.plot(at, values, linewidth=0.9, markersize=2.5, label=label_of(analysis), **style)
    first = _first_step(spectra)
    axes.set_xscale("symlog", linthresh=first)
    axes.set_xlim(-0.08 * first, 1.15 * max([first, *(step for by_step in spectra.values() for step in by_step)]))
    axes.minorticks_off()
    least = min(drawn, default=0.0)
    is_logarithmic = name in ("largest eigenvalue", "trace") and least > 0
    axes.set_title(f"{name} (log scale)" if is_logarithmic else name, loc="left")
    if is_logarithmic:
        axes.set_yscale("log")
    elif least >= 0:
        axes.set_ylim(bottom=0)


def _first_step(spectra: Spectra) -> int:
    return min((step for by_step in spectra.values() for step in by_step if step > 0), default=1)
