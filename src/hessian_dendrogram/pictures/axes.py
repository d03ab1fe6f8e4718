"""The axes of a panel: what a coordinate means, and which ticks have labels.

Marks give their coordinates in the axis's own units: numbers, eigenvalues, or positions of training steps. Numbers on
axes are written here, in plain text, so that they read the same on paper and on a screen.

Longer than other files: every kind of axis chooses its ticks here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, log, log10

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..texts import shortened
from .eigenvalue_axis import EigenvalueAxis
from .key_steps import key_positions

Floats = NDArray[np.float64]
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LONGEST, _LINES = 400, 8  # characters of a line, and lines, of a text of any origin
LONGEST_NAME = 50
"""Characters of a name on an axis or in a legend."""
_POWER = 6  # characters of a label such as −10⁻³, with the space beside it
_DIGIT = 0.36  # of the room that a label takes, for a single digit beside a power of ten
_MOST_STEPS = 30


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most `width` characters; of a long one the beginning."""
    short = "\n".join(shortened(line, _LONGEST) for line in text.split("\n")[:_LINES])
    return "\n".join(part for line in short.split("\n") for part in textwrap.wrap(line, width) or [""])


def power_of_ten(exponent: int) -> str:
    """The power as text, such as 10⁻³."""
    return f"10{str(exponent).translate(_RAISED)}"


@dataclass(frozen=True)
class Linear:
    """Numbers.

    Attributes:
        label: what they are.
        limits: the first and the last; in descending order for an axis that runs the other way. Default from the marks.
        form: how they are written, as `format` takes it; `",d"` is for whole numbers and has no ticks between.
    """

    label: str = ""
    limits: tuple[float, float] | None = None
    form: str = ""


@dataclass(frozen=True)
class Log:
    """Positive numbers, a decade being as long as any other.

    Attributes:
        limits: both > 0.
        label: what the numbers are.
        is_free: the limits are those of the marks on a screen, where they may change without the loss of a zoom.
    """

    limits: tuple[float, float]
    label: str = ""
    is_free: bool = False

    @classmethod
    def around(cls, values: ArrayLike, label: str = "") -> Log:
        """Make the axis that holds all positive values of some, with room for whole marks at both of its ends."""
        found = np.asarray(values, float)
        found = found[np.isfinite(found) & (found > 0)]
        if not found.size:
            return cls((0.1, 10.0), label)
        low, high = float(found.min()), float(found.max())
        room = max(1.4, exp(0.06 * (log(high) - log(low))))
        return cls((max(low / room, 5e-324), min(high * room, 1e308)), label)


@dataclass(frozen=True)
class Named:
    """Places that have names, such as bars or rows of an image.

    Attributes:
        names: one for each place.
        places: where they stand; default 0, 1, 2 and so on.
        label: what they are.
        limits: as for `Linear`.
    """

    names: Sequence[str]
    places: Sequence[float] | None = None
    label: str = ""
    limits: tuple[float, float] | None = None


