"""What the numbers of a tree must be like: those of its nodes, and the agreement of trees from halves of the draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Floats = NDArray[np.float64]

AGREEMENT_AT = range(2, 21)
"""Numbers of clusters at which trees from halves of the draws are compared."""
_ROUNDING = 1e-6  # relative to the largest of a tree's numbers


def confirm_numbers(
    is_inner: NDArray[np.bool_], eigenvalues: Floats, connectivities: Floats, conductances: Floats
) -> None:
    """Refuse numbers that no nodes could have, of which some are divided.

    Raises:
        UserError: that is so.
    """
    columns = {"eigenvalues": eigenvalues, "connectivities": connectivities, "conductances": conductances}
    for name, column in columns.items():
        inner = column[is_inner]
        is_right = np.isfinite(inner).all() and inner.min(initial=0) >= -_ROUNDING * inner.max(initial=0)
        if not (is_right and np.isnan(column[~is_inner]).all()):
            raise UserError(f"{name} must be finite and not negative for nodes that are divided, NaN for leaves")
    if (conductances[is_inner] > 1 + _ROUNDING).any():
        raise UserError(f"a conductance is at most 1, got {np.nanmax(conductances):.6g}")


def confirm_agreement(rows: Any) -> None:
    """Refuse what are no indices of agreement."""
    if rows is None:
        return
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        raise UserError(f"the agreement of halves is lists of numbers, got {rows!r:.60}")
    for value in [one for row in rows for one in row]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and -1 <= value <= 1 + _ROUNDING):
            raise UserError(f"the agreement of halves is a number from -1 to 1, or none, got {value!r:.60}")
    if any(len(row) != len(AGREEMENT_AT) for row in rows):
        raise UserError(f"the agreement of halves has {len(AGREEMENT_AT)} numbers in a row, got {[*map(len, rows)]}")


def confirm_picture(picture: NDArray[np.float32] | None, size: int) -> None:
    """Refuse a picture that is no square of at most so many blocks in a row.

    Raises:
        UserError: that is so.
    """
    if picture is not None and not (picture.shape[0] == picture.shape[1] and 0 < picture.shape[0] <= size):
        raise UserError(f"a picture has as many rows as columns, at most {size}, got {picture.shape}")
