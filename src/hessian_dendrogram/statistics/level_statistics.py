"""Mean gap ratios of several spectra: over training for each segment and sign, and in windows along a spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from ..errors import UserError
from ..results.spectrum import Spectrum
from .gap_ratio import GOE, INDEPENDENT_LEVELS, GapRatio, GapRatioWindow, gap_ratio, gap_ratio_along

REFERENCES = {"GOE": GOE, "2 blocks": 0.423, "3 blocks": 0.403, "independent": INDEPENDENT_LEVELS}
"""What r would be for random matrices."""
WINDOW = 200
"""Eigenvalues in a window, at least; r is then known to about 0.02."""
_EVERYWHERE = (-np.inf, np.inf)
# The curves of each kind of segment, and the eigenvalues that they are about.
_CURVES = {
    "all": {"all resolved": _EVERYWHERE, "negative": (-np.inf, 0.0), "positive": (0.0, np.inf)},
    "bottom": {"smallest": _EVERYWHERE},
    "top": {"largest": _EVERYWHERE},
}
_MOST_WINDOWS = 12  # of each step


def ratio_curves(spectra: Sequence[Spectrum]) -> dict[str, dict[int, GapRatio]]:
    """Compute r by kind of eigenvalue and by position in `spectra`; absent where fewer than 20 ratios are resolved."""
    curves: dict[str, dict[int, GapRatio]] = {}
    for position, spectrum in enumerate(spectra):
        for segment in spectrum.segments():
            for label, window in _CURVES[segment].items():
                with suppress(UserError):  # too few ratios are resolved
                    curves.setdefault(label, {})[position] = gap_ratio(spectrum, segment=segment, window=window)
    return curves


def ratio_windows(spectrum: Spectrum) -> list[GapRatioWindow]:
    """Cut every segment that has enough eigenvalues into windows."""
    found: list[GapRatioWindow] = []
    for name, part in spectrum.segments().items():
        length = part.stop - part.start
        if length >= WINDOW:
            found += gap_ratio_along(spectrum, count=max(WINDOW, length // _MOST_WINDOWS), segment=name)
    return found
