"""The eigenvalues of one checkpoint, counted in bins of equal length on a symmetric logarithmic axis."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..views.density import hole_of
from ..views.eigenvalue_axis import EigenvalueAxis
from .eigenvalue_axis import apply_axis, place
from .look import COLOURS, HATCH, NEUTRAL, UNCONVERGED, light, new_chart

_BINS = 80


def eigenvalue_histogram(spectrum: Spectrum, *, axis: EigenvalueAxis | None = None, title: str = "") -> go.Figure:
    """Count eigenvalues: those above and below zero, those whose sign their error leaves open, and the unconverged.

    Args:
        spectrum: complete or partial; a hole is hatched.
        axis: of the eigenvalues; default around those of the spectrum.
        title: stands above the chart.
    """
    values, bounds, converged = spectrum.eigenvalues, spectrum.error_bounds, spectrum.converged
    axis = axis or EigenvalueAxis.around((values, bounds))
    low, high = place(axis, [axis.low, axis.high])
    edges = np.linspace(low, high, _BINS + 1)
    places = place(axis, values)
    open_sign = np.abs(values) <= bounds
    figure = new_chart(title=title, height=380)
    known: np.ndarray = np.zeros(_BINS, int)
    ends = axis.from_axis(edges * axis.threshold)
    for name, mask, colour in (
        ("positive", converged & ~open_sign & (values > 0), COLOURS[0]),
        ("negative", converged & ~open_sign & (values < 0), COLOURS[1]),
        ("sign unresolved: |λ| ≤ its error bound", converged & open_sign, NEUTRAL),
        ("not converged", ~converged, "rgba(0, 0, 0, 0)"),
    ):
        if not mask.any():
            continue
        counts = np.histogram(places[mask], edges)[0]
        there = counts > 0
        figure.add_bar(
            x=light((edges[:-1] + edges[1:])[there] / 2),
            y=counts[there],
            base=known[there],
            width=edges[1] - edges[0],
            marker={"color": colour, "line": {"width": 1.5 if name == "not converged" else 0, "color": UNCONVERGED}},
            customdata=light(np.stack([counts, ends[:-1], ends[1:]], axis=1)[there]),
            name=f"{name} ({int(mask.sum()):,})",
            hovertemplate="%{customdata[0]:,} eigenvalues between %{customdata[1]:.3g} and %{customdata[2]:.3g}"
            f"<extra>{name}</extra>",
        )
        known = known + counts
    hole = hole_of(spectrum)
    top = max(1, int(known.max()))
    if hole is not None:
        left, right = place(axis, np.clip(hole, axis.low, axis.high))
        figure.add_bar(
            x=[(left + right) / 2],
            y=[1.05 * top],
            width=right - left,
            marker={"color": "rgba(0, 0, 0, 0)", "pattern": HATCH, "line": {"width": 0}},
            name="hole: eigenvalues may be missing",
            hoverinfo="skip",
        )
    apply_axis(figure, axis, which="x", most=12)
    figure.update_yaxes(title_text="eigenvalues per bin", range=[0, 1.05 * top])
    return figure
