"""What couplings of groups must be like: names, shapes and counts that do not contradict each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Floats = NDArray[np.float64]


def confirm_names(names: Any) -> None:
    """Refuse what are no names of groups.

    Raises:
        UserError: they are no list of texts that are all different.
    """
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise UserError(f"couplings need a list of the names of their groups, got {names!r:.60}")
    if len({*names}) < len(names):
        raise UserError("couplings need names of groups that are all different")


def confirm_own(names: list[str], squares: Floats) -> None:
    """Refuse to divide by nothing.

    Raises:
        UserError: a group without any curvature of its own is coupled to another.
    """
    wrong = np.argwhere((squares > 0) & (np.diagonal(squares) == 0)[:, None])
    if len(wrong):
        one, other = (names[at] for at in wrong[0].tolist())
        raise UserError(
            f"group {one!r} has no curvature of its own and is coupled to {other!r}, so it has no normalised "
            "couplings; take them as they are"
        )


def confirm_shapes(g: int, sizes: NDArray[Any], errors: Floats, roundings: Floats, parts: Floats) -> None:
    """Refuse arrays that are not those of g groups, and errors that are none.

    Raises:
        UserError: that is so.
    """
    pairs = g * (g + 1) // 2
    if (sizes.shape, errors.shape, roundings.shape, parts.shape[1:]) != ((g,), (2, pairs), (pairs,), (pairs,)):
        raise UserError(
            f"couplings of {g} groups need sizes of shape ({g},), errors (2, {pairs}), roundings ({pairs},) and parts "
            f"(parts, {pairs}), got {sizes.shape}, {errors.shape}, {roundings.shape} and {parts.shape}"
        )
    if (errors < 0).any() or np.isinf(errors).any():
        raise UserError("errors of couplings must be finite and not negative, or NaN where not known")


def confirm_counts(counts: Mapping[str, tuple[Any, int]]) -> None:
    """Refuse what is no whole number, or too small a one, each by its name with the smallest it may be.

    Raises:
        UserError: that is so.
    """
    for name, (value, least) in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UserError(f"{name} of couplings must be a whole number of at least {least}, got {value!r:.60}")


def confirm_squares(squared: Floats, rounding: Floats) -> None:
    """Refuse squares that are not symmetric, or not of the same groups as their rounding.

    Raises:
        UserError: that is so.
    """
    if squared.ndim != 3 or not squared.shape[1] == squared.shape[2] == len(rounding) == rounding.shape[-1]:
        raise UserError(
            f"squared couplings need shape (draws, g, g) and their rounding (g, g), got {squared.shape} and "
            f"{rounding.shape}"
        )
    if not np.array_equal(squared, squared.transpose(0, 2, 1)):
        raise UserError("squared couplings must be symmetric")
