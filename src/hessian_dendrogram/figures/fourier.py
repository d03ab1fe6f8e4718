"""The Fourier view of modular addition under both ends of the spectrum, on one step axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.ends import end_slice
from ..views.steps import metric_at
from .eigenvalue_axis import apply_axis
from .style import COLOURS, STYLE, UNCONVERGED, new_figure, say, step_ticks

_NORMS = ("embedding_norms", "unembedding_norms")


@matplotlib.rc_context(STYLE)
def fourier(
    steps: Sequence[int],
    spectra: Sequence[Spectrum],
    measures: Sequence[Mapping[str, Any]],
    *,
    metrics: Mapping[str, NDArray[np.float64]] | None = None,
    title: str = "",
) -> Figure:
    """Draw the largest and the smallest eigenvalues, accuracy, losses, and the norm of every frequency over training.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step.
        measures: one per step, with the names in `views.measures.FOURIER`, as
            `experiments.modular_addition.fourier_measures` gives them.
        metrics: columns as `Run.metrics()` gives them; accuracy and losses are read at the analysed steps.
        title: stands above the figure.
    """
    figure = new_figure(9.4, title)
    panels = figure.subplots(6, 1, sharex=True, height_ratios=[1.5, 1.5, 0.8, 1.1, 1.2, 1.2])
    _draw_end(panels[0], spectra, "top")
    _draw_end(panels[1], spectra, "bottom")
    at_steps = {name: metric_at(steps, metrics, name) for name in metrics if name != "step"} if metrics else {}
    _draw_accuracy(panels[2], at_steps)
    _draw_losses(panels[3], at_steps, measures)
    for axes, name in zip(panels[4:], _NORMS, strict=True):
        _draw_norms(figure, axes, measures, name)
    step_ticks(panels[-1], list(steps), most=40)
    for axes in panels:
        axes.yaxis.set_label_coords(-0.085, 0.5)
    return figure


def _draw_end(axes: Axes, spectra: Sequence[Spectrum], end: str) -> None:
    """Draw the eigenvalues of one end; crosses where they have not converged."""
    found, failed, groups = [], [], []
    for position, spectrum in enumerate(spectra):
        of_end = end_slice(spectrum, end)
        values, converged = spectrum.eigenvalues[of_end], spectrum.converged[of_end]
        found += [(position, value) for value in values[converged]]
        failed += [(position, value) for value in values[~converged]]
        if converged.any():
            groups.append((values[converged], spectrum.error_bounds[of_end][converged]))
    name = "largest" if end == "top" else "smallest"
    if not found:
        axes.set_title(f"{name} eigenvalues", loc="left")
        say(axes, f"none of the {name} eigenvalues has converged")
        return
    positions, values = np.array(found).T
    axis = EigenvalueAxis.around(*groups)
    axes.set_title(f"{name} eigenvalues, error ≤ {max(errors.max() for _, errors in groups):.1g}", loc="left")
    apply_axis(axes, axis, which="y", most=9)
    axes.set_ylabel("λ")
    axes.hlines(values, positions - 0.4, positions + 0.4, color=COLOURS[0], linewidth=0.5, rasterized=True)
    inside = [(position, value) for position, value in failed if axis.low <= value <= axis.high]
    if inside:
        positions, values = np.array(inside).T
        axes.plot(positions, values, "x", color=UNCONVERGED, markersize=2, markeredgewidth=0.4, rasterized=True)
        axes.plot([], [], "x", color=UNCONVERGED, label="not converged")
        axes.legend(loc="best")
    if axis.low < 0 < axis.high:
        axes.axhline(0, color="0.4", linewidth=0.4, zorder=0.9)


def _draw_accuracy(axes: Axes, at_steps: Mapping[str, NDArray[np.float64]]) -> None:
    axes.set_title("accuracy", loc="left")
    for name, label, colour in (("train_accuracy", "train", COLOURS[0]), ("test_accuracy", "test", COLOURS[1])):
        if name in at_steps:
            axes.plot(at_steps[name], "o-", color=colour, markersize=2.5, linewidth=0.9, label=label)
    if axes.lines:
        axes.set_ylim(-0.05, 1.05)
        axes.legend()
    else:
        say(axes, "not measured")


def _draw_losses(
    axes: Axes, at_steps: Mapping[str, NDArray[np.float64]], measures: Sequence[Mapping[str, Any]]
) -> None:
    axes.set_title("loss (log scale)", loc="left")
    curves = {
        "train": at_steps.get("train_loss"),
        "test": at_steps.get("test_loss"),
        "key frequencies alone, all pairs": np.array([row["restricted_loss"] for row in measures]),
        "without them, train": np.array([row["excluded_loss"] for row in measures]),
    }
    for (label, values), colour, style in zip(curves.items(), COLOURS, ("o-", "o-", "s--", "^--"), strict=False):
        if values is not None:
            axes.plot(values, style, color=colour, markersize=2.5, linewidth=0.9, label=label)
    axes.set_yscale("log")
    axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1), frameon=False, borderaxespad=0)


def _draw_norms(figure: Figure, axes: Axes, measures: Sequence[Mapping[str, Any]], name: str) -> None:
    norms = np.array([row[name] for row in measures]).T
    count, edges = len(norms), np.arange(norms.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(edges, np.arange(count + 1) + 0.5, norms, cmap="viridis", vmin=0, rasterized=True)
    figure.colorbar(mesh, ax=axes, pad=0.01, label="norm")
    key = measures[-1]["key_frequencies"]
    axes.set(ylabel="frequency", yticks=[1, *range(10, count + 1, 10)])
    axes.plot(np.full(len(key), norms.shape[1] - 0.35), key, "<", color=COLOURS[1], markersize=3, clip_on=False)
    what = name.removesuffix("_norms")
    axes.set_title(f"{what}: norm of each frequency; triangles: the {len(key)} key frequencies", loc="left")
