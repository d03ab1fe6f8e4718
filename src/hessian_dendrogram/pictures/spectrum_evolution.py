"""Every eigenvalue at every analysed step: the bulk as a density, what stands apart one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..results.spectrum import Spectrum
from ..views.density import BINS, bin_edges, hole_of, split_by_density
from ..views.eigenvalue_axis import axis_of_spectra
from ..views.palette import COLOURS, UNCONVERGED
from .axes import Eigenvalues, Floats, Steps
from .facts import Facts
from .marks import INK, Bars, Dashes, HeatMap, Mark, Points, Rule
from .picture import Panel, Picture

SENTENCE = (
    "Each dash is one eigenvalue at one training step, with its error bound as an upright bar; where they are too "
    "dense to be told apart, colour counts them in bins of equal length on the axis."
)


def spectrum_evolution(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show all eigenvalues over training: up to 1,000 of a step one by one, more as a density with single outliers.

    Unconverged values are crosses. Where eigenvalues were not computed, or lie behind an unconverged one, the column is
    hatched.

    Args:
        steps: the analysed training steps, ascending.
        spectra: one per step, complete or partial.
        title: stands above.
    """
    at = Steps.of(steps)
    axis = axis_of_spectra(spectra)
    edges = bin_edges(axis)
    counts = np.zeros((BINS, len(spectra)))
    sparse = []
    for position, spectrum in enumerate(spectra):
        counts[:, position], indices = split_by_density(spectrum, edges)
        sparse.append(indices)
    marks: list[Mark] = [*_holes(spectra, axis.low, axis.high)]
    if counts.any():
        marks.append(_density(at, counts, edges))
    if axis.low < 0 < axis.high:
        marks.append(Rule(0.0, colour=INK, width=0.5))
    marks += [_dashes(at, spectra, sparse), *_crosses(at, spectra)]
    largest = max(float(spectrum.error_bounds.max()) for spectrum in spectra)
    remark = f"\nlargest error bound {largest:.1g}"
    panel = Panel(tuple(marks), x=at, y=Eigenvalues(axis, remark=remark))
    return Picture(((panel,),), title=title, sentence=SENTENCE, height=4.6)


def _density(at: Steps, counts: Floats, edges: Floats) -> HeatMap:
    low, high = (np.broadcast_to(ends[:, None], counts.shape) for ends in (edges[:-1], edges[1:]))
    columns = {"step": np.broadcast_to(at.steps, counts.shape), "count": counts, "low": low, "high": high}
    return HeatMap(
        np.arange(counts.shape[1] + 1) - 0.5,
        edges,
        np.where(counts > 0, counts, np.nan),
        limits=(1.0, 10.0 ** max(1, int(np.ceil(np.log10(counts.max()))))),
        bar=f"eigenvalues per bin, where they are dense ({BINS} equal bins)",
        logarithmic=True,
        colours="viridis reversed",
        facts=Facts("step {step:,}\n{count:,} eigenvalues\nbetween {low:.4g} and {high:.4g}", columns),
    )


def _dashes(at: Steps, spectra: Sequence[Spectrum], sparse: Sequence[np.ndarray]) -> Dashes:
    """A dash for each eigenvalue that is not in the densities."""
    positions = np.repeat(np.arange(len(spectra)), [len(indices) for indices in sparse])
    values, bounds = (
        np.concatenate([getattr(spectrum, name)[indices] for spectrum, indices in zip(spectra, sparse, strict=True)])
        for name in ("eigenvalues", "error_bounds")
    )
    columns = {"step": np.array(at.steps)[positions], "value": values, "bound": bounds}
    facts = Facts("step {step:,}\nλ = {value:.6g} ± {bound:.1g}", columns)
    label = "one eigenvalue and its error bound, where they are sparse"
    return Dashes(positions, values, bounds, colour=COLOURS[0], label=label if len(values) else "", facts=facts)


def _crosses(at: Steps, spectra: Sequence[Spectrum]) -> list[Points]:
    failed = [(i, spectrum.eigenvalues[~spectrum.converged]) for i, spectrum in enumerate(spectra)]
    positions = np.repeat([i for i, _ in failed], [len(values) for _, values in failed])
    values = np.concatenate([values for _, values in failed])
    facts = Facts("step {step:,}\n{value:.4g}, not converged", {"step": np.array(at.steps)[positions], "value": values})
    crosses = Points(positions, values, UNCONVERGED, "x", 3.5, label="not converged", facts=facts)
    return [crosses] if len(values) else []


def _holes(spectra: Sequence[Spectrum], low: float, high: float) -> list[Bars]:
    holes = {i: np.clip(hole, low, high) for i, s in enumerate(spectra) if (hole := hole_of(s)) is not None}
    if not holes:
        return []
    starts, stops = np.array(list(holes.values())).T
    label = "hole: eigenvalues may be missing"
    return [Bars(list(holes), starts, stops, thickness=0.9, hatched=True, label=label)]
