"""What commands do with couplings of groups that are stored: say them in words, make them small, check them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.coupling_parts import merged
from ..results.couplings import EXACT, GroupCouplings


def describe_couplings(row: dict[str, Any]) -> str:
    """`GroupCouplings.facts` in words."""
    cells = coupling_cells(row)
    return ", ".join([f"{cells.pop('groups')} groups", *(f"{name} {cell}" for name, cell in cells.items())])


def coupling_cells(row: dict[str, Any]) -> dict[str, str]:
    """`GroupCouplings.facts` as cells of a table."""
    how = EXACT if row["method"] == EXACT else f"{row['draws']:,} draws by {row['method']}"
    cells = {"groups": f"{row['groups']:,}", "couplings": how}
    if row["method"] != EXACT:
        error = row["median_relative_error"]
        cells["median standard error"] = "not known" if error is None else f"{error:.0%}"
    if row["uncoupled_pairs"]:
        cells["pairs without a coupling"] = f"{row['uncoupled_pairs']:,}"
    return cells


def check_couplings(result: GroupCouplings, layout: Layout) -> None:
    """Refuse couplings of other parameters than those of the layout."""
    if result.dim != layout.size:
        raise UserError(f"couplings within {result.dim} parameters, where the analysis covers {layout.size}")


def compacted_couplings(result: GroupCouplings, *_: Any) -> tuple[GroupCouplings, dict[str, type[np.floating]]]:
    """The couplings with their standard errors, of one part: how far halves of the draws agree is with the tree."""
    return merged(result, 1), {}
