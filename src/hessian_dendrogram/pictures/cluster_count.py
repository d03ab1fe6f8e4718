"""The number of clusters n(ε) of the eigenvalue dendrogram over training: as a heat map, and as one curve per step.

Below the dendrogram's resolution, the largest error of any gap, numerical errors alone could change n(ε). There the
heat map is hatched and has no colour, and the curves are faint and dashed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..results.spectrum import Spectrum
from ..statistics.dendrogram import Dendrogram
from ..statistics.measured import SCALES
from ..statistics.resolutions import corners, resolution_grid
from ..statistics.segments import by_segment, heading, resolved_counts, why_nothing
from .axes import Floats, Log, Steps
from .marks import FAINT, Bars, Facts, HeatMap, Line, Mark, Scale
from .picture import PICTURES, Known, Panel, Picture, in_rows, nothing, over

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
COUNT = "number of clusters n(ε)"
Segments = Mapping[str, Mapping[int, Dendrogram]]


def cluster_count_heatmap(
    steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, title: str = "", measured_in: str = "absolute"
) -> Picture:
    """Show n(ε) in colour over training step and resolution; a panel for each segment of partial spectra."""
    return _counted(steps, spectra, measured_in, Picture((), title, SENTENCE, height=3.4), _coloured)


def cluster_count_curves(
    steps: Sequence[int] | Steps, spectra: Sequence[Spectrum], *, measured_in: str = "absolute", title: str = ""
) -> Picture:
    """Show n(ε) as one curve per step, coloured by progress of training; faint and dashed where it is unresolved."""
    return _counted(steps, spectra, measured_in, Picture((), title, CURVES_SENTENCE, height=3.2), _curves)


def _counted(
    steps: Sequence[int] | Steps,
    spectra: Sequence[Spectrum],
    measured_in: str,
    empty: Picture,
    panels_of: Callable[[Steps, Segments, str, int], list[Panel]],
) -> Picture:
    """A picture with the panels of all segments, each with its heading."""
    found = by_segment(spectra, measured_in)
    if not found:
        return nothing(empty.title, empty.sentence, why_nothing(spectra, measured_in))
    panels = panels_of(Steps.of(steps), found, SCALES[measured_in].resolution, len(spectra))
    headed = [
        replace(one, title=heading(name, found[name], measured_in)) for name, one in zip(found, panels, strict=True)
    ]
    return replace(empty, rows=in_rows(headed), height=empty.height * len(panels))


def _coloured(at: Steps, found: Segments, epsilon: str, count: int) -> list[Panel]:
    grids = {name: resolution_grid(list(trees.values()), _RESOLUTIONS + 1) for name, trees in found.items()}
    middles = {name: np.sqrt(grid[:-1] * grid[1:]) for name, grid in grids.items()}
    counts = {name: resolved_counts(found[name], count, middle) for name, middle in middles.items()}
    most = max(float(np.nan_to_num(one).max()) for one in counts.values())
    scale, panels = Scale(COUNT, (1.0, max(2.0, most)), logarithmic=True), []
    for name, grid in grids.items():
        limits, places = (float(grid[0]), float(grid[-1])), np.arange(count)
        tops = [found[name][i].resolution if i in found[name] else np.inf for i in places.tolist()]
        label = "unresolved: ε ≤ largest gap error, or none known"
        unresolved = Bars(places, np.full(count, limits[0]), np.clip(tops, *limits), 1.0, hatched=True, label=label)
        known = {"step": at.steps, "epsilon": middles[name][:, None], "count": counts[name]}
        facts = Facts("step {step:,}\nε = {epsilon:.3g}\nn(ε) = {count:,}", known)
        heat = HeatMap(np.arange(count + 1) - 0.5, grid, counts[name], scale, facts)
        panels.append(Panel((unresolved, heat), x=at, y=Log(limits, epsilon)))
    return panels


def _curves(at: Steps, found: Segments, epsilon: str, count: int) -> list[Panel]:
    colours, panels = step_colours(count), []
    for trees in found.values():
        grid = resolution_grid(list(trees.values()), 2 * _RESOLUTIONS)
        named = tuple(f"{step:,}" for step in at.steps)
        marks: list[Mark] = [Scale("training step", colours=tuple(colours), names=named)]
        for position, tree in trees.items():
            marks += count_curve(tree, grid, f"step {at.steps[position]:,}", colours[position])
        most = max(float(tree.num_clusters(0.0)) for tree in trees.values())
        panels.append(
            Panel(tuple(marks), Log((float(grid[0]), float(grid[-1])), epsilon), Log((0.8, 1.5 * most), COUNT))
        )
    return panels


PICTURES["cluster_count_heatmap"] = Known(
    "spectrum", "Number of clusters n(ε)", SENTENCE, over(cluster_count_heatmap, "measured_in"), tab="n(ε)"
)
PICTURES["cluster_count_curves"] = Known(
    "spectrum",
    "Number of clusters at each step",
    CURVES_SENTENCE,
    over(cluster_count_curves, "measured_in"),
    tab="n(ε)",
)


def step_colours(count: int) -> list[str]:
    """A colour for each of so many steps, from dark to light as training goes on."""
    shares = np.linspace(0, len(_ANCHORS) - 1, count) if count > 1 else np.array([2.0])
    parts = [np.interp(shares, np.arange(len(_ANCHORS)), [anchor[i] for anchor in _ANCHORS]) for i in range(3)]
    return ["#{:02X}{:02X}{:02X}".format(*(round(part) for part in colour)) for colour in zip(*parts, strict=True)]


def count_curve(
    tree: Dendrogram, grid: Floats, name: str, colour: str, width: float = 1.2, label: str = ""
) -> list[Line]:
    """The curve of one dendrogram; of one without a label, of which there are many, only the corners are kept."""
    counts, dashed, known = corners(tree, grid, every=bool(label))
    columns = {"name": name, "epsilon": grid[known], "count": counts[known]}
    facts = Facts("{name}\nε = {epsilon:.3g}\nn(ε) = {count:,}", columns)
    unresolved: Any = {"stepped": True, "label": "unresolved: ε ≤ its largest gap error"}
    return [
        Line(grid[dashed], counts[dashed], FAINT, 1.0, "dot", **unresolved),
        Line(grid[known], counts[known], colour, width, stepped=True, label=label, facts=facts),
    ]
