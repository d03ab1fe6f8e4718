"""What commands do with a tree that is stored: say it in numbers and words."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..results.tree import BipartitionTree

_MOST_PARTS = 4  # of the first cut, in a table


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
    parts = [f"{row['isolated']} isolated", f"{row['leaves']} leaves on {row['levels']} levels"]
    if row["parts"]:
        kind = "components" if row["eigenvalue"] == 0 else "first cut"
        parts.append(f"{kind} {' | '.join(f'{size:,}' for size in row['parts'])}")
        parts.append(f"λ₂ {row['connectivity']:.6g}")
        parts.append(f"conductance {row['conductance']:.4g}")
    if row["degenerate_cuts"]:
        parts.append(
            f"{row['degenerate_cuts']} {'cut' if row['degenerate_cuts'] == 1 else 'cuts'} arbitrary (degenerate)"
        )
    return ", ".join(parts)


def tree_cells(row: dict[str, Any]) -> dict[str, str]:
    """`tree_facts` as cells of a table; one that a tree without a cut cannot fill is missing."""
    cells = {name: f"{row[name]:,}" for name in ("isolated", "leaves", "levels")}
    if row["parts"]:
        parts = " | ".join(f"{size:,}" for size in row["parts"][:_MOST_PARTS])
        more = f" and {len(row['parts']) - _MOST_PARTS:,} more" if len(row["parts"]) > _MOST_PARTS else ""
        cells["components" if row["eigenvalue"] == 0 else "first cut"] = parts + more
        cells["λ₂"], cells["conductance"] = f"{row['connectivity']:.6g}", f"{row['conductance']:.4g}"
    if row["degenerate_cuts"]:
        cells["arbitrary cuts"] = f"{row['degenerate_cuts']:,}"
    return cells
