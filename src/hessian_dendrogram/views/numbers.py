"""The numbers of `summarise` over training, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..results.spectrum import Spectrum
from ..statistics.summary import summarise


def summary_columns(spectra: Sequence[Spectrum]) -> dict[str, NDArray[np.float64]]:
    """Arrange the fields of `SpectrumSummary` as arrays over the steps; NaN for None."""
    rows = [vars(summarise(spectrum)) for spectrum in spectra]
    return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
