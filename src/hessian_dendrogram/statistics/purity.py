"""Purities of directions against their nulls: a number of each direction, and of the leading ones together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..results.directions import Directions
from .nulls import holm, p_values

Floats = NDArray[np.float64]

_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True, eq=False)
class PurityTests:
    """p-values of each direction's purity, shape (m,); NaN for a direction without effect, or a null without draws.

    Attributes:
        rotation: against rotated bases of the unit effects.
        rotation_holm: the same, adjusted over the m directions.
        gaussian: against Gaussian directions of all parameters.
        gaussian_holm: the same, adjusted over the m directions.
    """

    rotation: Floats
    rotation_holm: Floats
    gaussian: Floats
    gaussian_holm: Floats


@dataclass(frozen=True, kw_only=True)
class MeanPurity:
    """The mean purity of some leading directions, and what rotations of their unit effects give.

    Attributes:
        count: of directions.
        purity: their mean purity.
        rotated: mean of the null.
        low, high: its 5 % and 95 % quantiles.
        p: p-value of the mean. A small p says that the basis is not one of chance, and not that the excess is large.
        gaussian: mean purity of Gaussian directions.
    """

    count: int
    purity: float
    rotated: float
    low: float
    high: float
    p: float
    gaussian: float

    @property
    def excess(self) -> float:
        """Mean purity above the mean of its null."""
        return self.purity - self.rotated


def purity_tests(directions: Directions) -> PurityTests:
    """The p-values of every direction's purity."""
    nothing = np.full(len(directions.eigenvalues), np.nan)
    rotated, gaussian = directions.rotation_purities, directions.gaussian_purities
    rotation = p_values(directions.purities, rotated) if len(rotated) else nothing
    others = p_values(directions.purities, gaussian) if len(gaussian) else nothing
    return PurityTests(rotation, holm(rotation), others, holm(others))


def mean_purity(directions: Directions, count: int | None = None) -> MeanPurity:
    """The mean purity of the leading directions against its null.

    Args:
        directions: with their nulls.
        count: one of `directions.counts`; default the largest, which is all.

    Raises:
        UserError: no null of so many is stored, or there is no direction.
    """
    counts = directions.counts
    if not counts or (count is not None and count not in counts):
        there = ", ".join(map(str, counts)) or "(none)"
        raise UserError(f"the mean purity of {count or 'all'} directions has no null; there is one of: {there}")
    count = counts[-1] if count is None else count
    null, purity = directions.rotation_means[:, counts.index(count)], directions.mean_purity(count)
    gaussian = directions.gaussian_purities
    return MeanPurity(
        count=count,
        purity=purity,
        rotated=float(null.mean()),
        low=float(np.quantile(null, _LOW)),
        high=float(np.quantile(null, _HIGH)),
        p=float(p_values(np.array([purity]), null)[0]),
        gaussian=float(gaussian.mean()) if len(gaussian) else float("nan"),
    )
