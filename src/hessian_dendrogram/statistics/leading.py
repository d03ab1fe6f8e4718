"""The leading eigenvalues: those at the outer end of a segment, up to a gap that sets them apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .dendrogram import Dendrogram
from .measured import scale_of, written

FEWEST = 10
"""Eigenvalues that lead, where there are as many."""
_USUAL, _MOST = 20, 30


@dataclass(frozen=True, eq=False)
class Leading:
    """The eigenvalues at the outer end of a segment, or all of them, as a dendrogram of their own.

    Attributes:
        tree: theirs.
        whole: that of the segment.
        first: the number of the lowest of them in the segment.
        name: which they are, in words.
    """

    tree: Dendrogram
    whole: Dendrogram
    first: int
    name: str


def is_lower_end(tree: Dendrogram) -> bool:
    """Whether the outer end of the segment is the lower one: its upper one adjoins a hole."""
    return tree.hole_above and not tree.hole_below


def leading_count(tree: Dendrogram) -> int:
    """How many eigenvalues lead: 10 to 30, up to the largest resolved ratio of neighbours; 20 without one."""
    values, sizes, errors = written(tree), tree.gap_sizes, tree.gap_errors
    if not is_lower_end(tree):  # from the outermost inwards
        values, sizes, errors = values[::-1], sizes[::-1], errors[::-1]
    numbers = np.arange(FEWEST, min(_MOST, len(sizes)) + 1)
    inner = np.abs(values[numbers]) if len(numbers) else np.empty(0)
    usable = (sizes[numbers - 1] > errors[numbers - 1]) & (inner > 0) & (inner < np.abs(values[numbers - 1]))
    if not usable.any():
        return min(_USUAL, len(values))
    ratios = np.abs(values[numbers[usable] - 1]) / inner[usable]
    return int(numbers[usable][ratios.argmax()])


def leading(tree: Dendrogram, count: int | None = None) -> Leading:
    """The `count` outermost eigenvalues; default as `leading_count` chooses. What lies inwards is not shown."""
    total = len(tree.eigenvalues)
    number, is_lower = min(count or leading_count(tree), total), is_lower_end(tree)
    part = slice(0, number) if is_lower else slice(total - number, total)
    holes = {"hole_below": tree.hole_below and part.start == 0, "hole_above": tree.hole_above and part.stop == total}
    chosen = replace(tree, eigenvalues=tree.eigenvalues[part], error_bounds=tree.error_bounds[part], **holes)
    return Leading(chosen, tree, part.start, f"the {number:,} {'smallest' if is_lower else 'largest'} eigenvalues")


def whole(tree: Dendrogram) -> Leading:
    """All eigenvalues of a segment; those that have no logarithm are in a hole below."""
    kind = "eigenvalues above the hole" if scale_of(tree).is_log and tree.hole_below else "eigenvalues"
    return Leading(tree, tree, 0, f"all {len(tree.eigenvalues):,} {kind}")
