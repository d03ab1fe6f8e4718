"""A symmetric logarithmic axis for eigenvalues, whose linear part is chosen from the data.

Outside ±threshold the axis is logarithmic, inside it is linear, so that both signs and zero have a place. The
threshold is a power of ten: not below the error bound of any eigenvalue whose sign it leaves open, not below 1e-5 of
the largest magnitude, of the spectrum where that is smallest (or the decades next to zero would fill the page), and not
below the tenth percentile of the magnitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
from matplotlib.axes import Axes
from matplotlib.scale import SymmetricalLogScale, SymmetricalLogTransform
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import ArrayLike, NDArray

from ..spectrum import Spectrum


@dataclass(frozen=True)
class EigenvalueAxis:
    """The scale and the limits of an axis for eigenvalues.

    Attributes:
        threshold: linear within ±threshold, in units of the eigenvalues.
        low, high: the limits of the axis.
    """

    threshold: float
    low: float
    high: float

    @classmethod
    def around(cls, *spectra: tuple[ArrayLike, ArrayLike]) -> EigenvalueAxis:
        """Choose the axis that holds several spectra, each as its values, shape (k,), and their error bounds."""
        groups = [np.broadcast_arrays(np.asarray(values, float), errors) for values, errors in spectra]
        values, errors = (np.concatenate(parts) for parts in zip(*groups, strict=True))
        unresolved = errors[(np.abs(values) <= errors) & (errors > 0) & np.isfinite(errors)]
        exponents = [ceil(log10(unresolved.max()))] if unresolved.size else []
        magnitudes = np.abs(values[values != 0])
        if magnitudes.size:
            largest = min(float(np.abs(group).max()) for group, _ in groups if group.any())
            exponents.append(floor(log10(max(float(np.quantile(magnitudes, 0.1)), 1e-5 * largest))))
        threshold = 10.0 ** max(exponents, default=0)
        transform = SymmetricalLogTransform(10, threshold, 1)
        ends = transform.transform(np.array([values.min(), values.max()]))
        margin = max(0.04 * (ends[1] - ends[0]), 0.05 * threshold, 1e-6 * float(np.abs(ends).max()))
        low, high = transform.inverted().transform(np.array([ends[0] - margin, ends[1] + margin]))
        return cls(threshold, float(low), float(high))

    def to_axis(self, values: ArrayLike) -> NDArray[np.float64]:
        """Map eigenvalues to positions along the axis, shape (k,)."""
        return np.asarray(self._transform.transform(np.asarray(values, float)))

    def from_axis(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Invert `to_axis`."""
        return np.asarray(self._transform.inverted().transform(np.asarray(positions, float)))

    @property
    def _transform(self) -> SymmetricalLogTransform:
        return SymmetricalLogTransform(10, self.threshold, 1)

    @property
    def label(self) -> str:
        """What the axis shows, with the width of its linear part."""
        return f"eigenvalue λ (symlog, linear within ±{self.power})"

    @property
    def power(self) -> str:
        """The threshold as text."""
        return f"$10^{{{round(log10(self.threshold))}}}$"

    def apply(self, axes: Axes, *, which: str, most: int) -> None:
        """Scale the axis `which` ("x" or "y") of a panel, with about `most` ticks."""
        axis = axes.xaxis if which == "x" else axes.yaxis
        scale = SymmetricalLogScale(axis, base=10, linthresh=self.threshold, linscale=1)
        axes.set(**{f"{which}scale": scale, f"{which}lim": (self.low, self.high)})
        axis.set_ticks([], minor=True)
        ticks = self._ticks(most)
        if len(ticks) >= 3:
            axis.set_ticks(ticks)
        else:  # the data span less than two decades: round numbers instead of powers of ten
            axis.set_major_locator(MaxNLocator(min(most, 6)))
            axis.set_major_formatter(ScalarFormatter())

    def _ticks(self, most: int) -> list[float]:
        smallest = round(log10(self.threshold))
        positive = [10.0**e for e in range(smallest, floor(log10(max(self.high, self.threshold))) + 1)]
        negative = [-(10.0**e) for e in range(smallest, floor(log10(max(-self.low, self.threshold))) + 1)]
        stride = max(1, -(-(len(positive) + len(negative)) // most))
        # The outermost decades are labelled and the strides go inwards from the longer side, the same on both.
        last = max(len(positive), len(negative)) - 1
        chosen = [side[e] for side in (positive, negative) for e in range(last % stride, len(side), stride)]
        return sorted(tick for tick in [0.0, *chosen] if self.low <= tick <= self.high)


def axis_of_spectra(spectra: Sequence[Spectrum]) -> EigenvalueAxis:
    """Choose the axis that holds all eigenvalues of several spectra."""
    return EigenvalueAxis.around(*((spectrum.eigenvalues, spectrum.error_bounds) for spectrum in spectra))
