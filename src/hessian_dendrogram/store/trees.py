"""What commands do with a tree that is stored: say it in numbers and words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..results.tree import BipartitionTree

_MOST_PARTS = 4  # of the first cut, in words


def tree_facts(tree: BipartitionTree) -> dict[str, Any]:
    """The numbers of a tree's first cut; `None` where nothing was cut."""
    first = {
        "eigenvalue": tree.eigenvalues[0],
        "connectivity": tree.connectivities[0],
        "conductance": tree.conductances[0],
    }
    return {
        "parameters": tree.size,
        "isolated": len(tree.isolated),
        "leaves": len(tree.leaves),
        "levels": int(tree.levels[0]),
        **{name: float(value) if np.isfinite(value) else None for name, value in first.items()},
        "parts": [int(tree.stops[child] - tree.starts[child]) for child in tree.children[0]],
        "degenerate_cuts": int(tree.is_degenerate.sum()),
    }


def describe_tree(row: dict[str, Any]) -> str:
    """`tree_facts` in words."""
    leaves = f"{row['isolated']} isolated, {row['leaves']} leaves on {row['levels']} levels"
    return ", ".join([leaves, *describe_cuts(row)])


def describe_cuts(row: dict[str, Any]) -> list[str]:
    """The first cut of `tree_facts` in words, where there is one, and how many cuts are arbitrary."""
    parts, cuts = [], row["degenerate_cuts"]
    if row["parts"]:
        parts.append(f"{'components' if row['eigenvalue'] == 0 else 'first cut'} {_sizes(row['parts'])}")
        parts += [f"λ₂ {row['connectivity']:.6g}", f"conductance {row['conductance']:.4g}"]
    if cuts:
        parts.append(f"{cuts} {'cut' if cuts == 1 else 'cuts'} arbitrary (degenerate)")
    return parts


def tree_cells(row: dict[str, Any]) -> dict[str, str]:
    """`tree_facts` as cells of a table; one that a tree without a cut cannot fill is missing."""
    cells = {name: f"{row[name]:,}" for name in ("isolated", "leaves", "levels")}
    if row["parts"]:
        cells["components" if row["eigenvalue"] == 0 else "first cut"] = _sizes(row["parts"])
        cells["λ₂"], cells["conductance"] = f"{row['connectivity']:.6g}", f"{row['conductance']:.4g}"
    if row["degenerate_cuts"]:
        cells["arbitrary cuts"] = f"{row['degenerate_cuts']:,}"
    return cells


def _sizes(parts: list[int]) -> str:
    """The sizes of parts; of many the first."""
    more = f" and {len(parts) - _MOST_PARTS:,} more" if len(parts) > _MOST_PARTS else ""
    return " | ".join(f"{size:,}" for size in parts[:_MOST_PARTS]) + more
