"""Mean gap ratio r of the eigenvalues over training, and along the spectrum at three steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..results.spectrum import Spectrum
from ..views.eigenvalue_axis import EigenvalueAxis
from ..views.gap_ratios import REFERENCES, TOO_FEW, WINDOW, ratio_curves, ratio_windows
from ..views.steps import key_positions
from .eigenvalue_axis import apply_axis, axis_label
from .style import COLOURS, STYLE, new_figure, say, step_ticks

_MARKERS = ("o", "s", "^")


@matplotlib.rc_context(STYLE)
def level_statistics(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "") -> Figure:
    """Draw r at every step, and r in windows along the spectrum at the first, the middle and the last step.

    Bars are standard errors. Where fewer than 20 ratios are resolved at a step, and in windows of which fewer than half
    are, there is no r and no point; the legend counts these windows. The two ends of a partial spectrum have a curve
    each, and are not divided by sign.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
    """
    figure = new_figure(5.6, title)
    upper, lower = figure.subplots(2, 1)
    _draw_over_training(upper, list(steps), spectra)
    _draw_along(lower, {steps[position]: spectra[position] for position in key_positions(len(steps), 3)})
    return figure


def _draw_over_training(axes: Axes, steps: list[int], spectra: Sequence[Spectrum]) -> None:
    axes.set_title("over training", loc="left")
    curves = ratio_curves(spectra)
    if not curves:
        say(axes, TOO_FEW)
        return
    for rank, (label, points) in enumerate(curves.items()):
        places = np.array(list(points)) + 0.12 * (rank - (len(curves) - 1) / 2)  # side by side, so bars do not hide
        axes.errorbar(
            places,
            [point.mean for point in points.values()],
            yerr=[point.standard_error for point in points.values()],
            fmt=f"{_MARKERS[rank % 3]}-",
            color=COLOURS[rank],
            linewidth=0.7,
            elinewidth=0.8,
            label=label,
        )
    step_ticks(axes, steps)
    _draw_references(axes)
    axes.legend(ncols=5, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)


def _draw_along(axes: Axes, spectra: Mapping[int, Spectrum]) -> None:
    axes.set_title(f"along the spectrum, in windows of {WINDOW} eigenvalues or more that do not overlap", loc="left")
    windows = {step: ratio_windows(spectrum) for step, spectrum in spectra.items()}
    ends = [
        ([end for window in found if window.gap_ratio for end in (window.low, window.high)], 0.0)
        for found in windows.values()
        if any(window.gap_ratio for window in found)
    ]
    if not ends:
        say(axes, TOO_FEW)
        return
    axis = EigenvalueAxis.around(*ends)
    for rank, (step, found) in enumerate(windows.items()):
        resolved = [(window, window.gap_ratio) for window in found if window.gap_ratio]
        label = f"step {step}: {len(resolved)} of {len(found)} windows resolved"
        lows, highs = (np.array([getattr(window, end) for window, _ in resolved]) for end in ("low", "high"))
        centres = axis.from_axis((axis.to_axis(lows) + axis.to_axis(highs)) / 2)
        axes.errorbar(
            centres,
            [ratio.mean for _, ratio in resolved],
            xerr=[centres - lows, highs - centres],
            yerr=[ratio.standard_error for _, ratio in resolved],
            fmt=_MARKERS[rank],
            color=COLOURS[rank],
            elinewidth=0.6,
            label=label,
        )
    apply_axis(axes, axis, which="x", most=10)
    axes.set_xlabel(axis_label(axis))
    _draw_references(axes)
    axes.legend(ncols=3, loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False)


def _draw_references(axes: Axes) -> None:
    """Draw what r would be for random matrices, with a name at the right-hand end of each line."""
    axes.set_ylabel("mean gap ratio r\nbars: standard errors")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0.37), max(high, 0.55))
    for label, value in REFERENCES.items():
        axes.axhline(value, color="0.6", linewidth=0.6, linestyle="--", zorder=0)
        axes.annotate(
            f"{label} {value:.3f}",
            (1, value),
            xytext=(3, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            va="center",
            size=6.5,
            color="0.3",
        )
