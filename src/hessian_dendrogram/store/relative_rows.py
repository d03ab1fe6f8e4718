"""Rows of the table of relative gaps: logarithms of the ratios of neighbouring positive eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..results.spectrum import Spectrum
from ..results.table import Column
from ..statistics.measured import UnitName
from ..statistics.relative_resolution import log_linkage, unit_of
from .spectrum_rows import GAPS, ranks

LOG_GAPS = {
    **{name: GAPS[name] for name in ("segment", "rank", "lower", "upper")},
    "size": Column("number", "log(upper / lower), a pure number; of positive eigenvalues alone"),
    "error": Column("number", "sum of the error bounds of both logarithms"),
    "resolved": Column("flag", "whether the size is larger than the error; if not, it may be none"),
    "over_largest": Column("number", "(upper - lower) / largest eigenvalue; not known where that is not"),
    "over_trace": Column("number", "(upper - lower) / trace; not known where the trace is not, or is not positive"),
}


def log_gap_rows(spectrum: Spectrum) -> list[dict[str, Any]]:
    """Every gap between positive eigenvalues of each segment, the largest eigenvalues first."""
    found, known = [], ranks(spectrum)
    for name, part in reversed(spectrum.segments().items()):
        try:
            tree = log_linkage(spectrum, name)
        except UserError:  # none is positive
            continue
        kept = np.arange(len(spectrum.eigenvalues))[part][-len(tree.eigenvalues) :]
        values = spectrum.eigenvalues[kept]
        if len(values) < 2:
            continue
        rows = {
            "rank": known[kept][1:],
            "lower": values[:-1],
            "upper": values[1:],
            "size": tree.gap_sizes,
            "error": tree.gap_errors,
            "resolved": tree.gap_sizes > tree.gap_errors,
            "over_largest": np.diff(values) / _unit(spectrum, "largest"),
            "over_trace": np.diff(values) / _unit(spectrum, "trace"),
        }
        found.append({"segment": name, **{key: column[::-1] for key, column in rows.items()}})
    return found


def _unit(spectrum: Spectrum, name: UnitName) -> float:
    try:
        return unit_of(spectrum, name).value
    except UserError:
        return float("nan")
