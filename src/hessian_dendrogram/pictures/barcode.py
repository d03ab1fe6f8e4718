"""Barcodes: for which range of resolutions ε each cluster of eigenvalues exists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from .axes import Linear, Named
from .by_segment import TITLES, by_segment
from .facts import Facts
from .marks import INK, Bars, Mark, Nothing, Region
from .palette import COLOURS
from .picture import Panel, Picture
from .segments import EPSILON, nothing, run_text

SENTENCE = (
    "A bar is a cluster: whole from its left end, merged with a neighbour at its right end; the longest are "
    "shown, in units of λ, and only what is right of the shade is no numerical error."
)
_FACTS = (
    "{size:,} eigenvalues from {low:.5g} to {high:.5g}\none cluster for ε from {birth:.4g} to {death:.4g} "
    "(± {error:.1g})\n{state}"
)
_KINDS = (
    ("longer than its error", COLOURS[0], "", False),
    ("touches a hole: the death is only an upper limit", COLOURS[4], "", True),
    ("unresolved: not longer than its error", "", INK, False),
)


def barcode(
    steps: Sequence[int],
    spectra: Sequence[Spectrum],
    *,
    title: str = "",
    count: int = 25,
    segments: Sequence[str] = tuple(TITLES),
) -> Picture:
    """Show the `count` longest bars at the first and the last step, a row for each segment.

    The length of a bar is death - birth in units of λ, as it is drawn; on a logarithmic axis, chance pairs of
    neighbours in the bulk would be the longest. Of the segments that the spectra have, those in `segments` are shown.
    """
    chosen = sorted({0, len(steps) - 1})
    found = by_segment([spectra[position] for position in chosen])
    found = {name: trees for name, trees in found.items() if name in segments}
    if not found:
        return nothing(title, SENTENCE)
    rows, heights = [], []
    for name, trees in found.items():
        longest = max(min(count, len(tree.barcode().births)) for tree in trees.values())
        heights.append(0.8 + 0.15 * max(6, longest))
        row = []
        for column, position in enumerate(chosen):
            heading = f"step {steps[position]:,}: {TITLES[name]}"
            empty = Panel((Nothing(f"no segment of {TITLES[name]} at this step"),), title=heading)
            row.append(_panel(trees[column], count, heading) if column in trees else empty)
        rows.append(tuple(row))
    return Picture(tuple(rows), title, SENTENCE, height=sum(heights), heights=tuple(heights))


def _panel(tree: Dendrogram, count: int, heading: str) -> Panel:
    bars = tree.barcode()
    if not len(bars.births):
        text = f"no cluster separates from the others ({len(tree.eigenvalues):,} eigenvalues)"
        return Panel((Nothing(text),), title=heading)
    shown = np.argsort(bars.births - bars.deaths, kind="stable")[:count]
    births, deaths, errors = (getattr(bars, name)[shown] for name in ("births", "deaths", "errors"))
    low, high = tree.eigenvalues[bars.starts[shown]], tree.eigenvalues[bars.stops[shown] - 1]
    resolved, bounded, sizes = bars.resolved[shown], bars.bounded[shown], bars.sizes[shown]
    masks = resolved & bounded, resolved & ~bounded, ~resolved
    marks: list[Mark] = []
    if tree.resolution > 0:
        marks.append(Region(x=(None, tree.resolution), label="ε ≤ largest gap error"))
    columns = {"size": sizes, "low": low, "high": high, "birth": births, "death": deaths, "error": errors}
    for mask, (state, colour, outline, hatched) in zip(masks, _KINDS, strict=True):
        known = {name: column[mask] for name, column in columns.items()} | {"state": [state] * int(mask.sum())}
        at, starts, stops = np.flatnonzero(mask), births[mask], deaths[mask]
        if mask.any():
            shares = None if outline else errors[mask]  # a hollow bar says that its error is longer than the bar
            facts = Facts(_FACTS, known)
            marks.append(Bars(at, starts, stops, 0.7, False, colour, outline, hatched, shares, state, facts))
    names = [run_text(*run) for run in zip(sizes.tolist(), low.tolist(), high.tolist(), strict=True)]
    named = Named(names, label="cluster: eigenvalues in [their range]", limits=(len(names) - 0.4, -0.6))
    return Panel(tuple(marks), x=Linear(EPSILON, (0.0, 1.05 * float(deaths.max()))), y=named, title=heading)
