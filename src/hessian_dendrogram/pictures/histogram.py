"""The eigenvalues of one checkpoint, counted in bins of equal length on a symmetric logarithmic axis."""

from __future__ import annotations

import numpy as np

from ..results.spectrum import Spectrum
from .axes import Eigenvalues, Linear
from .density import hole_of
from .eigenvalue_axis import EigenvalueAxis
from .facts import Facts
from .marks import FAINT, Bars, Mark
from .palette import COLOURS, UNCONVERGED
from .picture import Panel, Picture

SENTENCE = (
    "How many eigenvalues lie in each of 80 bins that are equally long on the axis; colours tell positive from "
    "negative ones and from those whose sign their error leaves open."
)
_BINS = 80


def eigenvalue_histogram(spectrum: Spectrum, *, axis: EigenvalueAxis | None = None, title: str = "") -> Picture:
    """Count eigenvalues by sign; unconverged ones are outlines, and a hole is hatched."""
    values, bounds, converged = spectrum.eigenvalues, spectrum.error_bounds, spectrum.converged
    scale = Eigenvalues(axis or EigenvalueAxis.around((values, bounds)))
    low, high = scale.place(scale.limits).tolist()
    edges = np.linspace(low, high, _BINS + 1)  # in decades, where bars are equally wide
    ends = scale.value_at(edges)
    middles, widths = (ends[:-1] + ends[1:]) / 2, np.diff(ends)
    is_open = np.abs(values) <= bounds
    marks: list[Mark] = []
    below = np.zeros(_BINS, int)
    for name, mask, colour in (
        ("positive", converged & ~is_open & (values > 0), COLOURS[0]),
        ("negative", converged & ~is_open & (values < 0), COLOURS[1]),
        ("sign unresolved: |λ| ≤ its error bound", converged & is_open, FAINT),
        ("not converged", ~converged, ""),
    ):
        counts = np.histogram(scale.place(values[mask]), edges)[0]
        there = counts > 0
        known = {"count": counts[there], "low": ends[:-1][there], "high": ends[1:][there]}
        facts = Facts(f"{{count:,}} eigenvalues between {{low:.3g}} and {{high:.3g}}\n{name}", known)
        outline, label = "" if colour else UNCONVERGED, f"{name} ({int(mask.sum()):,})"
        if mask.any():
            where = middles[there], below[there], (below + counts)[there], widths[there]
            marks.append(Bars(*where, colour=colour, outline=outline, label=label, facts=facts))
        below = below + counts
    top = 1.05 * max(1, int(below.max()))
    if (hole := hole_of(spectrum)) is not None:
        left, right = np.clip(hole, *scale.limits).tolist()
        label = "hole: eigenvalues may be missing"
        marks.insert(0, Bars([(left + right) / 2], [0.0], [top], right - left, hatched=True, label=label))
    panel = Panel(tuple(marks), x=scale, y=Linear("eigenvalues per bin", (0.0, top), ",d"))
    return Picture(((panel,),), title, SENTENCE, height=2.9)
