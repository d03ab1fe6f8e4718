"""The axes of a panel: what a coordinate means, and which ticks have labels.

Marks give their coordinates in the axis's own units: numbers, eigenvalues, or positions of training steps. Numbers on
axes are written here and in `eigenvalue_axis`, in plain text, so that they read the same on paper and on a screen.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import ArrayLike

from ..texts import shortened
from .eigenvalue_axis import Eigenvalues as Eigenvalues
from .eigenvalue_axis import Floats as Floats

_LONGEST, _LINES = 400, 8  # characters of a line, and lines, of a text of any origin
LONGEST_NAME = 50
"""Characters of a name on an axis or in a legend."""
EPSILON = "resolution ε (units of λ)"
_MOST_STEPS = 30


def key_positions(count: int, most: int) -> list[int]:
    """Choose up to `most` positions in `range(count)`: the last, the first, and some equally spaced between."""
    if most == 1:
        return [count - 1]
    return sorted({round(position) for position in np.linspace(0, count - 1, most).tolist()})


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most `width` characters; of a long one the beginning."""
    short = "\n".join(shortened(line, _LONGEST) for line in text.split("\n")[:_LINES])
    return "\n".join(part for line in short.split("\n") for part in textwrap.wrap(line, width) or [""])


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

    @classmethod
    def around(cls, values: Floats, errors: Floats, label: str) -> Linear:
        """Make the axis of numbers with errors; where one is infinite, with edges that its bar reaches."""
        if not np.isinf(errors).any():
            return cls(label)
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        margin = (high - low) or abs(high) or 1.0
        return cls(label, (low - margin, high + margin))


@dataclass(frozen=True)
class Log:
    """Positive numbers, a decade being as long as any other.

    Attributes:
        limits: both > 0.
        label: what the numbers are.
        is_free: as for `Eigenvalues`.
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


Axis = Linear | Log | Named | Steps | Eigenvalues
FREE = Linear()


def reach(axis: Axis, values: ArrayLike, errors: ArrayLike) -> tuple[Floats, Floats]:
    """The ends of error bars, value - error and value + error, as far as the axis goes: shape (n,) each."""
    values, errors = np.asarray(values, float), np.asarray(errors, float)
    low, high = (-np.inf, np.inf) if axis.limits is None else sorted(axis.limits)
    return np.minimum(values, np.maximum(values - errors, low)), np.maximum(values, np.minimum(values + errors, high))
