"""A few numbers that describe a spectrum, each with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum


@dataclass(frozen=True, kw_only=True)
class SpectrumSummary:
    """A few numbers that describe a spectrum; `None` where a partial spectrum cannot say.

    Attributes:
        smallest: the smallest eigenvalue.
        smallest_error: its error bound.
        largest: the largest eigenvalue.
        largest_error: its error bound.
        num_negative: eigenvalues below zero by more than their error bound.
        num_unresolved_sign: eigenvalues whose error bound is at least their magnitude.
        trace: the sum of all eigenvalues; of a partial spectrum an estimate, where `provenance["trace"]` has one.
        trace_error: the sum of the bounds, the worst case; of an estimate its standard error.
        entropy: Shannon entropy -Σ p log p of p = |λ| / Σ|λ|, in nats.
        entropy_error: a bound on its error.
    """

    smallest: float | None
    smallest_error: float | None
    largest: float | None
    largest_error: float | None
    num_negative: int | None
    num_unresolved_sign: int | None
    trace: float | None
    trace_error: float | None
    entropy: float | None
    entropy_error: float | None


def summarise(spectrum: Spectrum) -> SpectrumSummary:
    """The numbers of `SpectrumSummary`; an end whose extreme value has not converged, or is not there, gives `None`."""
    values, bounds = spectrum.eigenvalues, spectrum.error_bounds
    parts = spectrum.segments()
    has_bottom, has_top, whole = "all" in parts or "bottom" in parts, "all" in parts or "top" in parts, "all" in parts
    magnitude = np.abs(values)
    estimate = spectrum.provenance.get("trace", {})
    return SpectrumSummary(
        smallest=float(values[0]) if has_bottom else None,
        smallest_error=float(bounds[0]) if has_bottom else None,
        largest=float(values[-1]) if has_top else None,
        largest_error=float(bounds[-1]) if has_top else None,
        num_negative=int((values < -bounds).sum()) if whole else None,
        num_unresolved_sign=int((magnitude <= bounds).sum()) if whole else None,
        trace=float(values.sum()) if whole else estimate.get("value"),
        trace_error=float(bounds.sum()) if whole else estimate.get("standard_error"),
        entropy=_entropy(magnitude) if whole else None,
        entropy_error=_entropy_error(magnitude, bounds) if whole else None,
    )


def summary_columns(spectra: Sequence[Spectrum]) -> dict[str, NDArray[np.float64]]:
    """The fields of `SpectrumSummary` as arrays over several spectra; NaN for None."""
    rows = [summarise(spectrum) for spectrum in spectra]
    return {one.name: np.array([getattr(row, one.name) for row in rows], float) for one in fields(SpectrumSummary)}


def _entropy(magnitude: NDArray[np.float64]) -> float:
    """Entropy of p = magnitude / Σ magnitude in nats; 0 where all are zero."""
    share = magnitude / magnitude.sum() if magnitude.any() else np.ones(1)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum()) + 0.0


def _entropy_error(magnitude: NDArray[np.float64], bounds: NDArray[np.float64]) -> float:
    """Bound the error of the entropy, given bounds on the errors of the magnitudes.

    The computed p and the true one have a total variation distance T <= Σ bounds / Σ magnitude; then their entropies
    differ by at most T log(n - 1) - T log T - (1 - T) log(1 - T) for T <= 1 - 1/n (the classical Fannes-Audenaert
    inequality; Zhang 2007, IEEE Trans. Inf. Theory 53, 3280), and by log n in any case.
    """
    count, total = len(magnitude), float(magnitude.sum())
    distance = float(bounds.sum()) / total if total > 0 else np.inf
    if count == 1 or distance == 0:
        return 0.0
    if distance > 1 - 1 / count:
        return float(np.log(count))
    return float(distance * np.log(count - 1) - distance * np.log(distance) - (1 - distance) * np.log1p(-distance))
