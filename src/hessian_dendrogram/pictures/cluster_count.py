"""The number of clusters n(ε) of the eigenvalue dendrogram over training: as a heat map, and as one curve per step.

Below the dendrogram's resolution, the largest error of any gap, numerical errors alone could change n(ε). There the
heat map is hatched and has no colour, and the curves are faint and dashed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from .axes import Floats, Log, Steps
from .by_segment import TITLES, by_segment, resolution_grid
from .facts import Facts
from .marks import FAINT, Bars, ColourBar, Dash, HeatMap, Line, Mark
from .picture import Panel, Picture
from .segments import EPSILON, nothing

SENTENCE = (
    "Colour is the number of clusters that the eigenvalues of a step fall into at a resolution ε: a band of one colour "
    "that is tall is a number of clusters that holds over many scales."
)
CURVES_SENTENCE = (
    "Each curve is one training step: how many clusters its eigenvalues fall into as the resolution ε grows; a long "
    "level part is a clear gap."
)
_RESOLUTIONS = 300
# Five colours of viridis between 0.1 and 0.9 of it, seen on light and on dark paper.
_ANCHORS = ((0x48, 0x24, 0x75), (0x35, 0x5F, 0x8D), (0x21, 0x91, 0x8C), (0x44, 0xBF, 0x70), (0xBB, 0xDF, 0x27))
_FACTS = "step {step:,}\nε = {epsilon:.3g}\nn(ε) = {count:,}"
_COUNT = "number of clusters n(ε)"


def cluster_count_heatmap(steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "") -> Picture:
    """Show n(ε) in colour over training step and resolution; a panel for each segment of partial spectra."""
    at, found = Steps.of(steps), by_segment(spectra)
    if not found:
        return nothing(title, SENTENCE)
    grids = {name: resolution_grid(list(trees.values()), _RESOLUTIONS + 1) for name, trees in found.items()}
    middles = {name: np.sqrt(grid[:-1] * grid[1:]) for name, grid in grids.items()}
    counts = {name: resolved_counts(found[name], len(spectra), middle) for name, middle in middles.items()}
    most = max(float(np.nan_to_num(count).max()) for count in counts.values())
    rows = []
    for name, trees in found.items():
        known = {"step": np.broadcast_to(at.steps, counts[name].shape), "count": counts[name]}
        known["epsilon"] = np.broadcast_to(middles[name][:, None], counts[name].shape)
        where = np.arange(len(spectra) + 1) - 0.5, grids[name], counts[name]
        heat = HeatMap(*where, (1.0, max(2.0, most)), _COUNT, logarithmic=True, facts=Facts(_FACTS, known))
        limits = float(grids[name][0]), float(grids[name][-1])
        marks = (_unresolved(trees, len(spectra), limits), heat)
        rows.append((Panel(marks, x=at, y=Log(limits, EPSILON), title=TITLES[name]),))
    return Picture(tuple(rows), title, SENTENCE, height=3.4 * len(rows))


def resolved_counts(trees: Mapping[int, Dendrogram], num_steps: int, resolutions: Floats) -> Floats:
    """Count clusters: shape (resolutions, steps), NaN where n(ε) is unresolved or no eigenvalue of a step is known."""
    counts = np.full((len(resolutions), num_steps), np.nan)
    for position, tree in trees.items():
        resolved = resolutions > tree.resolution
        counts[resolved, position] = tree.num_clusters(resolutions[resolved])
    return counts


def _unresolved(trees: Mapping[int, Dendrogram], count: int, limits: tuple[float, float]) -> Bars:
    tops = np.full(count, limits[1])
    for position, tree in trees.items():
        tops[position] = np.clip(tree.resolution, *limits)
    label = "unresolved: ε ≤ largest gap error, or none known"
    return Bars(np.arange(count), np.full(count, limits[0]), tops, thickness=1.0, hatched=True, label=label)


def cluster_count_curves(
    steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, marked: int | None = None, title: str = ""
) -> Picture:
    """Show n(ε) as one curve per step, coloured by progress of training; faint and dashed where it is unresolved.

    The curve of the step at the position `marked` is thick.
    """
    at, found = Steps.of(steps), by_segment(spectra)
    if not found:
        return nothing(title, CURVES_SENTENCE)
    colours = step_colours(len(spectra))
    rows = []
    for name, trees in found.items():
        grid = resolution_grid(list(trees.values()), 2 * _RESOLUTIONS)
        marks: list[Mark] = [ColourBar(tuple(colours), tuple(f"{step:,}" for step in at.steps), "training step")]
        for position, tree in trees.items():
            width = 3.5 if position == marked else 1.2
            marks += _curve(tree, grid, at.steps[position], colours[position], width)
        most = max(float(tree.num_clusters(0.0)) for tree in trees.values())
        x, y = Log((float(grid[0]), float(grid[-1])), EPSILON), Log((0.8, 1.5 * most), _COUNT)
        rows.append((Panel(tuple(marks), x=x, y=y, title=TITLES[name]),))
    return Picture(tuple(rows), title, CURVES_SENTENCE, height=3.2 * len(rows))


def step_colours(count: int) -> list[str]:
    """A colour for each of so many steps, from dark to light as training goes on."""
    shares = np.linspace(0, len(_ANCHORS) - 1, count) if count > 1 else np.array([2.0])
    parts = [np.interp(shares, np.arange(len(_ANCHORS)), [anchor[i] for anchor in _ANCHORS]) for i in range(3)]
    return ["#{:02X}{:02X}{:02X}".format(*(round(part) for part in colour)) for colour in zip(*parts, strict=True)]


def _curve(tree: Dendrogram, grid: Floats, step: int, colour: str, width: float) -> list[Line]:
    """The curve of one step, of which only the corners are kept."""
    counts, resolved = tree.num_clusters(grid), grid > tree.resolution
    is_corner = np.diff(counts, prepend=counts[0] + 1) != 0
    is_corner[-1] = True
    # The first resolved point belongs to both parts, so that the curve does not break.
    start = np.diff(resolved, prepend=False)
    dashed = np.concatenate([[True], ~resolved[:-1]])
    lines: list[Line] = []
    dash: Dash
    for mask, ink, dash, label in (
        (dashed, FAINT, "dot", "unresolved: ε ≤ largest gap error of its step"),
        (resolved, colour, "solid", ""),
    ):
        kept = mask & (is_corner | start)
        columns = {"step": np.full(kept.sum(), step), "epsilon": grid[kept], "count": counts[kept]}
        facts = Facts(_FACTS, columns) if ink != FAINT else None
        wide = 1.0 if ink == FAINT else width
        lines.append(Line(grid[kept], counts[kept], ink, wide, dash, stepped=True, label=label, facts=facts))
    return lines
