"""Loss, accuracy, and a few numbers of the spectrum over training."""

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
from ..views.numbers import summary_columns
from .eigenvalue_axis import apply_axis, power
from .style import COLOURS, STYLE, new_figure, say

Floats = NDArray[np.float64]
_CURVES = {
    "loss": {"batch_loss": ("batch", "0.75"), "train_loss": ("train", COLOURS[0]), "test_loss": ("test", COLOURS[1])},
    "accuracy": {"train_accuracy": ("train", COLOURS[0]), "test_accuracy": ("test", COLOURS[1])},
}
_LOG_FROM = 1000.0  # ratio of the largest to the smallest value, if all are positive
_NUMBERS = {"number of negative eigenvalues": "num_negative", "trace": "trace", "entropy": "entropy"}
_COMPLETE_ONLY = "{} left out: every eigenvalue would be needed, converged"


@matplotlib.rc_context(STYLE)
def summary(
    steps: Sequence[int], spectra: Sequence[Spectrum], *, metrics: Mapping[str, Floats] | None = None, title: str = ""
) -> Figure:
    """Draw training curves where there are any, extreme and negative eigenvalues, trace and entropy.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step; what a partial one cannot tell is left out.
        metrics: columns as `Run.metrics()` gives them; loss and accuracy have a panel each where they were measured.
        title: stands above the figure.
    """
    curves = metrics or {}
    measured = [name for name, lines in _CURVES.items() if any(_is_measured(curves, line) for line in lines)]
    columns = summary_columns(spectra)
    known = {name: bool(np.isfinite(columns[column]).any()) for name, column in _NUMBERS.items()}
    names = [*measured, "extremes", *(name for name in known if known[name])]
    rows = -(-len(names) // 2)
    absent = [name for name in known if not known[name]]
    note = _COMPLETE_ONLY.format(", ".join(absent)) if absent else ""
    figure = new_figure(1.9 * rows + 0.6, f"{title}\n{note}".strip())
    panels = {name: figure.add_subplot(rows, 2, place + 1) for place, name in enumerate(names)}
    for name in measured:
        _draw_curves(panels[name], curves, name)
    _draw_extremes(panels["extremes"], steps, columns)
    if known["number of negative eigenvalues"]:
        _draw_negative(panels["number of negative eigenvalues"], steps, columns)
    if known["trace"]:
        label = "trace" if known["entropy"] else "trace, estimated"
        _draw_number(panels["trace"], steps, columns, "trace", label, COLOURS[2])
    if known["entropy"]:
        _draw_number(panels["entropy"], steps, columns, "entropy", "entropy of |λ| / Σ|λ| (nats)", COLOURS[3])
    _share_step_axis(list(panels.values()), steps, curves)
    return figure


def _is_measured(metrics: Mapping[str, Floats], name: str) -> bool:
    return name in metrics and "step" in metrics and bool(np.isfinite(metrics[name]).any())


def _draw_curves(axes: Axes, metrics: Mapping[str, Floats], name: str) -> None:
    """Draw loss or accuracy; a column is measured at some rows only."""
    drawn = []
    for column, (label, colour) in _CURVES[name].items():
        if _is_measured(metrics, column):
            there = np.isfinite(metrics[column])
            few = "." if there.sum() <= 60 else ""
            axes.plot(
                metrics["step"][there], metrics[column][there], color=colour, marker=few, label=label, linewidth=0.9
            )
            drawn.append(metrics[column][there])
    values = np.concatenate(drawn)
    if name == "loss" and values.min() > 0:
        axes.set_yscale("log")
    axes.set_title(f"{name} (log scale)" if axes.get_yscale() == "log" else name, loc="left")
    axes.legend()


def _draw_extremes(axes: Axes, steps: Sequence[int], columns: Mapping[str, Floats]) -> None:
    """Draw the largest and the smallest eigenvalue on one symmetric logarithmic axis."""
    axes.set_title("extreme eigenvalues", loc="left")
    known = {name: np.isfinite(columns[name]) for name in ("largest", "smallest") if np.isfinite(columns[name]).any()}
    if not known:
        say(axes, "neither end is known and converged")
        return
    for name, colour in (("largest", COLOURS[0]), ("smallest", COLOURS[1])):
        if name in known:
            errors = columns[f"{name}_error"]
            label = f"{name}, error ≤ {np.nanmax(errors):.1g}"
            _draw_with_errors(axes, steps, columns[name], errors, color=colour, label=label)
        else:
            axes.plot([], [], " ", label=f"{name}: not known")
    ends = []
    for position in np.flatnonzero(np.any(list(known.values()), axis=0)):
        names = [name for name, there in known.items() if there[position]]
        values, errors = (np.array([columns[name + suffix][position] for name in names]) for suffix in ("", "_error"))
        reach = np.where(np.isfinite(errors), errors, 0)
        ends.append((np.concatenate([values - reach, values + reach]), np.tile(errors, 2)))
    axis = EigenvalueAxis.around(*ends)
    apply_axis(axes, axis, which="y", most=8)
    axes.set_title(f"extreme eigenvalues (symlog, linear within ±{power(axis)})", loc="left")
    axes.legend(loc="center left")


def _draw_number(
    axes: Axes, steps: Sequence[int], columns: Mapping[str, Floats], name: str, label: str, colour: str
) -> None:
    """Draw one number of the summary with its error as a bar."""
    values, errors = columns[name], columns[f"{name}_error"]
    kind = "standard error" if "estimated" in label else "error"
    ratio = float(np.nanmax(values) / np.nanmin(values)) if np.nanmin(values) > 0 else 0.0
    scale = " (log scale)" if ratio > _LOG_FROM else ""
    axes.set_title(f"{label}{scale}, {kind} ≤ {np.nanmax(errors):.1g}", loc="left")
    _draw_with_errors(axes, steps, values, errors, color=colour)
    if scale:
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False, scilimits=(-3, 5))


