"""Diagonal blocks, such as those of layers: trace and largest eigenvalue of each over training, and all their spectra.

Where probes tell of a block, the weights of their nodes in a bin say how many eigenvalues are there. Its interval is
made of those of the shares up to both ends of the bin, each with half of the usual error probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from ..results.blocks import Blocks
from ..results.density import Density
from ..statistics.bins import split_by_density
from ..statistics.density import LEVEL, trace
from ..statistics.distribution import cumulative
from ..statistics.segments import hole_of
from ..store.analysed import Analysed
from ..store.blocks import block_rows
from ..texts import listed, shortened
from .axes import LONGEST_NAME, Eigenvalues, Floats, Named, Steps, key_positions
from .density import INTERVAL, Measured, axis_of, estimate, measured, panel_of
from .marks import COLOURS, FAINT, SYMBOLS, UNCONVERGED, Bars, Facts, HeatMap, Line, Mark, Points, Scale, shades
from .picture import PICTURES, Known, Panel, Picture, in_rows, over
from .spectrum_evolution import HOLE, bin_edges

SENTENCE = (
    "Trace and largest eigenvalue of each diagonal block over training, a colour for each; a bar is an error bound, or "
    f"the {INTERVAL} of what probes tell, and a hollow mark is not larger than its error."
)
SPECTRA = (
    "Each row is a diagonal block, and each tick one of its eigenvalues, with its error bound as a level bar; colour "
    "counts eigenvalues in bins of equal length on the axis, where they are dense or where only probes tell of them."
)
_MOST = 40  # blocks: nobody tells more apart
_FEW = 12  # blocks, of which a page has room for two steps
_SEEN = 0.5  # eigenvalues in a bin, as estimated
_FEWER = f"probes tell of fewer than {_SEEN:g} eigenvalues in a bin"
_HIGH = 0.76  # of the distance between rows
_VISIBLE = 0.004  # of the axis: a shorter error bar is hidden by its tick
_BOUND, _STANDARD = "error bound", "standard error of an estimate"
_COLUMNS = "trace", "trace_error", "largest", "largest_error"


def blocks_over_training(steps: Sequence[int] | Steps, several: Sequence[Blocks], *, title: str = "") -> Picture:
    """Show the trace and the largest eigenvalue of each block; of more than 40 blocks those with most parameters."""
    at, names, rows = Steps.of(steps), _chosen(several[0]), [_numbers(one) for one in several]
    aside = min(0.25, 0.03 * (len(names) - 1))  # so that error bars do not hide each other
    colours, shifts = shades(len(names)), np.linspace(-aside, aside, len(names)).tolist()
    panels = []
    for heading, unit in (("trace", "units of λ"), ("largest eigenvalue", "eigenvalue λ")):
        found = {name: [row.get((name, heading), (np.nan, np.nan, "")) for row in rows] for name in names}
        points = [
            measured(at, name, column, shift, colour=colour, symbol=symbol)
            for (name, column), shift, colour, symbol in zip(
                found.items(), shifts, colours, cycle(SYMBOLS), strict=False
            )
        ]
        estimated = [name for name, column in found.items() if any(kind == _STANDARD for *_, kind in column)]
        remark = f"; bars of {listed(estimated)}: standard errors" if estimated else ""
        panels.append(panel_of(at, points, f"{heading}{_of_all(several[0])}{remark}", unit))
    return Picture(in_rows(panels), title, SENTENCE, height=2.3 * len(panels))


def block_spectra(
    steps: Sequence[int], several: Sequence[Blocks], *, axis: Eigenvalues | None = None, title: str = ""
) -> Picture:
    """Show the spectra of all blocks below each other at a few steps; of more than 40 those with most parameters.

    The axis is by default that of all of them.
    """
    scale = axis or _axis(several)
    panels = [_spectra(step, blocks, scale) for step, blocks in zip(steps, several, strict=True)]
    heights = tuple(0.7 + 0.24 * len(_chosen(blocks)) for blocks in several)
    return Picture(in_rows(panels), title, SPECTRA, height=sum(heights), heights=heights)


def _at(a: Analysed, *positions: int) -> Picture:
    return block_spectra([a.steps[i] for i in positions], [a.results[i] for i in positions], axis=_axis(a.results))


PICTURES["blocks"] = Known("blocks", "Blocks over training", SENTENCE, over(blocks_over_training), tab="Over training")
PICTURES["block_spectra"] = Known(
    "blocks",
    "Spectra of the blocks",
    SPECTRA,
    at=_at,
    printed=lambda a: _at(a, *key_positions(len(a.steps), 2 if len(a.results[-1].names) <= _FEW else 1)),
    tab="Spectra",
    most_steps=5,
)


def _chosen(blocks: Blocks) -> list[str]:
    """The blocks that are shown, in their order."""
    kept = np.sort(np.argsort(-blocks.sizes, kind="stable")[:_MOST])
    return [blocks.names[i] for i in kept]


def _of_all(blocks: Blocks) -> str:
    number = len(blocks.names)
    return f" of the {_MOST} blocks with most parameters, of {number:,}" if number > _MOST else " of each block"


def _numbers(blocks: Blocks) -> dict[tuple[str, str], Measured]:
    """Trace and largest eigenvalue by the name of the block, each with its error."""
    known, table = {}, block_rows(blocks)
    for number, (name, result) in enumerate(blocks.items()):
        kind = _BOUND if isinstance(result, Density) or "all" in result.segments() else _STANDARD
        value, error, end, bound = (float(table[key][number]) for key in _COLUMNS)
        known[name, "trace"] = estimate(trace, result) if isinstance(result, Density) else (value, error, kind)
        known[name, "largest eigenvalue"] = (end, bound, _BOUND)
    return known


def _axis(several: Sequence[Blocks]) -> Eigenvalues:
    return axis_of([blocks[name] for blocks in several for name in _chosen(blocks)])


def _spectra(step: int, blocks: Blocks, axis: Eigenvalues) -> Panel:
    names, edges = _chosen(blocks), bin_edges(axis)
    counts = np.full((3, len(names), len(edges) - 1), np.nan)  # estimates, and the ends of their intervals
    unknown: dict[str, list[tuple[int, float, float]]] = {HOLE: [], _FEWER: []}
    parts = []
    for row, result in enumerate(blocks[name] for name in names):
        converged, alone = np.ones(len(result.eigenvalues), bool), np.arange(len(result.eigenvalues))
        if isinstance(result, Density):
            counts[:, row] = _counted(result, edges)
            unknown[_FEWER] += [(row, *ends) for ends in _blank(result, counts[0, row], edges)]
        else:
            counts[:, row], sparse = split_by_density(result, edges)
            converged, alone = result.converged, np.append(sparse, np.flatnonzero(~result.converged))
            if (hole := hole_of(result)) is not None:
                unknown[HOLE].append((row, *hole))
        parts.append((alone * 0 + row, result.eigenvalues[alone], result.error_bounds[alone], converged[alone]))
    marks: list[Mark] = []
    for label, found in unknown.items():
        if found:
            rows, starts, stops = np.array(found).T
            starts, stops = np.clip(starts, *axis.limits), np.clip(stops, *axis.limits)
            marks.append(Bars(rows, starts, stops, _HIGH, upright=False, hatched=True, label=label))
    marks += [*_heat(counts, edges), *_ticks(axis, *(np.concatenate(columns) for columns in zip(*parts, strict=True)))]
    sizes = dict(zip(blocks.names, blocks.sizes.tolist(), strict=True))
    named = Named(
        [f"{shortened(name, LONGEST_NAME - 12)} ({sizes[name]:,})" for name in names],
        label="block (parameters)",
        limits=(len(names) - 0.5, -0.5),
    )
    return Panel(tuple(marks), x=axis, y=named, title=f"step {step:,}: spectrum{_of_all(blocks)}")


def _counted(density: Density, edges: Floats) -> Floats:
    """How many eigenvalues are in each bin beside those known one by one; at least, and at most: shape (3, bins)."""
    weights = np.histogram(density.nodes, edges, weights=density.weights)[0] / len(density.nodes)
    shares = cumulative(density, edges, level=1 - (1 - LEVEL) / 2)
    known = np.diff(np.searchsorted(density.eigenvalues, edges, side="right"))
    low, high = shares.lows[1:] - shares.highs[:-1], shares.highs[1:] - shares.lows[:-1]
    least, most = (np.maximum(density.dim * share - known, 0.0) for share in (low, high))
    return np.stack([density.num_hidden * weights, least, most])


def _blank(density: Density, counts: Floats, edges: Floats) -> list[tuple[float, float]]:
    """Where bins between the outermost nodes have no colour, neighbours as one."""
    blank = (counts < _SEEN) & (edges[1:] > density.nodes.min()) & (edges[:-1] < density.nodes.max())
    sides = edges[np.flatnonzero(np.diff(np.concatenate([[False], blank, [False]])))].tolist()
    return list(zip(sides[::2], sides[1::2], strict=True))


def _heat(counts: Floats, edges: Floats) -> list[HeatMap]:
    """The counts of bins in rows with room between them."""
    seen = np.where(counts[0] >= _SEEN, counts[0], np.nan)
    if np.isnan(seen).all():
        return []
    spread = np.full((3, 2 * len(seen) - 1, seen.shape[1]), np.nan)
    spread[:, ::2] = seen, *counts[1:]
    sides = np.arange(len(seen))[:, None] + np.array([-_HIGH / 2, _HIGH / 2])
    known = {"count": spread[0], "least": spread[1], "most": spread[2], "low": edges[:-1], "high": edges[1:]}
    said = (
        f"{{count:,.3g}} eigenvalues between {{low:.4g}} and {{high:.4g}}\n{INTERVAL}: {{least:,.3g}} to {{most:,.3g}}"
    )
    limits = 1.0, 10.0 ** max(1, int(np.ceil(np.log10(np.nanmax(seen)))))
    scale = Scale("eigenvalues in a bin, counted or estimated", limits, logarithmic=True, colours="viridis reversed")
    return [HeatMap(edges, sides.ravel(), spread[0], scale, Facts(said, known))]


def _ticks(axis: Eigenvalues, rows: Floats, values: Floats, bounds: Floats, converged: NDArray[np.bool_]) -> list[Mark]:
    """Single eigenvalues: a tick for each with its error as a level bar, a cross where it has not converged."""
    ends, marks = np.clip(values + np.multiply.outer([-1, 1], bounds), *axis.limits), list[Mark]()
    visible = np.ptp(axis.place(ends), axis=0) > _VISIBLE * np.ptp(axis.place(axis.limits))
    for label, mask, colour in (
        ("one eigenvalue and its error bound", converged & (np.abs(values) > bounds), COLOURS[0]),
        ("sign unresolved: |λ| ≤ its error bound", converged & (np.abs(values) <= bounds), FAINT),
    ):
        columns = {"value": np.repeat(values[mask], 3), "bound": np.repeat(bounds[mask], 3)}
        facts = Facts("λ = {value:.6g} ± {bound:.1g}", columns)
        high = (rows[mask, None] + np.array([-_HIGH / 2, _HIGH / 2, np.nan])).ravel()
        label *= bool(mask.any())
        marks.append(Line(np.repeat(values[mask], 3), high, colour, 0.9, label=label, facts=facts))
        wide = ends[:, mask & visible]
        bars = np.append(wide, wide[:1] * np.nan, axis=0).T.ravel()
        marks.append(Line(bars, np.repeat(rows[mask & visible], 3), colour, 0.9))
    if not converged.all():
        failed = ~converged
        facts = Facts("{value:.4g}, not converged", {"value": values[failed]})
        marks.append(Points(values[failed], rows[failed], UNCONVERGED, "x", 3.5, label="not converged", facts=facts))
    return marks
