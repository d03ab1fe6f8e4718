"""Rows of tables that are made from one spectrum: its eigenvalues, its gaps, its clusters, the shares of its vectors.

Rank k is the k-th largest eigenvalue of the matrix, counted from 1; rows begin with the largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layout import Layout
from ..results.spectrum import Spectrum
from ..results.table import Column
from ..statistics.dendrogram import Dendrogram, single_linkage

Columns = dict[str, Any]

_SEGMENT = Column("text", "all, bottom or top: which run of eigenvalues, among which none is missing, the row is of")
EIGENVALUES = {
    "rank": Column("whole", "1 for the largest eigenvalue of the matrix; not known outside of a segment"),
    "index": Column("whole", "number of the eigenvalue among those stored, from 0 at the smallest"),
    "segment": Column("text", "all, bottom or top; outside where a value, or one nearer to its end, did not converge"),
    "eigenvalue": Column("number", "in units of the matrix: of a Hessian, loss per squared unit of a parameter"),
    "error_bound": Column("number", "some eigenvalue is within this of the value; inf where nothing is known"),
    "converged": Column("flag", "whether the solver reached its tolerance"),
    "sign_resolved": Column("flag", "whether the magnitude is larger than the error bound"),
}
GAPS = {
    "segment": _SEGMENT,
    "rank": Column("whole", "rank of the eigenvalue above the gap; the one below has the next"),
    "lower": Column("number", "eigenvalue below the gap"),
    "upper": Column("number", "eigenvalue above the gap"),
    "size": Column("number", "upper - lower, in units of the eigenvalues"),
    "error": Column("number", "sum of the error bounds of both ends"),
    "resolved": Column("flag", "whether the size is larger than the error; if not, it may be none"),
}
CLUSTERS = {
    "segment": _SEGMENT,
    "epsilon": Column("number", "resolution: neighbours at most this apart are in one cluster; units of eigenvalues"),
    "cluster": Column("whole", "number of the cluster in its segment, from 1 at the smallest eigenvalues"),
    "size": Column("whole", "number of its eigenvalues"),
    "first_rank": Column("whole", "rank of its largest eigenvalue"),
    "last_rank": Column("whole", "rank of its smallest eigenvalue"),
    "lowest": Column("number", "its smallest eigenvalue"),
    "highest": Column("number", "its largest eigenvalue"),
    "error_bound": Column("number", "the largest error bound of its eigenvalues"),
    "gap_below": Column("number", "gap to the next eigenvalue below; not known beside a hole, none at the end"),
    "gap_below_error": Column("number", "error of that gap"),
    "gap_above": Column("number", "gap to the next eigenvalue above; not known beside a hole, none at the end"),
    "gap_above_error": Column("number", "error of that gap"),
    "beside_hole": Column("flag", "whether it adjoins eigenvalues that are not known, which may belong to it"),
    "resolved": Column("flag", "whether no error of a gap in it or beside it can change it, and no hole is beside it"),
}
SHARES = {
    "rank": EIGENVALUES["rank"],
    "index": EIGENVALUES["index"],
    "eigenvalue": EIGENVALUES["eigenvalue"],
    "by": Column("text", "tensor or group: what the parameters are divided into; the shares of each add up to 1"),
    "part": Column("whole", "number of the tensor or group, from 0"),
    "name": Column("text", "name of the tensor or group"),
    "share": Column("number", "sum of the squared entries of the unit eigenvector in this part, 0 to 1"),
    "chance": Column("number", "expected share of a random direction: parameters of the part / all parameters"),
}


def ranks(spectrum: Spectrum) -> NDArray[np.float64]:
    """The rank of each eigenvalue, NaN outside of the segments: shape (k,)."""
    count, found = len(spectrum.eigenvalues), np.full(len(spectrum.eigenvalues), np.nan)
    for name, part in spectrum.segments().items():
        found[part] = (count if name == "top" else spectrum.dim) - np.arange(count)[part]
    return found


def eigenvalue_rows(spectrum: Spectrum) -> Columns:
    """Every stored eigenvalue."""
    segments = np.full(len(spectrum.eigenvalues), "outside", dtype=object)
    for name, part in spectrum.segments().items():
        segments[part] = name
    rows = {
        "rank": ranks(spectrum),
        "index": np.arange(len(segments)),
        "segment": segments,
        "eigenvalue": spectrum.eigenvalues,
        "error_bound": spectrum.error_bounds,
        "converged": spectrum.converged,
        "sign_resolved": np.abs(spectrum.eigenvalues) > spectrum.error_bounds,
    }
    return _largest_first(rows)


def gap_rows(spectrum: Spectrum) -> list[Columns]:
    """Every gap of every segment; the hole of a partial spectrum is none."""
    found, known = [], ranks(spectrum)
    for name, part in _segments(spectrum):
        tree = single_linkage(spectrum, name)
        if len(tree.gap_sizes):
            rows = {
                "segment": np.full(len(tree.gap_sizes), name, dtype=object),
                "rank": known[part][1:],
                "lower": tree.eigenvalues[:-1],
                "upper": tree.eigenvalues[1:],
                "size": tree.gap_sizes,
                "error": tree.gap_errors,
                "resolved": tree.gap_sizes > tree.gap_errors,
            }
            found.append(_largest_first(rows))
    return found


def cluster_rows(spectrum: Spectrum, epsilon: Mapping[str, float]) -> list[Columns]:
    """The clusters of every segment at its resolution."""
    found, known = [], ranks(spectrum)
    for name, part in _segments(spectrum):
        tree = single_linkage(spectrum, name)
        rows = _clusters(tree, epsilon[name], known[part])
        found.append({"segment": name, "epsilon": epsilon[name], **_largest_first(rows)})
    return found


def _clusters(tree: Dendrogram, epsilon: float, known: NDArray[np.float64]) -> Columns:
    count = len(tree.eigenvalues)
    starts = np.flatnonzero(np.diff(tree.labels(epsilon), prepend=-1))
    stops = np.append(starts[1:], count)
    gaps, errors = (np.concatenate([[np.nan], one, [np.nan]]) for one in (tree.gap_sizes, tree.gap_errors))
    is_open, is_closed = tree.gap_sizes - tree.gap_errors > epsilon, tree.gap_sizes + tree.gap_errors <= epsilon
    unsure = np.concatenate([[tree.hole_below], ~(is_open | is_closed), [tree.hole_above]])
    before = np.concatenate([[0], np.cumsum(unsure)])  # how many boundaries below this one are not certain
    return {
        "cluster": np.arange(1, len(starts) + 1),
        "size": stops - starts,
        "first_rank": known[stops - 1],
        "last_rank": known[starts],
        "lowest": tree.eigenvalues[starts],
        "highest": tree.eigenvalues[stops - 1],
        "error_bound": np.maximum.reduceat(tree.error_bounds, starts),
        "gap_below": gaps[starts],
        "gap_below_error": errors[starts],
        "gap_above": gaps[stops],
        "gap_above_error": errors[stops],
        "beside_hole": (starts == 0) & tree.hole_below | (stops == count) & tree.hole_above,
        "resolved": before[stops + 1] == before[starts],
    }


def share_rows(spectrum: Spectrum, layout: Layout) -> list[Columns]:
    """The shares of every eigenvector that has some: in the tensors, and where there are groups in these."""
    assert spectrum.share_indices is not None
    assert spectrum.shares is not None
    divisions = [("tensor", layout.names, layout.owners(), spectrum.shares)]
    if spectrum.group_shares is not None:
        divisions.append(("group", layout.parts, layout.part_owners(), spectrum.group_shares))
    found, known = [], ranks(spectrum)
    for by, names, owners, shares in divisions:
        chance = np.bincount(owners, minlength=len(names)) / layout.size
        texts = np.empty(len(names), dtype=object)
        texts[:] = names
        for column, index in reversed([*enumerate(spectrum.share_indices.tolist())]):
            own = {"rank": known[index], "index": index, "eigenvalue": spectrum.eigenvalues[index], "by": by}
            parts = {"part": np.arange(len(names)), "name": texts}
            found.append({**own, **parts, "share": shares[:, column], "chance": chance})
    return found


def _segments(spectrum: Spectrum) -> list[tuple[str, slice]]:
    """The segments, that of the largest eigenvalues first."""
    return [*reversed(spectrum.segments().items())]


def _largest_first(rows: Columns) -> Columns:
    return {name: column[::-1] for name, column in rows.items()}
