"""Every eigenvalue at every analysed step: the bulk as a density, what stands apart one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from .axes import Eigenvalues, Floats, Steps
from .density import BINS, bin_edges, hole_of, split_by_density
from .eigenvalue_axis import axis_of_spectra
from .facts import Facts
from .marks import INK, Bars, Dashes, HeatMap, Mark, Points, Rule
from .palette import COLOURS, UNCONVERGED
from .picture import Panel, Picture

Integers = NDArray[np.int64]
SENTENCE = (
    "Each dash is one eigenvalue at one training step, with its error bound as an upright bar; where they are too "
    "dense to be told apart, colour counts them in bins of equal length on the axis."
)
DASH = "one eigenvalue and its error bound"


def spectrum_evolution(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show all eigenvalues over training: up to 1,000 of a step one by one, more as a density with single outliers.

    Unconverged values are crosses. Where eigenvalues were not computed, or lie behind an unconverged one, the column is
    hatched.
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
    marks += [
        dashes(at, spectra, sparse, f"{DASH}, where they are sparse"),
        *crosses(at, spectra, [np.flatnonzero(~spectrum.converged) for spectrum in spectra], 3.5),
    ]
    largest = max(float(spectrum.error_bounds.max()) for spectrum in spectra)
    remark = f"\nlargest error bound {largest:.1g}"
    panel = Panel(tuple(marks), x=at, y=Eigenvalues(axis, remark=remark))
    return Picture(((panel,),), title=title, sentence=SENTENCE, height=4.6)


def _density(at: Steps, counts: Floats, edges: Floats) -> HeatMap:
    low, high = (np.broadcast_to(ends[:, None], counts.shape) for ends in (edges[:-1], edges[1:]))
    columns = {"step": np.broadcast_to(at.steps, counts.shape), "count": counts, "low": low, "high": high}
    facts = Facts("step {step:,}\n{count:,} eigenvalues\nbetween {low:.4g} and {high:.4g}", columns)
    where = np.arange(counts.shape[1] + 1) - 0.5, edges, np.where(counts > 0, counts, np.nan)
    limits = 1.0, 10.0 ** max(1, int(np.ceil(np.log10(counts.max()))))
    bar = f"eigenvalues per bin, where they are dense ({BINS} equal bins)"
    return HeatMap(*where, limits, bar, logarithmic=True, colours="viridis reversed", facts=facts)


def dashes(at: Steps, spectra: Sequence[Spectrum], chosen: Sequence[Integers], label: str) -> Dashes:
    """A dash for each of some eigenvalues, whose numbers are given for each step."""
    positions, values = _of_steps(spectra, chosen, "eigenvalues")
    columns = {"step": np.array(at.steps)[positions], "value": values}
    columns["bound"] = _of_steps(spectra, chosen, "error_bounds")[1]
    facts = Facts("step {step:,}\nλ = {value:.6g} ± {bound:.1g}", columns)
    label = label if len(values) else ""
    return Dashes(positions, values, columns["bound"], colour=COLOURS[0], label=label, facts=facts)


def crosses(at: Steps, spectra: Sequence[Spectrum], failed: Sequence[Integers], size: float) -> list[Points]:
    """A cross for each unconverged one, where there are any."""
    positions, values = _of_steps(spectra, failed, "eigenvalues")
    facts = Facts("step {step:,}\n{value:.4g}, not converged", {"step": np.array(at.steps)[positions], "value": values})
    found = Points(positions, values, UNCONVERGED, "x", size, label="not converged", facts=facts)
    return [found] if len(values) else []


def _of_steps(spectra: Sequence[Spectrum], chosen: Sequence[Integers], name: str) -> tuple[Integers, Floats]:
    """Positions of steps, and an array of the spectra at some eigenvalues of each."""
    positions = np.repeat(np.arange(len(spectra)), [len(numbers) for numbers in chosen])
    return positions, np.concatenate([getattr(one, name)[part] for one, part in zip(spectra, chosen, strict=True)])


def _holes(spectra: Sequence[Spectrum], low: float, high: float) -> list[Bars]:
    holes = {i: np.clip(hole, low, high) for i, s in enumerate(spectra) if (hole := hole_of(s)) is not None}
    if not holes:
        return []
    starts, stops = np.array(list(holes.values())).T
    label = "hole: eigenvalues may be missing"
    return [Bars(list(holes), starts, stops, thickness=0.9, hatched=True, label=label)]