@dataclass(frozen=True)
class Steps:
    """Training steps at equal distances: the i-th analysed step stands at i, other steps in proportion between.

    Attributes:
        steps: the analysed training steps, ascending.
        first, last: the steps between which anything is shown; default all.
        label: what they are; "" where a panel below says it.
        unlabelled: without numbers, too, above a panel of the same steps.
    """

    steps: tuple[int, ...]
    first: int | None = None
    last: int | None = None
    label: str = "training step (analysed steps, equally spaced)"
    unlabelled: bool = False

    @classmethod
    def of(cls, steps: Sequence[int] | Steps) -> Steps:
        """An axis as it is, or that of all the steps."""
        return steps if isinstance(steps, Steps) else cls(tuple(steps))

    @property
    def limits(self) -> tuple[float, float]:
        """The first and the last position, with half a step around."""
        first = 0 if self.first is None else int(np.searchsorted(self.steps, self.first))
        last = len(self.steps) - 1 if self.last is None else int(np.searchsorted(self.steps, self.last, "right")) - 1
        return min(first, last) - 0.5, max(first, last) + 0.5

    def place(self, steps: ArrayLike) -> Floats:
        """Where any training steps stand; NaN beyond the analysed ones."""
        positions = np.arange(len(self.steps), dtype=float)
        return np.asarray(np.interp(np.asarray(steps, float), self.steps, positions, left=np.nan, right=np.nan))

    def ticks(self, most: int = _MOST_STEPS) -> list[tuple[float, str]]:
        """At most `most` positions with their steps, the first and the last among them."""
        low, high = self.limits
        shown = np.arange(int(low + 0.5), int(high + 0.5))
        stride = -(-len(shown) // most)
        chosen = shown[key_positions(len(shown), -(-len(shown) // stride))].tolist()
        return [(position, "" if self.unlabelled else f"{self.steps[position]:,}") for position in chosen]


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of both signs on a symmetric logarithmic axis.

    Attributes:
        axis: its linear part and its limits.
        name: what stands before the words on the linear part.
        remark: what stands after them.
        is_free: as for `Log`.
    """

    axis: EigenvalueAxis
    name: str = "eigenvalue λ"
    remark: str = ""
    is_free: bool = False

    @property
    def on_screen(self) -> Eigenvalues | Log:
        """A free axis with nothing near zero as a logarithmic one, whose ticks plotly chooses anew at every zoom."""
        if self.is_free and self.axis.low >= self.axis.threshold:
            return Log(self.limits, f"{self.name}{self.remark}", is_free=True)
        return self

    @property
    def label(self) -> str:
        """What the axis shows, with the width of its linear part."""
        return f"{self.name} (symlog, linear within ±{power_of_ten(self.axis.exponent)}){self.remark}"

    @property
    def limits(self) -> tuple[float, float]:
        """In units of the eigenvalues."""
        return self.axis.low, self.axis.high

    def place(self, values: ArrayLike) -> Floats:
        """Where eigenvalues stand, in decades from zero; NaN stays NaN."""
        return self.axis.to_axis(values) / self.axis.threshold

    def value_at(self, places: ArrayLike) -> Floats:
        """Invert `place`."""
        return self.axis.from_axis(np.asarray(places, float) * self.axis.threshold)

    def ticks(self, most: int, most_between: int = 150) -> list[tuple[float, str]]:
        """Places of ticks in units of the eigenvalues and their labels, "" for ticks between the labelled ones.

        Args:
            most: how many labels such as 10⁻³ have room on the axis.
            most_between: how many ticks there are without labels.
        """
        powers = self.axis.ticks(most)
        ruler = self._ruler()
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
        texts = {value: "0" if value == 0 else _signed_power(value) for value in powers}
        low, high = self.place(self.limits)
        room, between = float(high - low) / most, log10(2)
        innermost = min((abs(value) for value in powers if value), default=np.inf)
        is_each = len(powers) - 1 >= len([1 for _, digit in ruler if digit == 1]) - 2  # but those next to zero
        if is_each and between >= _DIGIT * room:
            inner = [(value, digit) for value, digit in ruler if digit in (2, 5) and abs(value) > innermost]
            texts |= {value: _multiple(value, digit) if between >= room else str(digit) for value, digit in inner}
        finest = [value for value, _ in ruler]
        powers_alone = [value for value, digit in ruler if digit == 1]
        minor = next(
            (ticks for ticks in (finest, coarse, powers_alone) if len(ticks) <= min(most_between, 7 * most)), []
        )
        return _ordered(texts, minor)

    def _ruler(self) -> list[tuple[float, int]]:
        """1 to 9 times the powers of ten from the threshold on, of both signs, with that digit; and zero."""
        low, high = self.limits
        top = floor(log10(max(abs(low), abs(high), self.axis.threshold)))
        sizes = [(digit * 10.0**power, digit) for power in range(self.axis.exponent, top + 1) for digit in range(1, 10)]
        marks = [*((-size, digit) for size, digit in reversed(sizes)), (0.0, 0), *sizes]
        return [(value, digit) for value, digit in marks if low <= value <= high]


Axis = Linear | Log | Named | Steps | Eigenvalues


def reach(axis: Axis, values: ArrayLike, errors: ArrayLike) -> tuple[Floats, Floats]:
    """The ends of error bars, value - error and value + error, as far as the axis goes: shape (n,) each."""
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    if axis.limits is None:
        return values - errors, values + errors
    edges = sorted(axis.limits)
    return np.minimum(values, np.maximum(values - errors, edges[0])), np.maximum(
        values, np.minimum(values + errors, edges[1])
    )


def _ordered(texts: dict[float, str], minor: Sequence[float]) -> list[tuple[float, str]]:
    return sorted({**dict.fromkeys(minor, ""), **texts}.items())


def _decimals(values: Sequence[float]) -> dict[float, str]:
    return {value: f"{value:.6g}".replace("-", "−") for value in values}


def _signed_power(value: float) -> str:
    return ("−" if value < 0 else "") + power_of_ten(round(log10(abs(value))))


def _multiple(value: float, digit: int) -> str:
    return f"{'−' if value < 0 else ''}{digit}·{power_of_ten(floor(log10(abs(value))))}"


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most `most` of them."""
    rough = (high - low) / most
    power = 10.0 ** floor(log10(rough))
    distance = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(number * distance) for number in range(ceil(low / distance), floor(high / distance) + 1)]
