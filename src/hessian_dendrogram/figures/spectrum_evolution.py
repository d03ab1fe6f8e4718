"""Every eigenvalue at every analysed step: the bulk as a density, what stands apart one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..views.density import BINS, bin_edges, hole_of, split_by_density
from ..views.eigenvalue_axis import EigenvalueAxis, axis_of_spectra
from .eigenvalue_axis import apply_axis, axis_label
from .style import COLOURS, STYLE, UNCONVERGED, UNRESOLVED, new_figure, step_ticks


@matplotlib.rc_context(STYLE)
def spectrum_evolution(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "") -> Figure:
    """Draw all eigenvalues over training: up to 1,000 of a step one by one, more as a density with single outliers.

    The eigenvalue axis is cut into 160 bins of equal length on the page. Where eigenvalues are dense, bins are
    coloured by their number; where 9 neighbouring bins hold no more than 12, each eigenvalue is a dash, with its
    error bound as a vertical bar. Unconverged values are crosses. Where eigenvalues were not computed, or lie behind
    an unconverged one, the column is hatched.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above the figure.
    """
    figure = new_figure(5.0, title)
    axes = figure.add_subplot()
    axis = axis_of_spectra(spectra)
    apply_axis(axes, axis, which="y", most=18)
    step_ticks(axes, list(steps))
    edges = bin_edges(axis)
    counts = np.zeros((BINS, len(spectra)))
    for position, spectrum in enumerate(spectra):
        counts[:, position] = _draw_step(axes, position, spectrum, edges)
    _draw_density(figure, axes, counts, edges)
    largest_error = max(float(spectrum.error_bounds.max()) for spectrum in spectra)
    axes.set_ylabel(f"{axis_label(axis)}\nlargest error bound {largest_error:.1g}")
    _legend(figure, axes, axis, spectra)
    return figure


def _draw_step(axes: Axes, position: int, spectrum: Spectrum, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw one step's single eigenvalues and its hole; return how many converged ones lie in each dense bin."""
    counts, sparse = split_by_density(spectrum, edges)
    values, bounds = spectrum.eigenvalues[sparse], spectrum.error_bounds[sparse]
    style: Any = {"color": COLOURS[0], "linewidth": 0.7, "rasterized": True}
    axes.hlines(values, position - 0.4, position + 0.4, **style)
    axes.vlines(np.full(len(values), position), values - bounds, values + bounds, **style)
    failed = spectrum.eigenvalues[~spectrum.converged]
    axes.plot(np.full(len(failed), position), failed, "x", color=UNCONVERGED, rasterized=True)
    hole = hole_of(spectrum)
    if hole is not None:
        low, high = np.clip(hole, edges[0], edges[-1])
        axes.bar(position, high - low, 0.9, bottom=low, color=UNRESOLVED, hatch="////", linewidth=0, zorder=0.5)
    return counts


def _draw_density(figure: Figure, axes: Axes, counts: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
    if not counts.any():
        return
    mesh = axes.pcolormesh(
        np.arange(counts.shape[1] + 1) - 0.5,
        edges,
        np.ma.masked_equal(counts, 0),
        norm=LogNorm(1, counts.max()),
        cmap="viridis_r",
        rasterized=True,
        zorder=0.8,
    )
    figure.colorbar(mesh, ax=axes, label=f"eigenvalues per bin, where they are dense ({BINS} equal bins)", pad=0.01)


def _legend(figure: Figure, axes: Axes, axis: EigenvalueAxis, spectra: Sequence[Spectrum]) -> None:
    label = "one eigenvalue and its error bound, where they are sparse"
    handles: list[Artist] = [*axes.plot([], [], "_", color=COLOURS[0], markersize=8, label=label)]
    if any(not spectrum.converged.all() for spectrum in spectra):
        handles += axes.plot([], [], "x", color=UNCONVERGED, label="not converged")
    if any(hole_of(spectrum) is not None for spectrum in spectra):
        handles.append(Patch(facecolor=UNRESOLVED, hatch="////", label="hole: eigenvalues may be missing"))
    if axis.low < 0 < axis.high:
        axes.axhline(0, color="0.4", linewidth=0.4, zorder=0.9)
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
