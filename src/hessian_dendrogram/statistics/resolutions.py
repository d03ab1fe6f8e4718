"""Resolutions ε at which an eigenvalue dendrogram shows its structure, in units of the eigenvalues."""

from __future__ import annotations

import numpy as np

from .dendrogram import Dendrogram

_OPEN_GAPS = 6  # that the first ε leaves open


def floor_of(dendrogram: Dendrogram) -> float:
    """Return the lowest ε at which structure may be shown, > 0 and finite, as a logarithmic axis needs.

    That is the dendrogram's resolution. Without any error it is half the smallest positive gap, or without any gap
    either the distance of neighbouring float64 numbers at the largest eigenvalue (at least at 1). Where an error bound
    is infinite it is above every gap.
    """
    values, positive = dendrogram.eigenvalues, dendrogram.gap_sizes[dendrogram.gap_sizes > 0]
    if np.isinf(dendrogram.resolution):
        return 10 * float(values[-1] - values[0]) or 1.0
    if dendrogram.resolution > 0:
        return dendrogram.resolution
    if positive.size:
        return float(positive.min()) / 2
    return float(np.spacing(max(1.0, float(np.abs(values).max()))))


def first_epsilon(dendrogram: Dendrogram) -> float:
    """An ε that leaves the six largest gaps open, three digits of it; with ties as few more or less as possible."""
    sizes = dendrogram.gaps(_OPEN_GAPS + 1).sizes.tolist()
    if len(sizes) <= _OPEN_GAPS or sizes[-2] == 0:
        return floor_of(dendrogram)
    opened, closed = sizes[-2:]
    middle = float(f"{(opened * closed) ** 0.5 or opened / 2:.3g}")
    return middle if closed <= middle < opened else closed or floor_of(dendrogram)
