"""Sets of indices as few regular runs of them: what a slice of a tensor selects of the flat vector is one or a few.

A run is `(start, length, stride, count)`: the indices start + i·stride + j for i < count and j < length.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import UserError

Runs: TypeAlias = tuple[tuple[int, int, int, int], ...]


def runs_of(indices: NDArray[np.int64]) -> Runs:
    """The runs of some indices, which ascend: shape (k,)."""
    starts = indices[np.flatnonzero(np.diff(indices, prepend=-2) != 1)] if len(indices) else indices
    ends = indices[np.flatnonzero(np.diff(indices, append=np.iinfo(np.int64).max) != 1)] if len(indices) else indices
    lengths, starts_at = (ends - starts + 1).tolist(), starts.tolist()
    runs, first = [], 0
    while first < len(starts_at):
        last = first
        stride = starts_at[first + 1] - starts_at[first] if first + 1 < len(starts_at) else 0
        while (
            last + 1 < len(starts_at)
            and starts_at[last + 1] - starts_at[last] == stride
            and lengths[last + 1] == lengths[first]
        ):
            last += 1
        runs.append((starts_at[first], lengths[first], stride if last > first else 0, last - first + 1))
        first = last + 1
    return tuple(runs)


def indices_of(runs: Runs, size: int) -> NDArray[np.int64]:
    """The indices of some runs, ascending.

    Raises:
        UserError: they are not within a vector of `size`, or are there twice.
    """
    if any(min(run) < 0 or run[1] < 1 or run[3] < 1 or run[0] + run[1] + run[2] * (run[3] - 1) > size for run in runs):
        raise UserError(f"a group has indices outside 0 to {size - 1}")
    if sum(length * count for _, length, _, count in runs) > size:
        raise UserError("a group has more indices than there are parameters")
    found = [(run[0] + run[2] * np.arange(run[3])[:, None] + np.arange(run[1])).ravel() for run in runs]
    indices = np.sort(np.concatenate(found)) if found else np.empty(0, np.int64)
    if (np.diff(indices) == 0).any():
        raise UserError("a group has an index twice")
    return indices
