"""The eigenvalues at one end of a spectrum."""

from __future__ import annotations

from ..results.spectrum import Spectrum


def end_slice(spectrum: Spectrum, end: str, most: int = 200) -> slice:
    """Where the values of one end ("top" or "bottom") stand; a complete spectrum has up to `most` of each."""
    count = len(spectrum.eigenvalues)
    number = min(most, spectrum.num_top if end == "top" else spectrum.num_bottom)
    return slice(count - number, count) if end == "top" else slice(0, number)
