"""The colour scale of pictures of |H|."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_DECADES = 6.0  # below the largest mean; what is less is drawn as that


def picture_limits(pictures: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Choose the smallest and the largest block mean to tell apart, both > 0 unless every picture is zero."""
    largest = max(float(picture.max()) for picture in pictures)
    smallest = max(
        min((float(picture[picture > 0].min()) for picture in pictures if picture.any()), default=1e-300),
        largest * 10**-_DECADES,
    )
    return min(smallest, largest / 10), largest
