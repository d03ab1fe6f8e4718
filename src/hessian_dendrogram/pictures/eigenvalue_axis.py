"""A symmetric logarithmic axis for eigenvalues, whose linear part is chosen from the data.

Outside ±threshold the axis is logarithmic, inside it is linear, so that both signs and zero have a place. With t the
threshold, λ stands at λ / (t ln 10) for |λ| <= t, and at sign(λ) (1 / ln 10 + log10(|λ| / t)) beyond. So the linear
part from 0 to t is as long as 0.43 decades. No other length has the same slope on both sides of t, and a jump of the
slope would be a jump in the number of eigenvalues per unit of the axis: an edge that the spectrum does not have.

The threshold is a power of ten: not below the error bound of any eigenvalue whose sign it leaves open, not below 1e-5
of the largest magnitude, of the spectrum where that is smallest (or the decades next to zero would fill the page), and
not below the tenth percentile of the magnitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..results.spectrum import Spectrum

Floats = NDArray[np.float64]
LINEAR_DECADES = 1 / log(10)
"""Length of the linear part from 0 to the threshold, in decades; where d log10(x) / dx at 1 is its slope, too."""
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER = 6  # characters of a label such as −10⁻³, with the space beside it
_DIGIT = 0.36  # of the room that a label takes, for a single digit beside a power of ten


def power_of_ten(exponent: int) -> str:
    """The power as text, such as 10⁻³."""
    return f"10{str(exponent).translate(_RAISED)}"


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of both signs on a symmetric logarithmic axis.

    Attributes:
        threshold: linear within ±threshold, in units of the eigenvalues.
        limits: the first and the last eigenvalue.
        name: what stands before the words on the linear part.
        remark: what stands after them.
        is_logarithmic: of positive eigenvalues alone, which are all beyond the linear part.
        is_free: the limits are those of the marks on a screen, where they may change without the loss of a zoom.
    """

    threshold: float
    limits: tuple[float, float]
    name: str = "λ"
    remark: str = ""
    is_logarithmic: bool = False
    is_free: bool = False

    @classmethod
    def around(cls, *spectra: tuple[ArrayLike, ArrayLike], **known: Any) -> Eigenvalues:
        """Choose the axis that holds several spectra, each as its values, shape (k,), and their error bounds."""
        groups = [np.broadcast_arrays(np.asarray(values, float), errors) for values, errors in spectra]
        values, errors = (np.concatenate(parts) for parts in zip(*groups, strict=True))
        unresolved = errors[(np.abs(values) <= errors) & (errors > 0) & np.isfinite(errors)]
        exponents = [ceil(log10(unresolved.max()))] if unresolved.size else []
        magnitudes = np.abs(values[values != 0])
        if magnitudes.size:
            largest = min(float(np.abs(group).max()) for group, _ in groups if group.any())
            exponents.append(floor(log10(max(float(np.quantile(magnitudes, 0.1)), 1e-5 * largest))))
        if known.get("is_logarithmic"):  # with room for the margin below the smallest
            low, high = log10(values.min()), log10(values.max())
            exponents = [max(floor(low - 0.1 * (high - low)) - 1, floor(high) - 250, -300)]
        scale = cls(10.0 ** max(exponents, default=0), (0.0, 0.0), **known)
        low, high = scale.place([values.min(), values.max()]).tolist()
        margin = max(0.04 * (high - low), 0.05, 1e-6 * abs(low), 1e-6 * abs(high))
        first, last = scale.value_at([low - margin, high + margin]).tolist()
        return cls(scale.threshold, (first, last), **known)

    @classmethod
    def of_spectra(cls, spectra: Sequence[Spectrum], **known: Any) -> Eigenvalues:
        """Choose the axis that holds all eigenvalues of several spectra."""
        return cls.around(*((spectrum.eigenvalues, spectrum.error_bounds) for spectrum in spectra), **known)

    @property
    def label(self) -> str:
        """What the axis shows, with the width of its linear part."""
        if self.is_logarithmic and self.limits[0] >= self.threshold:
            return f"{self.name} (log scale){self.remark}"
        return f"{self.name} (symlog, linear within ±{power_of_ten(self._exponent)}){self.remark}"

    @property
    def _exponent(self) -> int:
        return round(log10(self.threshold))

    def place(self, values: ArrayLike) -> Floats:
        """Where eigenvalues stand, in decades from zero, shape (k,); NaN stays NaN."""
        values = np.asarray(values, float)
        magnitudes = np.abs(values) / self.threshold
        decades = np.log10(np.maximum(magnitudes, 1.0))
        return np.asarray(np.sign(values) * (np.minimum(magnitudes, 1.0) * LINEAR_DECADES + decades))

    def value_at(self, places: ArrayLike) -> Floats:
        """Invert `place`."""
        lengths = np.abs(np.asarray(places, float))
        magnitudes = np.minimum(lengths / LINEAR_DECADES, 1.0) * 10.0 ** np.maximum(lengths - LINEAR_DECADES, 0.0)
        return np.asarray(np.sign(places) * magnitudes * self.threshold)

    def ticks(self, most: int, most_between: int = 150) -> list[tuple[float, str]]:
        """Places of ticks in units of the eigenvalues and their labels, "" for ticks between the labelled ones.

        Args:
            most: how many labels such as 10⁻³ have room on the axis.
            most_between: how many ticks there are without labels.
        """
        powers, ruler = self._powers(most), self._ruler()
        coarse = [value for value, digit in ruler if digit in (0, 1, 2, 5)]
        if len(powers) < 4 and len(coarse) <= most:
            # The data span few decades: 1, 2 and 5 of each, or where that is little, equal distances.
            if len(coarse) >= 3:
                return _ordered(_decimals(coarse), [value for value, _ in ruler])
            some = (_decimals(_round_numbers(*self.limits, min(most, number))) for number in (6, 4, 3, 2))
            fitting = (
                texts for texts in some if len(texts) * max(map(len, texts.values()), default=0) <= _POWER * most
            )
            texts = next(fitting, {}) or _decimals(_round_numbers(*self.limits, 3))
            return _ordered(texts, _round_numbers(*self.limits, 30))
        texts = {value: "0" if value == 0 else _multiple(value) for value in powers}
        low, high = self.place(self.limits)
        room, between = float(high - low) / most, log10(2)
        innermost = min((abs(value) for value in powers if value), default=np.inf)
        is_each = len(powers) - 1 >= len([1 for _, digit in ruler if digit == 1]) - 2  # but those next to zero
        if is_each and between >= _DIGIT * room:
            inner = [(value, digit) for value, digit in ruler if digit in (2, 5) and abs(value) > innermost]
            texts |= {value: _multiple(value, digit) if between >= room else str(digit) for value, digit in inner}
        every = [value for value, _ in ruler], coarse, [value for value, digit in ruler if digit == 1]
        return _ordered(texts, next((ticks for ticks in every if len(ticks) <= min(most_between, 7 * most)), []))

    def _powers(self, most: int) -> list[float]:
        """About `most` powers of ten of both signs, and zero; fewer than 3 where the data span no decades."""
        low, high = self.limits
        longest = [floor(log10(max(end, self.threshold))) - self._exponent for end in (high, -low)]  # of each side
        stride = max(1, -(-(sum(longest) + 2) // most))
        # The outermost decades are labelled and the strides go inwards from the longer side, the same on both.
        decades = range(max(longest) % stride, max(longest) + 1, stride)
        # The innermost would run into the zero where it is closer to it than to its neighbour, unless there is room.
        room = min(0.6 * stride, float(np.ptp(self.place(self.limits))) / most)
        kept = [decade for decade in decades if LINEAR_DECADES + decade >= room]
        chosen = [
            s * 10.0 ** (self._exponent + d)
            for s, last in zip((1, -1), longest, strict=True)
            for d in kept
            if d <= last
        ]
        return sorted(tick for tick in [0.0, *chosen] if low <= tick <= high)

    def _ruler(self) -> list[tuple[float, int]]:
        """1 to 9 times the powers of ten from the threshold on, of both signs, with that digit; and zero."""
        low, high = self.limits
        top = floor(log10(max(abs(low), abs(high), self.threshold)))
        sizes = [(digit * 10.0**power, digit) for power in range(self._exponent, top + 1) for digit in range(1, 10)]
        marks = [*((-size, digit) for size, digit in reversed(sizes)), (0.0, 0), *sizes]
        return [(value, digit) for value, digit in marks if low <= value <= high]


def _ordered(texts: dict[float, str], minor: Sequence[float]) -> list[tuple[float, str]]:
    return sorted({**dict.fromkeys(minor, ""), **texts}.items())


def _decimals(values: Sequence[float]) -> dict[float, str]:
    return {value: f"{value:.6g}".replace("-", "−") for value in values}


def _multiple(value: float, digit: int = 1) -> str:
    power = power_of_ten(round(log10(abs(value) / digit)))
    return ("−" if value < 0 else "") + (f"{digit}·{power}" if digit > 1 else power)


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most` of them."""
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    distance = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(number * distance) for number in range(ceil(low / distance), floor(high / distance) + 1)]
