"""Mean gap ratios as a view shows them: by segment and sign over training, and in windows along the spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UserError
from ..results.spectrum import Spectrum
from ..statistics.gap_ratio import GOE, INDEPENDENT_LEVELS, GapRatio, GapRatioWindow, gap_ratio, gap_ratio_along

REFERENCES = {
    "one GOE block": GOE,
    "2 equal blocks": 0.423,
    "3 equal blocks": 0.403,
    "independent levels": INDEPENDENT_LEVELS,
}
"""What r would be for random matrices."""
WINDOW = 200
"""Eigenvalues in a window, at least; r is then known to about 0.02."""
TOO_FEW = "too few eigenvalues have spacings well above their errors at these steps"

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
                if found := _known(spectrum, segment, window):
                    curves.setdefault(label, {})[position] = found
    return curves


def ratio_windows(spectrum: Spectrum) -> list[GapRatioWindow]:
    """Cut every segment that has enough eigenvalues into windows."""
    found: list[GapRatioWindow] = []
    for name, part in spectrum.segments().items():
        length = part.stop - part.start
        if length >= WINDOW:
            found += gap_ratio_along(spectrum, count=max(WINDOW, length // _MOST_WINDOWS), segment=name)
    return found


def _known(spectrum: Spectrum, segment: str, window: tuple[float, float]) -> GapRatio | None:
    """Compute r, or nothing where too few ratios are resolved."""
    try:
        return gap_ratio(spectrum, segment=segment, window=window)
    except UserError:
        return None
