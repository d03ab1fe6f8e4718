"""The largest spectral gaps over training, by rank, with their errors and the number of eigenvalues beyond each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from .axes import Log, Named, Steps
from .by_segment import TITLES, by_segment, counted_from_the_end
from .facts import Facts
from .marks import FAINT, INK, SYMBOLS, Mark, Nothing, Points, Texts
from .palette import COLOURS
from .picture import Panel, Picture
from .segments import nothing

SENTENCE = (
    "The largest gaps between neighbouring eigenvalues at every step, with the error of each; a line follows a rank, "
    "not one gap between the same eigenvalues, and a hollow mark is a gap that is not larger than its error."
)
_UNRESOLVED = "not larger than its error"
_LETTERS = 100  # of the table's size that a page is wide
_FACTS = (
    "step {step:,}, gap number {rank}\n{size:.5g} ± {error:.1g}, {state}\nbetween {low:.6g} and {high:.6g}\n"
    "eigenvalues {side}: {beyond:,}"
)


def largest_gaps(
    steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "", count: int = 6
) -> Picture:
    """Show the `count` largest gaps, at most 6, at every step, and where in the spectrum each of them is.

    On paper a table says how many eigenvalues lie beyond each gap, on a screen it is said under the pointer. Exactly
    repeated eigenvalues have a gap of zero, which a logarithmic axis cannot show. Each segment of a partial spectrum
    has panels of its own.
    """
    at = Steps.of(steps)
    found = by_segment(spectra)
    if not found:
        return nothing(title, SENTENCE)
    rows: list[tuple[Panel, ...]] = []
    for segment, trees in found.items():
        ranks = [_rank(at, trees, segment, rank, count) for rank in range(count)]
        points = [points for points in ranks if points is not None]
        label = "size of the gap (units of λ)\nbars: sum of the error bounds of its ends"
        sizes = np.concatenate([np.asarray(one.y) for one in points]) if points else np.empty(0)
        marks: list[Mark] = [*points] or [Nothing("no two different eigenvalues at these steps")]
        if any(np.asarray(one.hollow).any() for one in points):
            marks.append(Points([], [], FAINT, hollow=[], label=_UNRESOLVED))
        rows.append((Panel(tuple(marks), x=at, y=Log.around(sizes, label), title=TITLES[segment]),))
        rows.append((_table(at, trees, segment, count),))
    return Picture(tuple(rows), title, SENTENCE, height=4.4 * len(found), heights=(2.4, 1.0) * len(found))


def _rank(at: Steps, trees: Mapping[int, Dendrogram], segment: str, rank: int, count: int) -> Points | None:
    """The marks of one rank; `None` where no step has such a gap."""
    found = [(i, tree, tree.gaps(rank + 1)) for i, tree in trees.items()]
    found = [(i, tree, gaps) for i, tree, gaps in found if rank < len(gaps.sizes) and gaps.sizes[rank] > 0]
    if not found:
        return None
    positions = np.array([i for i, _, _ in found])
    sizes, errors = (np.array([getattr(gaps, name)[rank] for _, _, gaps in found]) for name in ("sizes", "errors"))
    lower = [int(gaps.lower_indices[rank]) for _, _, gaps in found]
    low, high = np.array([tree.eigenvalues[[i, i + 1]] for (_, tree, _), i in zip(found, lower, strict=True)]).T
    counted = [counted_from_the_end(gaps, segment) for _, _, gaps in found]
    columns = {"step": np.array(at.steps)[positions], "rank": np.full(len(found), rank + 1)}
    columns |= {"size": sizes, "error": errors, "low": low, "high": high}
    columns["state"] = np.where(sizes > errors, "resolved", f"unresolved: {_UNRESOLVED}")
    columns["side"] = np.array([side for _, side in counted])
    columns["beyond"] = np.array([numbers[rank] for numbers, _ in counted])
    x = positions + 0.09 * (rank - (count - 1) / 2)  # side by side, so that bars do not hide each other
    look: Any = {"colour": COLOURS[rank], "symbol": SYMBOLS[rank % 5], "hollow": sizes <= errors, "joined": 1.0}
    label = f"gap {rank + 1}" if rank else "gap 1, the largest"
    return Points(x, sizes, y_errors=errors, label=label, facts=Facts(_FACTS, columns), **look)


def _table(at: Steps, trees: Mapping[int, Dendrogram], segment: str, count: int) -> Panel:
    """How many eigenvalues lie beyond each gap; unresolved gaps in brackets. At as many steps as there is room for."""
    found: list[tuple[int, int, str]] = []
    side = "above"
    for position, tree in trees.items():
        gaps = tree.gaps(count)
        numbers, side = counted_from_the_end(gaps, segment)
        for rank in np.flatnonzero(gaps.sizes > 0).tolist():
            found.append((position, rank, f"{numbers[rank]}" if gaps.resolved[rank] else f"({numbers[rank]})"))
    longest = max((len(text) for *_, text in found), default=1)
    shown = {at for at, _ in at.ticks(int(_LETTERS / (longest + 1)))}
    x, y, texts = zip(*(one for one in found if one[0] in shown), strict=True) if found else ([], [], [])
    names = Named([str(rank + 1) for rank in range(count)], label="gap number", limits=(count - 0.5, -0.5))
    title = f"number of eigenvalues {side} the gap; (in brackets): the gap is {_UNRESOLVED}"
    return Panel((Texts(x, y, texts, [INK] * len(x), 6.5),), x=at, y=names, title=title, on_paper_only=True)
