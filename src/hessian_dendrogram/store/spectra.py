"""What commands do with a stored spectrum: say it in numbers and words, make it small, compare it with a layout."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.spectrum import Spectrum
from ..statistics.dendrogram import single_linkage
from ..statistics.summary import summarise

_UNIT = 1e-4  # how far a vector may be from unit length
_UNIT_OF_HALF = 1e-2  # the same, stored as float16
_WHOLE = 1e-2  # how far from 1 the shares of a vector may add up


def spectrum_facts(spectrum: Spectrum) -> dict[str, Any]:
    """A spectrum's summary, and the largest gap of each segment."""
    row: dict[str, Any] = {"dim": spectrum.dim, "eigenvalues": len(spectrum.eigenvalues), **asdict(summarise(spectrum))}
    row["provenance"] = dict(spectrum.provenance)
    row["converged"] = int(spectrum.converged.sum())
    for segment in spectrum.segments():
        gaps = single_linkage(spectrum, segment).gaps(1)
        if len(gaps.sizes):
            row[f"largest_gap_{segment}"] = {
                "size": float(gaps.sizes[0]),
                "error": float(gaps.errors[0]),
                "resolved": bool(gaps.resolved[0]),
                "eigenvalues_above": int(gaps.num_above[0]),
                "eigenvalues_below": int(gaps.lower_indices[0]) + 1,
            }
    return row


def describe(row: dict[str, Any]) -> str:
    """`spectrum_facts` in words."""
    parts = [f"{label} {text}" for label, text in _ends(row).items()]
    if row["num_negative"] is not None:
        parts.append(f"{row['num_negative']} negative ({row['num_unresolved_sign']} of unresolved sign)")
    parts += [f"largest gap {_place(segment, _size(gap), gap)}" for segment, gap in _largest_gaps(row).items()]
    return ", ".join(parts)


def spectrum_cells(row: dict[str, Any]) -> dict[str, str]:
    """`spectrum_facts` as cells of a table; one that a partial spectrum cannot fill is missing."""
    cells = _ends(row)
    if row["num_negative"] is not None:
        cells["negative"], cells["unresolved sign"] = f"{row['num_negative']:,}", f"{row['num_unresolved_sign']:,}"
    if row["converged"] < row["eigenvalues"]:
        cells["not converged"] = f"{row['eigenvalues'] - row['converged']:,}"
    for segment, gap in _largest_gaps(row).items():
        if segment == "all":
            cells["largest gap"] = _place(segment, _size(gap), gap)
        else:
            above, below = gap["eigenvalues_above"], gap["eigenvalues_below"]
            cells[f"largest {segment} gap"] = f"{_size(gap)} (lowest {below} | highest {above})"
    return cells


def _ends(row: dict[str, Any]) -> dict[str, str]:
    """The extreme eigenvalues and the trace with their errors, those that are known."""
    return {
        label: f"{row[key]:.6g} ± {row[f'{key}_error']:.1g}"
        for label, key in (("λ_max", "largest"), ("λ_min", "smallest"), ("trace", "trace"))
        if row[key] is not None
    }


def _largest_gaps(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The largest gap of each segment that has one."""
    start = "largest_gap_"
    return {key.removeprefix(start): gap for key, gap in row.items() if key.startswith(start)}


def _size(gap: dict[str, Any]) -> str:
    return f"{gap['size']:.4g} ± {gap['error']:.1g}" if gap["resolved"] else "unresolved"


def _place(segment: str, size: str, gap: dict[str, Any]) -> str:
    """Where a gap is; in a segment of a partial spectrum "top" and "bottom" would be taken for those of the whole."""
    above, below = gap["eigenvalues_above"], gap["eigenvalues_below"]
    if segment == "all":
        return f"{size} below the top {above}" if above <= below else f"{size} above the bottom {below}"
    return f"of the {segment} segment {size} between its lowest {below} and its highest {above}"


def with_shares(spectrum: Spectrum, layout: Layout) -> Spectrum:
    """The same with the shares of its eigenvectors, where it has none yet."""
    if spectrum.shares is not None:
        return spectrum
    groups = layout.part_shares(spectrum.eigenvectors) if layout.groups else None
    shares = layout.shares(spectrum.eigenvectors)
    return replace(spectrum, share_indices=spectrum.vector_indices, shares=shares, group_shares=groups)


def compacted(spectrum: Spectrum, layout: Layout, count: int) -> tuple[Spectrum, dict[str, type[np.floating]]]:
    """The same with the eigenvectors of few, the largest values, to be stored as float16; and the shares of all."""
    spectrum = with_shares(spectrum, layout)
    magnitudes = np.abs(spectrum.eigenvalues[spectrum.vector_indices])
    kept = np.sort(np.argsort(-magnitudes, kind="stable")[:count])
    small = replace(
        spectrum,
        eigenvectors=spectrum.eigenvectors[:, kept],
        vector_indices=spectrum.vector_indices[kept],
        provenance={**spectrum.provenance, "stored_vectors": "float16"},
    )
    return small, {"eigenvectors": np.float16}


def check_spectrum(spectrum: Spectrum, layout: Layout) -> None:
    """Refuse vectors that have no unit length, and shares that do not add up or are of other tensors.

    Raises:
        UserError: that is so.
    """
    for name in ("vector_indices", "share_indices"):
        indices = getattr(spectrum, name)
        if indices is None or not len(indices):
            continue
        if (np.diff(indices) <= 0).any() or indices[-1] >= len(spectrum.eigenvalues):
            raise UserError(f"the numbers of {name} do not ascend, or are none of eigenvalues")
    lengths = np.sqrt(np.einsum("ij,ij->j", spectrum.eigenvectors, spectrum.eigenvectors))
    slack = _UNIT_OF_HALF if spectrum.provenance.get("stored_vectors") == "float16" else _UNIT
    if (np.abs(lengths - 1) > slack).any():
        worst = lengths[np.abs(lengths - 1).argmax()]
        raise UserError(f"the columns of eigenvectors should have unit length, and one has {worst:.4g}")
    if spectrum.shares is not None and (spectrum.group_shares is None) == bool(layout.groups):
        raise UserError("there are group_shares where there are groups, and nowhere else")
    for name, parts in (("shares", layout.names), ("group_shares", layout.parts)):
        shares = getattr(spectrum, name)
        if shares is None or spectrum.share_indices is None:
            continue
        if shares.shape != (len(parts), len(spectrum.share_indices)):
            raise UserError(f"{name} of shape {shares.shape} for {len(spectrum.share_indices)} vectors")
        if (np.abs(shares.sum(axis=0) - 1) > _WHOLE).any():
            raise UserError(f"the {name} of a vector should add up to 1")
