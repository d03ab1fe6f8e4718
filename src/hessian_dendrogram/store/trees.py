"""What commands do with a tree that is stored: say it in numbers and words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.tree import BipartitionTree
from ..results.tree_checks import AGREEMENT_AT

_MOST_PARTS = 4  # of the first cut, in words
_SAID = (2, 6, 20)  # numbers of clusters whose agreement is said


def tree_facts(tree: BipartitionTree) -> dict[str, Any]:
    """The numbers of a tree's first cut; `None` where nothing was cut."""
    first = {
        "eigenvalue": tree.eigenvalues[0],
        "connectivity": tree.connectivities[0],
        "conductance": tree.conductances[0],
    }
    return {
        tree.vertices: tree.size,
        "isolated": len(tree.isolated),
        "leaves": len(tree.leaves),
        "levels": int(tree.levels[0]),
        **{name: float(value) if np.isfinite(value) else None for name, value in first.items()},
        "parts": [int(tree.stops[child] - tree.starts[child]) for child in tree.children[0]],
        "degenerate_cuts": int(tree.is_degenerate.sum()),
        **({} if tree.agreement is None else {"agreement_of_halves": {k: tree.agreement_at(k) for k in AGREEMENT_AT}}),
    }


def describe_tree(row: dict[str, Any]) -> str:
    """`tree_facts` in words."""
    whole = [f"{row['groups']:,} groups"] if "groups" in row else []
    leaves = f"{row['isolated']} isolated, {row['leaves']} leaves on {row['levels']} levels"
    return ", ".join([*whole, leaves, *describe_cuts(row), *describe_agreement(row)])


def describe_cuts(row: dict[str, Any]) -> list[str]:
    """The first cut of `tree_facts` in words, where there is one, and how many cuts are arbitrary."""
    parts, cuts = [], row["degenerate_cuts"]
    if row["parts"]:
        parts.append(f"{'components' if row['eigenvalue'] == 0 else 'first cut'} {_sizes(row['parts'])}")
        parts += [f"λ₂ {row['connectivity']:.6g}", f"conductance {row['conductance']:.4g}"]
    if cuts:
        parts.append(f"{cuts} {'cut' if cuts == 1 else 'cuts'} arbitrary (degenerate)")
    return parts


def describe_agreement(row: dict[str, Any]) -> list[str]:
    """How far trees from halves of the draws agree, of `tree_facts`, in words; nothing where that is not known."""
    found = _agreements(row)
    return ["halves of the draws agree " + ", ".join(f"{value:.2f} at k = {k}" for k, value in found)] if found else []


def describe_error(tree: BipartitionTree) -> list[str]:
    """The standard error of a tree's couplings in words; nothing where they were not estimated."""
    known = tree.provenance
    draws, by, error = (known.get(name) for name in ("draws", "couplings_by", "median_relative_error"))
    if by == "exact" or not isinstance(draws, int):
        return []
    said = f"median standard error {error:.0%}" if isinstance(error, float) else "errors not known"
    return [f"{said}, {draws:,} draws"]


def tree_cells(row: dict[str, Any]) -> dict[str, str]:
    """`tree_facts` as cells of a table; one that a tree without a cut cannot fill is missing."""
    cells: dict[str, str] = {
        name: f"{row[name]:,}" for name in ("groups", "isolated", "leaves", "levels") if name in row
    }
    if row["parts"]:
        cells["components" if row["eigenvalue"] == 0 else "first cut"] = _sizes(row["parts"])
        cells["λ₂"], cells["conductance"] = f"{row['connectivity']:.6g}", f"{row['conductance']:.4g}"
    if found := _agreements(row):
        cells["agreement of halves"] = " | ".join(f"{k}: {value:.2f}" for k, value in found)
    if row["degenerate_cuts"]:
        cells["arbitrary cuts"] = f"{row['degenerate_cuts']:,}"
    return cells


def check_tree(result: BipartitionTree, layout: Layout) -> None:
    """Refuse a tree of groups whose groups are not what the layout of its analysis names, each as one thing."""
    if result.vertices == "groups" and (result.size != layout.size or any(layout.shapes)):
        raise UserError(f"a tree of {result.size} groups, where the analysis has {len(layout.names)} names")


def _agreements(row: dict[str, Any]) -> list[tuple[int, float]]:
    """The numbers of clusters at which it is said, and how far halves agree there, where that is known."""
    known = row.get("agreement_of_halves", {})
    return [(k, known[k]) for k in _SAID if known.get(k) is not None]


def _sizes(parts: list[int]) -> str:
    """The sizes of parts; of many the first."""
    more = f" and {len(parts) - _MOST_PARTS:,} more" if len(parts) > _MOST_PARTS else ""
    return " | ".join(f"{size:,}" for size in parts[:_MOST_PARTS]) + more
