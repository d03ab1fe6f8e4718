"""The eigenvalue dendrogram: the leading eigenvalues large, the whole tree small beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..statistics.resolutions import first_epsilon
from .by_segment import MOST_ON_SCREEN, TITLES, by_segment
from .eigenvalue_tree import Frame, Look, count_text, is_lower_end, tree_panel
from .key_steps import key_positions
from .known import PICTURES, Known
from .marks import Nothing
from .picture import Panel, Picture, nothing, stacked

if TYPE_CHECKING:
    from .analysed import Analysed

SENTENCE = (
    "Two clusters of eigenvalues merge at the height of the gap between them; the dashed line is one resolution ε, "
    "at which each stem it cuts is a cluster, and the largest clusters are coloured. Nothing is drawn in the shade."
)
_FEWEST, _USUAL, _MOST = 10, 20, 30  # leading eigenvalues
_WIDTHS = (2.2, 1.0)
_PRINTED = 300  # merges of a whole tree that is printed small


@dataclass(frozen=True, eq=False)
class Leading:
    """The eigenvalues at the outer end of a segment, as a dendrogram of their own.

    Attributes:
        tree: theirs.
        first: the number of the lowest of them in the segment.
        name: which they are, in words.
    """

    tree: Dendrogram
    first: int
    name: str


def leading_count(tree: Dendrogram) -> int:
    """How many eigenvalues lead: 10 to 30, up to the largest resolved ratio of neighbours; 20 without one."""
    values, sizes, errors = tree.eigenvalues, tree.gap_sizes, tree.gap_errors
    if not is_lower_end(tree):  # from the outermost inwards
        values, sizes, errors = values[::-1], sizes[::-1], errors[::-1]
    numbers = np.arange(_FEWEST, min(_MOST, len(sizes)) + 1)
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
    holes = tree.hole_below and part.start == 0, tree.hole_above and part.stop == total
    chosen = Dendrogram(tree.eigenvalues[part], tree.error_bounds[part], *holes)
    return Leading(chosen, part.start, f"the {number:,} {'smallest' if is_lower else 'largest'} eigenvalues")


def leading_frame(trees: Sequence[Dendrogram], count: int | None = None) -> Frame:
    """The axes that hold the leading eigenvalues of several dendrograms and the gaps between them."""
    parts = [leading(tree, count).tree for tree in trees]
    known, gaps = Frame.around(parts), np.concatenate([part.gap_sizes for part in parts])
    positive = gaps[gaps > 0]
    low = max(known.heights[0], float(positive.min()) / 3 if positive.size else 0.0)
    return Frame(known.axis, (low, known.heights[1]))


def dendrogram(
    tree: Dendrogram,
    epsilon: float | None = None,
    *,
    frame: Frame | None = None,
    first: Frame | None = None,
    count: int | None = None,
    chosen: float | None = None,
    like: Dendrogram | None = None,
    title: str = "",
) -> Picture:
    """Show a dendrogram, with its clusters at ε in colours and marks on the cut that can be clicked.

    Args:
        tree: of one segment.
        epsilon: resolution, in units of the eigenvalues; default as `first_epsilon` chooses it.
        frame: the axes of the whole tree; default its own.
        first: the axes of the leading eigenvalues; default their own.
        count: how many eigenvalues lead; default as `leading_count` chooses.
        chosen: an eigenvalue whose cluster has a ring around its mark; default none.
        like: a dendrogram that this one stands beside; clusters that overlap most have one colour.
        title: stands above, with the number of clusters.
    """
    cut = first_epsilon(tree) if epsilon is None else epsilon
    heading = f"{title}; {count_text(tree, cut)}".removeprefix("; ")
    known, look = frame or Frame.around([tree], MOST_ON_SCREEN), Look(chosen=chosen, like=like)
    row = _row(tree, cut, known, first, count, most_merges=MOST_ON_SCREEN, look=look)
    return Picture((row,), heading, SENTENCE, height=3.7, widths=_WIDTHS[: len(row)])


def dendrograms(steps: Sequence[int], spectra: Sequence[Spectrum], *, title: str = "", most_steps: int = 4) -> Picture:
    """Show the dendrogram at up to `most_steps` steps, the first and the last among them.

    Each has an ε of its own, and the leading eigenvalues have axes of their own; the whole trees share theirs. Of a
    partial spectrum both ends stand side by side, each with its leading eigenvalues alone.
    """
    chosen = key_positions(len(steps), most_steps)
    found = by_segment([spectra[position] for position in chosen])
    if not found:
        return nothing(title, SENTENCE)
    is_split = any(name != "all" for name in found)
    frames = {name: Frame.around(list(trees.values()), _PRINTED) for name, trees in found.items()}
    rows = []
    for place, position in enumerate(chosen):
        row: list[Panel] = []
        for name, trees in found.items():
            if tree := trees.get(place):
                cut = first_epsilon(tree)
                heading = f"step {steps[position]:,}, {count_text(tree, cut)}: "
                panels = _row(tree, cut, frames[name], title=heading, most_merges=_PRINTED, look=Look(is_named=False))
                row += panels[:1] if is_split else panels
            elif not (is_split and name == "all"):
                row.append(Panel((Nothing(f"step {steps[position]:,}: {TITLES[name]}: none has converged"),)))
        rows.append(tuple(row))
    columns = max(len(row) for row in rows)
    widths = _WIDTHS if not is_split and columns == 2 else (1.0,) * columns
    return Picture(tuple(rows), title, SENTENCE, height=2.4 * len(rows), widths=widths)


def _at(a: Analysed, position: int) -> Picture | None:
    """The dendrograms of all segments at a step, below each other; `None` where nothing has converged."""
    there = [one.picture(position) for one in a.dendrograms.values() if position in one.trees]
    titles = "; ".join([f"step {a.steps[position]:,}", *(picture.title for picture in there)])
    return replace(stacked(*there), title=titles) if there else None


PICTURES["dendrogram"] = Known(
    "spectrum", "Eigenvalue dendrogram", SENTENCE, at=_at, printed=lambda a: dendrograms(a.steps, a.results)
)


def _row(
    tree: Dendrogram,
    epsilon: float,
    frame: Frame,
    first: Frame | None = None,
    count: int | None = None,
    *,
    title: str = "",
    **options: Any,
) -> tuple[Panel, ...]:
    """The leading eigenvalues and the whole; the whole alone where it has no more than those."""
    whole = f"all {len(tree.eigenvalues):,} eigenvalues"
    if len(tree.eigenvalues) <= _FEWEST:
        return (tree_panel(tree, epsilon, frame, title=f"{title}{whole}", **options),)
    part, known = leading(tree, count), first or leading_frame([tree], count)
    if first is None:  # the cut is seen
        low, high = known.heights
        known = Frame(known.axis, (min(low, epsilon / 3 or low), max(high, 3 * epsilon)))
    own: Any = {"part_of": (tree, part.first), "look": options["look"], "is_free": first is None}
    large = tree_panel(part.tree, epsilon, known, title=f"{title}{part.name}", **own)
    return large, tree_panel(tree, epsilon, frame, title=whole, **options)
