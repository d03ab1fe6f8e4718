"""Every eigenvalue at every analysed step: the bulk as a density, what stands apart one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.bins import split_by_density
from ..statistics.segments import hole_of
from .axes import Eigenvalues, Floats, Steps
from .marks import COLOURS, INK, UNCONVERGED, Bars, Dashes, Facts, HeatMap, Mark, Points, Rule, Scale
from .picture import PICTURES, Known, Panel, Picture, stacked
from .training import training_curves

Integers = NDArray[np.int64]
SENTENCE = (
    "Each dash is one eigenvalue at one training step, with its error bound as an upright bar; where they are too "
    "dense to be told apart, colour counts them in bins of equal length on the axis."
)
DASH = "one eigenvalue and its error bound"
_BINS = 160
HOLE = "hole: eigenvalues may be missing"


def spectrum_evolution(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show all eigenvalues over training: up to 1,000 of a step one by one, more as a density with single outliers.

    Unconverged values are crosses. Where eigenvalues were not computed, or lie behind an unconverged one, the column is
    hatched.
    """
    largest = max(float(spectrum.error_bounds.max()) for spectrum in spectra)
    remark = f"\nlargest error bound {largest:.1g}"
    thresholds = np.array([_stable_below(spectrum) for spectrum in spectra])
    shown = [(spectrum.eigenvalues, spectrum.error_bounds) for spectrum in spectra]
    shown += [(known, 0 * known)] if len(known := thresholds[np.isfinite(thresholds)]) else []
    at, axis = Steps.of(steps), Eigenvalues.around(*shown, name="eigenvalue λ", remark=remark)
    edges = bin_edges(axis)
    counts, sparse = zip(*(split_by_density(spectrum, edges) for spectrum in spectra), strict=True)
    failed = [np.flatnonzero(~spectrum.converged) for spectrum in spectra]
    marks: list[Mark] = [
        *_holes(spectra, axis.limits),
        *_density(at, np.stack(counts, axis=1), edges),
        *zero_line(axis),
        dashes(at, spectra, sparse, f"{DASH}, where they are sparse"),
        *crosses(at, spectra, failed, 3.5),
    ]
    if len(known):
        columns = {"step": np.array(at.steps), "value": thresholds}
        facts = Facts("step {step:,}\nthe optimiser is stable below {value:.5g}", columns)
        label = "the optimiser is stable below"
        marks.append(
            Points(np.arange(len(spectra)), thresholds, COLOURS[1], "x", 3.0, joined=1.0, label=label, facts=facts)
        )
    return Picture(((Panel(tuple(marks), x=at, y=axis),),), title, SENTENCE, height=4.6)


PICTURES["spectrum_evolution"] = Known(
    "spectrum",
    "Eigenvalues over training",
    SENTENCE,
    lambda a, at: stacked(spectrum_evolution(at, a.results), *([training_curves(at, a.metrics)] if a.metrics else [])),
    printed=lambda a: spectrum_evolution(a.steps, a.results),
    tab="Spectrum",
)


def _stable_below(spectrum: Spectrum) -> float:
    """The eigenvalue up to which the optimiser is stable, where the operator says so; NaN elsewhere."""
    value = spectrum.provenance.get("stable_below")
    return float(value) if isinstance(value, int | float) and 0 < value < np.inf else np.nan


def _density(at: Steps, counts: Integers, edges: Floats) -> list[HeatMap]:
    if not counts.any():
        return []
    columns = {"step": at.steps, "count": counts, "low": edges[:-1, None], "high": edges[1:, None]}
    facts = Facts("step {step:,}\n{count:,} eigenvalues\nbetween {low:.4g} and {high:.4g}", columns)
    limits = 1.0, 10.0 ** max(1, int(np.ceil(np.log10(counts.max()))))
    bar = f"eigenvalues per bin, where they are dense ({_BINS} equal bins)"
    scale = Scale(bar, limits, logarithmic=True, colours="viridis reversed")
    return [HeatMap(np.arange(counts.shape[1] + 1) - 0.5, edges, np.where(counts > 0, counts, np.nan), scale, facts)]


def bin_edges(axis: Eigenvalues) -> NDArray[np.float64]:
    """Cut an axis into bins of equal length on the page: shape (_BINS + 1,), in units of the eigenvalues."""
    low, high = axis.place(axis.limits).tolist()
    return axis.value_at(np.linspace(low, high, _BINS + 1))


def zero_line(axis: Eigenvalues) -> list[Rule]:
    """Where the eigenvalue zero is, if it is on the axis."""
    return [Rule(0.0, colour=INK, width=0.5)] if axis.limits[0] < 0 < axis.limits[1] else []


def dashes(at: Steps, spectra: Sequence[Spectrum], chosen: Sequence[Integers], label: str) -> Dashes:
    """A dash for each of some eigenvalues, whose numbers are given for each step."""
    positions, values, bounds = _chosen(spectra, chosen)
    known = {"step": np.array(at.steps)[positions], "value": values, "bound": bounds}
    facts = Facts("step {step:,}\nλ = {value:.6g} ± {bound:.1g}", known)
    return Dashes(positions, values, bounds, COLOURS[0], label=label if len(values) else "", facts=facts)


def crosses(at: Steps, spectra: Sequence[Spectrum], failed: Sequence[Integers], size: float) -> list[Points]:
    """A cross for each unconverged one, where there are any."""
    positions, values, _ = _chosen(spectra, failed)
    facts = Facts("step {step:,}\n{value:.4g}, not converged", {"step": np.array(at.steps)[positions], "value": values})
    found = Points(positions, values, UNCONVERGED, "x", size, label="not converged", facts=facts)
    return [found] if len(values) else []


def _chosen(spectra: Sequence[Spectrum], chosen: Sequence[Integers]) -> tuple[Integers, Floats, Floats]:
    """Positions of steps, and the eigenvalues and error bounds of the numbers given for each."""
    positions = np.repeat(np.arange(len(spectra)), [len(numbers) for numbers in chosen])
    pairs = [(one.eigenvalues[part], one.error_bounds[part]) for one, part in zip(spectra, chosen, strict=True)]
    values, bounds = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return positions, values, bounds


def _holes(spectra: Sequence[Spectrum], limits: tuple[float, float]) -> list[Bars]:
    holes = {i: np.clip(hole, *limits) for i, s in enumerate(spectra) if (hole := hole_of(s)) is not None}
    if not holes:
        return []
    starts, stops = np.array(list(holes.values())).T
    return [Bars(list(holes), starts, stops, thickness=0.9, hatched=True, label=HOLE)]
