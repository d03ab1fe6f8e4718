"""The eigenvalues of one checkpoint, counted in bins of equal length on a symmetric logarithmic axis."""

from __future__ import annotations

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.segments import hole_of, num_hidden
from ..store.analysed import Analysed
from .axes import Eigenvalues, Linear
from .marks import COLOURS, FAINT, UNCONVERGED, Bars, Facts, Mark
from .picture import PICTURES, Known, Panel, Picture

SENTENCE = (
    "How many eigenvalues lie in each of 80 bins that are equally long on the axis; colours tell positive from "
    "negative ones and from those whose sign their error leaves open."
)
_BINS = 80


def eigenvalue_histogram(spectrum: Spectrum, *, axis: Eigenvalues | None = None, title: str = "") -> Picture:
    """Count eigenvalues by sign; unconverged ones are outlines, and a hole is hatched."""
    values, bounds, converged = spectrum.eigenvalues, spectrum.error_bounds, spectrum.converged
    scale = axis or Eigenvalues.of_spectra([spectrum], name="eigenvalue λ")
    low, high = scale.place(scale.limits).tolist()
    edges = np.linspace(low, high, _BINS + 1)  # in decades, where bars are equally wide
    ends, below = scale.value_at(edges), np.zeros(_BINS, int)
    middles, is_open = (ends[:-1] + ends[1:]) / 2, np.abs(values) <= bounds
    marks: list[Mark] = []
    for name, mask, colour in (
        ("positive", converged & ~is_open & (values > 0), COLOURS[0]),
        ("negative", converged & ~is_open & (values < 0), COLOURS[1]),
        ("sign unresolved: |λ| ≤ its error bound", converged & is_open, FAINT),
        ("not converged", ~converged, ""),
    ):
        counts = np.histogram(scale.place(values[mask]), edges)[0]
        at = np.flatnonzero(counts)
        known = {"count": counts[at], "low": ends[at], "high": ends[at + 1]}
        facts = Facts(f"{{count:,}} eigenvalues between {{low:.3g}} and {{high:.3g}}\n{name}", known)
        outline, label = "" if colour else UNCONVERGED, f"{name} ({int(mask.sum()):,})"
        if mask.any():
            where = middles[at], below[at], (below + counts)[at], np.diff(ends)[at]
            marks.append(Bars(*where, colour=colour, outline=outline, label=label, facts=facts))
        below = below + counts
    top = 1.05 * max(1, int(below.max()))
    if (hole := hole_of(spectrum)) is not None:
        left, right = np.clip(hole, *scale.limits).tolist()
        label = f"hole: {num_hidden(spectrum):,} eigenvalues not known"
        marks.insert(0, Bars([(left + right) / 2], [0.0], [top], right - left, hatched=True, label=label))
    panel = Panel(tuple(marks), x=scale, y=Linear("eigenvalues per bin", (0.0, top), ",d"))
    return Picture(((panel,),), title, SENTENCE, height=2.9)


def _at(a: Analysed, position: int) -> Picture:
    """At one step, on the axis of all."""
    axis = Eigenvalues.of_spectra(a.results, name="eigenvalue λ")
    return eigenvalue_histogram(a.results[position], axis=axis, title=f"step {a.steps[position]:,}")


PICTURES["histogram"] = Known("spectrum", "Histogram", SENTENCE, at=_at, tab="Spectrum")
