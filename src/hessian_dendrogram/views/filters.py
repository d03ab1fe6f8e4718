"""Filters of a convolution as one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout


def first_convolution(layout: Layout) -> str | None:
    """Find the name of the first parameter with four dimensions."""
    shapes = zip(layout.names, layout.shapes, strict=True)
    return next((name for name, shape in shapes if len(shape) == 4 and all(shape)), None)


def mosaic(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lay images, shape (rows, columns, height, width), out in one, with one missing pixel between neighbours."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    rows, columns, height, width = padded.shape
    return padded.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)[:-1, :-1]
