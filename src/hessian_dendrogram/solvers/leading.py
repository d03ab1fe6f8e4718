"""The leading eigenpairs of a spectrum, and how far their vectors may be turned towards those beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..results.directions import ARBITRARY, turn
from ..results.spectrum import Spectrum

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Leading:
    """Leading eigenpairs, the largest first.

    Attributes:
        values: shape (m,).
        bounds: of their errors, shape (m,).
        vectors: shape (n, m).
        turns: sines of the angles by which vectors may be turned towards their neighbours, shape (m,).
        is_cut: whether the last vector cannot be told apart from the next, which is not here.
    """

    values: Floats
    bounds: Floats
    vectors: Floats
    turns: Floats
    is_cut: bool


def leading(spectrum: Spectrum, top: int) -> Leading:
    """The leading `top` pairs, or as many as converged without one missing.

    The pair below the last one decides whether that can be told apart from it; where it is not known, it cannot.
    """
    part = next((part for name, part in spectrum.segments().items() if name in ("top", "all")), slice(0, 0))
    numbers = np.arange(len(spectrum.eigenvalues))[part][::-1]
    values, bounds = spectrum.eigenvalues[numbers[: top + 1]], spectrum.error_bounds[numbers[: top + 1]]
    count = min(top, len(numbers))
    columns = {number: column for column, number in enumerate(spectrum.vector_indices.tolist())}
    vectors = spectrum.eigenvectors[:, [columns[number] for number in numbers[:count].tolist()]]
    turns = np.zeros(len(values) + 1)
    for i in range(len(values) - 1):
        above, below = turn(values, bounds, i, i + 1)
        turns[i], turns[i + 1] = max(turns[i], above), below
    is_cut = False
    if count and len(values) > count:
        is_cut = bool(turn(values, bounds, count - 1, count).max() > ARBITRARY)
    elif count and count < spectrum.dim:
        turns[count - 1], is_cut = 1.0, True
    return Leading(values[:count], bounds[:count], vectors, turns[:count], is_cut)
