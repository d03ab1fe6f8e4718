"""Training steps: which of them to show, and what was measured at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def key_positions(count: int, most: int) -> list[int]:
    """Choose up to `most` positions in `range(count)`: the first, the last, and some equally spaced between."""
    return sorted({round(position) for position in np.linspace(0, count - 1, most).tolist()})


def metric_at(steps: Sequence[int], metrics: Mapping[str, Floats], name: str) -> Floats:
    """Read a column of `Run.metrics()` at some steps: shape (steps,), NaN where it was not measured."""
    if name not in metrics or "step" not in metrics:
        return np.full(len(steps), np.nan)
    known = {int(step): value for step, value in zip(metrics["step"], metrics[name], strict=True)}
    return np.array([known.get(step, np.nan) for step in steps])
