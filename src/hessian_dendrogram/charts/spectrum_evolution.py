"""Every eigenvalue at every analysed step: the bulk as a density, what stands apart one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from ..results.spectrum import Spectrum
from ..views.density import BINS, bin_edges, hole_of, split_by_density
from ..views.eigenvalue_axis import EigenvalueAxis, axis_of_spectra
from .eigenvalue_axis import add_eigenvalue_dashes, apply_axis, place
from .look import HATCH, NEUTRAL, UNCONVERGED, colour_bar_above, light, new_chart
from .step_axis import StepAxis


def spectrum_evolution(steps: StepAxis, spectra: Sequence[Spectrum], *, title: str = "") -> go.Figure:
    """Draw all eigenvalues over training: up to 1,000 of a step one by one, more as a density with single outliers.

    Args:
        steps: the analysed training steps.
        spectra: one per step, complete or partial.
        title: stands above the chart.
    """
    figure = new_chart(title=title, height=600)
    axis = axis_of_spectra(spectra)
    edges = bin_edges(axis)
    counts = np.zeros((BINS, len(spectra)))
    sparse = []
    for position, spectrum in enumerate(spectra):
        counts[:, position], indices = split_by_density(spectrum, edges)
        sparse.append(indices)
    _add_density(figure, steps, counts, edges, axis)
    _add_holes(figure, spectra, axis)
    _add_sparse(figure, steps, spectra, sparse, axis)
    _add_unconverged(figure, steps, spectra, axis)
    apply_axis(figure, axis, which="y", most=18)
    steps.apply(figure)
    figure.add_hline(0, line={"color": NEUTRAL, "width": 0.5})
    figure.update_layout(hovermode="closest")
    return figure


def _add_density(
    figure: go.Figure, steps: StepAxis, counts: np.ndarray, edges: np.ndarray, axis: EigenvalueAxis
) -> None:
    if not counts.any():
        return
    middles = (place(axis, edges[:-1]) + place(axis, edges[1:])) / 2
    ends = np.broadcast_to(np.stack([edges[:-1], edges[1:]], axis=1)[:, None], (*counts.shape, 2))
    at = np.broadcast_to(steps.steps, counts.shape)
    known = np.concatenate([counts[..., None], ends, at[..., None]], axis=2)
    with np.errstate(divide="ignore"):
        logarithms = np.where(counts > 0, np.log10(counts), np.nan)
    top = int(np.ceil(np.nanmax(logarithms))) or 1
    figure.add_heatmap(
        x=np.arange(counts.shape[1]),
        y=light(middles),
        z=light(logarithms),
        customdata=light(known),
        colorscale="Viridis",
        reversescale=True,
        zmin=0,
        zmax=top,
        hoverongaps=False,
        hovertemplate="step %{customdata[3]:,}<br>%{customdata[0]:,} eigenvalues<br>"
        "between %{customdata[1]:.4g} and %{customdata[2]:.4g}<extra></extra>",
        colorbar={
            "tickvals": list(range(top + 1)),
            "ticktext": [f"{10**power:,}" for power in range(top + 1)],
        },
    )
    colour_bar_above(figure, "eigenvalues per bin")


def _add_sparse(
    figure: go.Figure,
    steps: StepAxis,
    spectra: Sequence[Spectrum],
    sparse: Sequence[np.ndarray],
    axis: EigenvalueAxis,
) -> None:
    """A dash for each eigenvalue that is not in the densities."""
    positions = np.repeat(np.arange(len(spectra)), [len(indices) for indices in sparse])
    values, bounds = (
        np.concatenate([getattr(spectrum, name)[indices] for spectrum, indices in zip(spectra, sparse, strict=True)])
        for name in ("eigenvalues", "error_bounds")
    )
    if len(values):
        add_eigenvalue_dashes(figure, axis, positions, steps.steps, values, bounds)


def _add_unconverged(figure: go.Figure, steps: StepAxis, spectra: Sequence[Spectrum], axis: EigenvalueAxis) -> None:
    failed = [(i, spectrum.eigenvalues[~spectrum.converged]) for i, spectrum in enumerate(spectra)]
    positions = np.repeat([i for i, _ in failed], [len(values) for _, values in failed])
    values = np.concatenate([values for _, values in failed])
    if len(values):
        figure.add_scatter(
            x=light(positions),
            y=light(place(axis, values)),
            mode="markers",
            marker={"symbol": "x-thin", "size": 6, "line": {"width": 1, "color": UNCONVERGED}},
            customdata=np.stack([values, np.array(steps.steps)[positions]], axis=1),
            name="not converged",
            hovertemplate="step %{customdata[1]:,}<br>%{customdata[0]:.4g}, not converged<extra></extra>",
        )


def _add_holes(figure: go.Figure, spectra: Sequence[Spectrum], axis: EigenvalueAxis) -> None:
    holes = {i: np.clip(hole, axis.low, axis.high) for i, s in enumerate(spectra) if (hole := hole_of(s)) is not None}
    if holes:
        low, high = place(axis, np.array(list(holes.values()))).T
        figure.add_bar(
            x=list(holes),
            base=light(low),
            y=light(high - low),
            width=0.9,
            marker={"color": "rgba(0, 0, 0, 0)", "pattern": HATCH, "line": {"width": 0}},
            name="hole: eigenvalues may be missing",
            hoverinfo="skip",
        )
