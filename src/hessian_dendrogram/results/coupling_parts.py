"""Couplings of groups from parts of their draws: few equal parts that are stored, and halves that are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import UserError
from .couplings import GroupCouplings
from .triangles import triangle_of

PARTS = 4
"""Into how many the draws are merged that a run stores: there are three ways to divide four into halves."""
_SINGLE = np.finfo(np.float32)


def merged(couplings: GroupCouplings, parts: int = PARTS) -> GroupCouplings:
    """The same from the means of so many equal parts of the draws, in single precision where that can hold them.

    Values and standard errors stay those of all draws. Exact couplings have one part.

    Raises:
        UserError: the number of draws is no multiple of the parts.
    """
    there, parts = len(couplings.parts), 1 if couplings.method == "exact" else parts
    if parts < 1 or there % parts:
        raise UserError(f"{there} draws cannot be merged into {parts} equal parts; take a multiple of {parts}")
    squared = couplings.squared
    means = squared.reshape(parts, there // parts, *squared.shape[1:]).mean(axis=1)
    arrays: dict[str, Any] = {
        "parts": triangle_of(np.sqrt(means)),
        "errors": couplings.errors,
        "roundings": couplings.roundings,
    }
    known = np.concatenate([one[np.isfinite(one) & (one > 0)] for one in arrays.values()])
    fits = known.min(initial=1.0) >= _SINGLE.tiny and known.max(initial=1.0) <= _SINGLE.max
    kind: Any = np.float32 if fits else np.float64
    return replace(couplings, **{name: array.astype(kind) for name, array in arrays.items()})


def halvings(couplings: GroupCouplings) -> list[tuple[GroupCouplings, GroupCouplings]]:
    """Ways to divide the draws into two halves: all three of four parts, else one; none of a single part.

    The draws of two halves are independent of each other, those of different ways are not.
    """
    if (there := len(couplings.parts)) != PARTS:
        return [couplings.halves()] if there > 1 else []
    pairs = [(0, other) for other in range(1, there)]
    return [(couplings.of_draws(one), couplings.of_draws({*range(there)} - {*one})) for one in pairs]
