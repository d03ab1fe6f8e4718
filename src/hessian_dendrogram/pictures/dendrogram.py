"""The eigenvalue dendrogram: the leading eigenvalues large, the whole tree small beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..statistics.leading import FEWEST, leading, whole
from ..statistics.resolutions import first_epsilon
from ..statistics.segments import TITLES, MovingDendrogram, by_segment, why_missing, why_nothing
from ..store.analysed import Analysed, Cut
from .axes import key_positions
from .eigenvalue_tree import Frame, Look, count_text, tree_panel
from .picture import PICTURES, Known, Panel, Picture, no_panel, nothing, stacked

SENTENCE = (
    "Two clusters of eigenvalues merge at the height of the gap between them; the dashed line is one resolution ε, "
    "at which each stem it cuts is a cluster, and the largest clusters are coloured. Nothing is drawn in the shade."
)
_WIDTHS = (2.2, 1.0)
_PRINTED = 300  # merges of a whole tree that is printed small
_ON_SCREEN = 500  # merges: a page has fewer pixels than paper, and a slider wants its answer at once


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
    title: str = "",
    **look: Any,
) -> Picture:
    """Show a dendrogram, with its clusters at ε in colours and marks on the cut that can be clicked.

    Args:
        tree: of one segment.
        epsilon: resolution, measured as the dendrogram's; default as `first_epsilon` chooses it.
        frame: the axes of the whole tree; default its own.
        first: the axes of the leading eigenvalues; default their own.
        count: how many eigenvalues lead; default as `leading_count` chooses.
        title: stands above, with the number of clusters.
        look: `chosen` and `like`, as for `Look`.
    """
    cut = first_epsilon(tree) if epsilon is None else epsilon
    heading, known = f"{title}; {count_text(tree, cut)}".removeprefix("; "), frame or Frame.around([tree], _ON_SCREEN)
    row = _row(tree, cut, known, Look(_ON_SCREEN, **look), first, count, "")
    return Picture((row,), heading, SENTENCE, height=3.7, widths=_WIDTHS[: len(row)], legend=3)


def dendrograms(
    steps: Sequence[int],
    spectra: Sequence[Spectrum],
    *,
    title: str = "",
    most_steps: int = 4,
    measured_in: str = "absolute",
) -> Picture:
    """Show the dendrogram at up to `most_steps` steps, the first and the last among them.

    Each has an ε of its own, and the leading eigenvalues have axes of their own; the whole trees share theirs. Of a
    partial spectrum both ends stand side by side, each with its leading eigenvalues alone. What ε is `measured_in`, one
    of `statistics.measured.SCALES`, the eigenvalues are, too.
    """
    chosen = key_positions(len(steps), most_steps)
    there = [spectra[position] for position in chosen]
    found = by_segment(there, measured_in)
    if not found:
        return nothing(title, SENTENCE, why_nothing(there, measured_in))
    is_split = any(name != "all" for name in found)
    frames = {name: Frame.around(list(trees.values()), _PRINTED) for name, trees in found.items()}
    rows = []
    for place, position in enumerate(chosen):
        row: list[Panel] = []
        for name, trees in found.items():
            if tree := trees.get(place):
                cut = first_epsilon(tree)
                heading = f"step {steps[position]:,}, {count_text(tree, cut)}: "
                panels = _row(tree, cut, frames[name], Look(_PRINTED, False, is_split), None, None, heading)
                row += panels[:1] if is_split else panels
            elif not (is_split and name == "all"):
                text = f"step {steps[position]:,}: {TITLES[name]}: {why_missing(there[place], name, measured_in)}"
                row.append(no_panel(text))
        rows.append(tuple(row))
    columns = max(len(row) for row in rows)
    widths = _WIDTHS if not is_split and columns == 2 else (1.0,) * columns
    return Picture(tuple(rows), title, SENTENCE, height=2.4 * len(rows), widths=widths, legend=3)


def at_step(moving: MovingDendrogram, position: int, epsilon: float | None = None, **more: Any) -> Picture:
    """The dendrogram of a step, at the given resolution or the one to begin with.

    The axes of the whole tree are those of all steps. Leading eigenvalues grow and shrink by decades, so they have axes
    of their own at each step, unless `first` gives them some; `more` is as for `dendrogram`.
    """
    cut = moving.epsilon if epsilon is None else epsilon
    return dendrogram(moving.trees[position], cut, frame=_frame_of(moving), **more)


@lru_cache(maxsize=8)
def _frame_of(moving: MovingDendrogram) -> Frame:
    """Axes for the whole tree of any step."""
    return Frame.around(list(moving.trees.values()), _ON_SCREEN)


def _at(a: Analysed, position: int) -> Picture | None:
    """The dendrograms of all segments at a step, below each other; `None` where nothing has converged."""
    there = [at_step(one, position) for one in a.dendrograms.values() if position in one.trees]
    titles = "; ".join([f"step {a.steps[position]:,}", *(picture.title for picture in there)])
    return replace(stacked(*there), title=titles) if there else None


def _cut(cut: Cut) -> Picture | None:
    """The dendrogram of one segment; `None` where nothing of it has converged."""
    if cut.tree is None:
        return None
    look = {"chosen": cut.chosen, "like": cut.beside[0].tree if cut.beside else None}
    return at_step(cut.of.dendrograms[cut.segment], cut.position, cut.at, title=cut.title, **look)


def _printed(a: Analysed) -> Picture:
    return dendrograms(a.steps, a.results, measured_in=a.measured_in)


PICTURES["dendrogram"] = Known("spectrum", "Eigenvalue dendrogram", SENTENCE, at=_at, cut=_cut, printed=_printed)


def _row(
    tree: Dendrogram, epsilon: float, frame: Frame, look: Look, first: Frame | None, count: int | None, title: str
) -> tuple[Panel, ...]:
    """The leading eigenvalues and the whole; the whole alone where it has no more than those."""
    if len(tree.eigenvalues) <= FEWEST:
        return (tree_panel(whole(tree), epsilon, frame, look, title),)
    if not (known := first):  # in which the cut is seen
        found = leading_frame([tree], count)
        low, high = found.heights
        known = Frame(found.axis, (min(low, epsilon / 3 or low), max(high, 3 * epsilon)), is_free=True)
    large = tree_panel(leading(tree, count), epsilon, known, look, title)
    return large, tree_panel(whole(tree), epsilon, frame, look)
