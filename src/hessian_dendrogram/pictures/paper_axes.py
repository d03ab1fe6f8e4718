"""The axes of a picture as scales and ticks of a matplotlib panel."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogScale
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from .axes import LONGEST_NAME, Axis, Eigenvalues, Log, Named, Steps, wrapped
from .eigenvalue_axis import LINEAR_DECADES, power_of_ten
from .paper import plain

_MOST = {"x": 9, "y": 14}  # labels of eigenvalues for which a whole page has room
CHARACTERS = {"x": 105, "y": 80}  # of a name for which a whole page has room
_DECADES = 100  # beyond these matplotlib looks for ticks that no number has
_LOW = 0.3  # of a page's height, below which the only labels of a logarithmic axis are powers of ten
_MANY_STEPS = 10  # more than these on a whole page stand upright


def apply_axis(axes: Axes, axis: Axis, which: str) -> None:
    """Scale the axis `which` ("x" or "y") of a panel, and put its ticks and its name there."""
    panel_axis, of_page = getattr(axes, f"{which}axis"), share(axes, which)
    if isinstance(axis, Eigenvalues):
        # matplotlib makes the linear part linscale / (1 - 1 / base) decades long.
        scale = SymmetricalLogScale(panel_axis, base=10, linthresh=axis.threshold, linscale=0.9 * LINEAR_DECADES)
        axes.set(**{f"{which}scale": scale})
        ticks = axis.ticks(max(4, round(_MOST[which] * min(1.0, 1.4 * of_page))))
        panel_axis.set_ticks([at for at, text in ticks if text], [text for _, text in ticks if text])
        panel_axis.set_ticks([at for at, text in ticks if not text], minor=True)
    elif isinstance(axis, Log):
        axes.set(**{f"{which}scale": "log"})
        low, high = np.log10(axis.limits).tolist()
        if high - low > _DECADES:
            powers = range(ceil(low), floor(high) + 1, ceil((high - low) / 7))
            panel_axis.set_ticks([10.0**power for power in powers], [power_of_ten(power) for power in powers])
            panel_axis.set_ticks([], minor=True)
        elif which == "y" and of_page < _LOW and ceil(low) <= floor(high):
            panel_axis.set_minor_formatter(NullFormatter())  # 2, 3, 4 and 6 of each decade would stand on each other
    elif isinstance(axis, Named):
        places = np.arange(len(axis.names)) if axis.places is None else np.asarray(axis.places)
        names = [plain(name, LONGEST_NAME) for name in axis.names]
        panel_axis.set_ticks(places, names, size=5.5 if len(places) > 12 else 6.5)
    elif isinstance(axis, Steps):
        ticks = axis.ticks(round(30 * min(1.0, 1.2 * of_page)))
        panel_axis.set_ticks([at for at, _ in ticks], [text for _, text in ticks])
        axes.tick_params(axis="x", rotation=90 if len(ticks) > _MANY_STEPS * of_page else 0)
    elif axis.form:
        form, is_whole = axis.form, axis.form.endswith("d")
        panel_axis.set_major_locator(MaxNLocator(6, integer=is_whole))
        written = lambda value, _: format(round(value) if is_whole else value, form).replace("-", "−")  # noqa: E731
        panel_axis.set_major_formatter(FuncFormatter(written))
    elif axis.limits is None:
        axes.ticklabel_format(axis="x" if which == "x" else "y", useOffset=False, scilimits=(-3, 5))
    if axis.limits is not None:
        axes.set(**{f"{which}lim": axis.limits})
    if axis.label and not (isinstance(axis, Steps) and axis.unlabelled):
        axes.set(**{f"{which}label": plain(wrapped(axis.label, max(20, round(CHARACTERS[which] * of_page))))})


def share(axes: Axes, which: str) -> float:
    """How much of the page a panel has in one direction."""
    place = axes.get_subplotspec()
    if place is None:
        return 1.0
    grid: Any = place.get_gridspec()
    ratios, span = grid.get_width_ratios(), place.colspan
    if which == "y":
        ratios, span = grid.get_height_ratios(), place.rowspan
    return float(sum(ratios[span.start : span.stop]) / sum(ratios))
