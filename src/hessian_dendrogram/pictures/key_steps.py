"""Training steps: which of them to show."""

from __future__ import annotations

import numpy as np


def key_positions(count: int, most: int) -> list[int]:
    """Choose up to `most` positions in `range(count)`: the last, the first, and some equally spaced between."""
    if most == 1:
        return [count - 1]
    return sorted({round(position) for position in np.linspace(0, count - 1, most).tolist()})
