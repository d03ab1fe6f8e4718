"""Barcodes: for which range of resolutions ε each cluster of eigenvalues exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.clusters import run_text
from ..statistics.dendrogram import Dendrogram
from ..statistics.measured import scale_of, unit_of_tree, written
from ..statistics.segments import by_segment, title_of, why_missing, why_nothing
from .axes import Linear, Named
from .marks import COLOURS, INK, Bars, Facts, Line, Mark, Region
from .picture import PICTURES, Known, Panel, Picture, no_panel, nothing

SENTENCE = (
    "A bar is a cluster: whole from its left end, merged with a neighbour at its right end; the longest are "
    "shown, and only what is right of the shade is no numerical error."
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
    count: int = 25,
    measured_in: str = "absolute",
    title: str = "",
) -> Picture:
    """Show the `count` longest bars at the first and the last step, a row for each segment.

    The length of a bar is death - birth as ε is `measured_in`, and as it is drawn; on a logarithmic axis, chance pairs
    of neighbours in the bulk would be the longest.
    """
    chosen = sorted({0, len(steps) - 1})
    ends = [spectra[position] for position in chosen]
    found = by_segment(ends, measured_in)
    if not found:
        return nothing(title, SENTENCE, why_nothing(ends, measured_in))
    rows, heights = [], []
    for name, trees in found.items():
        longest = max(len(tree.barcode().births) for tree in trees.values())
        heights.append(0.8 + 0.15 * max(6, min(count, longest)))
        row = []
        for at, position in enumerate(chosen):
            heading = f"step {steps[position]:,}: {title_of(name, measured_in)}"
            missing = no_panel(why_missing(ends[at], name, measured_in), heading)
            row.append(_panel(trees[at], count, heading) if at in trees else missing)
        rows.append(tuple(row))
    return Picture(tuple(rows), title, SENTENCE, height=sum(heights), heights=tuple(heights))


PICTURES["barcode"] = Known(
    "spectrum",
    "Barcode",
    SENTENCE,
    at=lambda a, i: barcode(a.steps[i : i + 1], a.results[i : i + 1], measured_in=a.measured_in),
    printed=lambda a: barcode(a.steps, a.results, measured_in=a.measured_in),
    tab="Gaps",
)


def _panel(tree: Dendrogram, count: int, heading: str) -> Panel:
    bars, values = tree.barcode(), written(tree)
    heading += f", {scale_of(tree).unit}\u00a0=\u00a0{unit}" if (unit := unit_of_tree(tree)) else ""
    if not len(bars.births):
        return no_panel(f"no cluster separates from the others ({len(tree.eigenvalues):,} eigenvalues)", heading)
    shown = np.argsort(bars.births - bars.deaths, kind="stable")[:count]
    known = {"size": bars.sizes, "birth": bars.births, "death": bars.deaths, "error": bars.errors}
    known |= {"low": values[bars.starts], "high": values[bars.stops - 1]}
    columns = {name: column[shown] for name, column in known.items()}
    kinds = np.where(bars.resolved, np.where(bars.bounded, 0, 1), 2)[shown]
    marks: list[Mark] = [Region(x=(None, tree.resolution), label="ε ≤ largest gap error")] * (tree.resolution > 0)
    for kind, (state, colour, outline, hatched) in enumerate(_KINDS):
        at = np.flatnonzero(kinds == kind)
        of_kind = {name: column[at] for name, column in columns.items()}
        if len(at):
            bar = Bars(at, of_kind["birth"], of_kind["death"], 0.7, False, colour, outline, hatched, label=state)
            marks.append(replace(bar, facts=Facts(_FACTS, of_kind | {"state": state})))
    # A hollow bar says that its error is longer than the bar.
    at = np.flatnonzero(kinds < 2)
    ends = columns["death"][at] + np.multiply.outer([-1, 1, np.nan], columns["error"][at])
    marks.append(Line(ends.T.ravel(), np.repeat(at, 3), width=0.8))
    names = [run_text(*run) for run in zip(*(columns[name].tolist() for name in ("size", "low", "high")), strict=True)]
    named = Named(names, label="cluster: eigenvalues in [their range]", limits=(len(names) - 0.4, -0.6))
    edge = 1.05 * float(columns["death"].max())
    x = Linear(scale_of(tree).resolution, (0.0, edge))
    return Panel(tuple(marks), x=x, y=named, title=heading)
