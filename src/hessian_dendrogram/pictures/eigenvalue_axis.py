"""A symmetric logarithmic axis for eigenvalues, whose linear part is chosen from the data.

Outside ±threshold the axis is logarithmic, inside it is linear, so that both signs and zero have a place. With t the
threshold, λ stands at λ / ln 10 for |λ| <= t, and at sign(λ) t (1 / ln 10 + log10(|λ| / t)) beyond. So the linear part
from 0 to t is as long as 0.43 decades. No other length has the same slope on both sides of t, and a jump of the slope
would be a jump in the number of eigenvalues per unit of the axis: an edge that the spectrum does not have.

The threshold is a power of ten: not below the error bound of any eigenvalue whose sign it leaves open, not below 1e-5
of the largest magnitude, of the spectrum where that is smallest (or the decades next to zero would fill the page), and
not below the tenth percentile of the magnitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log, log10

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..results.spectrum import Spectrum

LINEAR_DECADES = 1 / log(10)
"""Length of the linear part from 0 to the threshold, in decades; where d log10(x) / dx at 1 is its slope, too."""


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
        scale = cls(threshold, 0.0, 0.0)
        ends = scale.to_axis([values.min(), values.max()])
        margin = max(0.04 * (ends[1] - ends[0]), 0.05 * threshold, 1e-6 * float(np.abs(ends).max()))
        low, high = scale.from_axis([ends[0] - margin, ends[1] + margin]).tolist()
        return cls(threshold, low, high)

    def to_axis(self, values: ArrayLike) -> NDArray[np.float64]:
        """Map eigenvalues to positions along the axis, shape (k,)."""
        values = np.asarray(values, float)
        magnitude = np.abs(values)
        decades = np.log10(np.maximum(magnitude, self.threshold) / self.threshold)
        linear = np.minimum(magnitude, self.threshold) * LINEAR_DECADES
        return np.asarray(np.sign(values) * (linear + self.threshold * decades))

    def from_axis(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Invert `to_axis`."""
        positions = np.asarray(positions, float)
        linear = np.abs(positions) / LINEAR_DECADES
        decades = np.maximum(np.abs(positions) / self.threshold - LINEAR_DECADES, 0.0)
        magnitude = np.where(linear <= self.threshold, linear, self.threshold * 10.0**decades)
        return np.asarray(np.sign(positions) * magnitude)

    @property
    def exponent(self) -> int:
        """The threshold is ten to this power."""
        return round(log10(self.threshold))

    def ticks(self, most: int) -> list[float]:
        """Choose about `most` powers of ten of both signs, and zero; fewer than 3 where the data span no decades."""
        smallest = self.exponent
        positive = [10.0**e for e in range(smallest, floor(log10(max(self.high, self.threshold))) + 1)]
        negative = [-(10.0**e) for e in range(smallest, floor(log10(max(-self.low, self.threshold))) + 1)]
        stride = max(1, -(-(len(positive) + len(negative)) // most))
        # The outermost decades are labelled and the strides go inwards from the longer side, the same on both.
        last = max(len(positive), len(negative)) - 1
        exponents = range(last % stride, last + 1, stride)
        # The innermost would run into the zero where it is closer to it than to its neighbour, unless there is room.
        low, high = self.to_axis([self.low, self.high]) / self.threshold
        room = min(0.6 * stride, float(high - low) / most)
        kept = [e for e in exponents if LINEAR_DECADES + e >= room]
        chosen = [side[e] for side in (positive, negative) for e in kept if e < len(side)]
        return sorted(tick for tick in [0.0, *chosen] if self.low <= tick <= self.high)


def axis_of_spectra(spectra: Sequence[Spectrum]) -> EigenvalueAxis:
    """Choose the axis that holds all eigenvalues of several spectra."""
    return EigenvalueAxis.around(*((spectrum.eigenvalues, spectrum.error_bounds) for spectrum in spectra))
