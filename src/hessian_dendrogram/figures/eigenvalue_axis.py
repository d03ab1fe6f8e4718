"""An `EigenvalueAxis` as the scale of a matplotlib panel."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogScale
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from ..views.eigenvalue_axis import LINEAR_DECADES, EigenvalueAxis


def power(axis: EigenvalueAxis) -> str:
    """The threshold as text."""
    return f"$10^{{{axis.exponent}}}$"


def axis_label(axis: EigenvalueAxis) -> str:
    """What the axis shows, with the width of its linear part."""
    return f"eigenvalue λ (symlog, linear within ±{power(axis)})"


def apply_axis(axes: Axes, axis: EigenvalueAxis, *, which: str, most: int) -> None:
    """Scale the axis `which` ("x" or "y") of a panel, with about `most` ticks."""
    panel_axis = axes.xaxis if which == "x" else axes.yaxis
    # matplotlib makes the linear part linscale / (1 - 1 / base) decades long.
    scale = SymmetricalLogScale(panel_axis, base=10, linthresh=axis.threshold, linscale=0.9 * LINEAR_DECADES)
    axes.set(**{f"{which}scale": scale, f"{which}lim": (axis.low, axis.high)})
    panel_axis.set_ticks([], minor=True)
    ticks = axis.ticks(most)
    if len(ticks) >= 3:
        panel_axis.set_ticks(ticks)
    else:  # the data span less than two decades: round numbers instead of powers of ten
        panel_axis.set_major_locator(MaxNLocator(min(most, 6)))
        panel_axis.set_major_formatter(ScalarFormatter())
