"""What couplings of groups are made of squares by: roots, divided by own norms or not, and their standard errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def roots(squares: Floats, normalised: bool) -> Floats:
    """Couplings of their squares, shape (..., g, g); symmetric to the last bit."""
    if not normalised:
        return np.asarray(np.sqrt(squares))
    own = np.sqrt(np.diagonal(squares, axis1=-2, axis2=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, np.sqrt(squares) / np.sqrt(own[..., :, None] * own[..., None, :]), 0.0)


def jackknife(squared: Floats, *, is_exact: bool) -> Floats:
    """Standard errors of the couplings, as they are and normalised, from the squares of D draws: shape (2, g, g).

    NaN where there is one draw, or a group has no curvature of its own to divide by; 0 of exact ones.
    """
    count, shape = len(squared), (2, *squared.shape[1:])
    if is_exact or count < 2:
        return np.full(shape, 0.0 if is_exact else np.nan)
    total, spread, mean = squared.sum(axis=0), np.zeros(shape), np.zeros(shape)
    with np.errstate(invalid="ignore"):
        for number, one in enumerate(squared, 1):  # Welford: no draw is held a second time
            left = np.maximum(total - one, 0.0) / (count - 1)
            without = np.stack([roots(left, normalised) for normalised in (False, True)])
            change = without - mean
            mean = mean + change / number
            spread = spread + change * (without - mean)
        found = np.sqrt((count - 1) / count * spread)
    return np.where(np.isfinite(found), found, np.nan)