def _draw_with_errors(axes: Axes, steps: Sequence[int], values: Floats, errors: Any, **style: Any) -> None:
    axes.errorbar(steps, values, yerr=errors, fmt="o-", markersize=2.5, linewidth=0.9, elinewidth=0.8, **style)


def _draw_negative(axes: Axes, steps: Sequence[int], columns: dict[str, Floats]) -> None:
    """Draw how many eigenvalues are surely negative, and how many more may be."""
    axes.set_title("number of negative eigenvalues", loc="left")
    sure, unresolved = columns["num_negative"], columns["num_unresolved_sign"]
    low, high = np.nanmin(unresolved), np.nanmax(unresolved)
    span = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
    label = f"below zero by more than the error;\nbar: {span} more whose sign is unresolved"
    errors = [np.zeros(len(steps)), unresolved]
    _draw_with_errors(axes, steps, sure, errors, color=COLOURS[4], ecolor="0.6", label=label)
    axes.set_ylim(0, 1.45 * float(np.nanmax(sure + unresolved)) + 1)  # room for the legend
    axes.legend(loc="upper left")


def _share_step_axis(panels: list[Axes], steps: Sequence[int], metrics: Mapping[str, Floats]) -> None:
    """Give all panels one step axis: linear up to the first analysed step after 0, logarithmic beyond."""
    first = min((step for step in steps if step > 0), default=1)
    recorded = metrics.get("step", np.empty(0))
    last = max(float(max(steps)), float(recorded.max(initial=0.0)), 1.0)
    for axes in panels:
        axes.set_xscale("symlog", linthresh=first)
        axes.set_xlim(-0.08 * first, 1.15 * last)
        axes.minorticks_off()
    for axes in panels[-2:]:
        axes.set_xlabel(f"training step (symlog, linear up to {first:,})")
