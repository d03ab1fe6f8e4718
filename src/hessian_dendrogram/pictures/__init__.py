"""Pictures: results as panels of marks, one picture a file, drawn by matplotlib or by plotly.

A picture is data: `picture.figure()` is a figure for print of it, `picture.chart()` an interactive one for a screen;
either library is imported when it is asked for. `PICTURES` has those that are drawn of every analysis.

A picture over training takes `steps`, the analysed training steps in ascending order (or `Steps`, of which some are
shown), one result for each of them, where it wants them `metrics` as `Run.metrics()` gives them, and a `title`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import comparison as compared
from . import dendrogram as trees
from . import fourier as frequencies
from .analysed import Analysed
from .axes import Steps
from .barcode import SENTENCE as BARS
from .barcode import barcode
from .cluster import cluster_eigenvalues, layer_shares
from .cluster_count import CURVES_SENTENCE, cluster_count_curves, cluster_count_heatmap
from .cluster_count import SENTENCE as COUNTS
from .comparison import comparison_of_analyses, comparison_of_spectra
from .composition import SENTENCE as COMPOSED
from .composition import composition
from .connectivity import SENTENCE as CONNECTED
from .connectivity import connectivity
from .coupling import SENTENCE as COUPLED
from .coupling import coupling, picture_limits
from .dendrogram import dendrogram, dendrograms
from .filters import SENTENCE as FILTERED
from .filters import filters, first_convolution
from .fourier import fourier
from .gaps import SENTENCE as LARGEST
from .gaps import largest_gaps
from .histogram import SENTENCE as COUNTED
from .histogram import eigenvalue_histogram
from .key_steps import key_positions
from .known import Known
from .level_statistics import SENTENCE as RATIOS
from .level_statistics import gap_ratio_along_spectrum, gap_ratio_over_training, level_statistics
from .parameter_dendrogram import SENTENCE as CUTS
from .parameter_dendrogram import parameter_dendrogram
from .picture import Panel, Picture, stacked
from .spectrum_evolution import SENTENCE as SPECTRA
from .spectrum_evolution import spectrum_evolution
from .summary import SENTENCE as NUMBERS
from .summary import summary
from .training import training_curves

__all__ = [
    "PICTURES",
    "Analysed",
    "Known",
    "Panel",
    "Picture",
    "Steps",
    "barcode",
    "cluster_count_curves",
    "cluster_count_heatmap",
    "cluster_eigenvalues",
    "comparison_of_analyses",
    "comparison_of_spectra",
    "composition",
    "connectivity",
    "coupling",
    "dendrogram",
    "dendrograms",
    "eigenvalue_histogram",
    "filters",
    "fourier",
    "gap_ratio_along_spectrum",
    "gap_ratio_over_training",
    "largest_gaps",
    "layer_shares",
    "level_statistics",
    "parameter_dendrogram",
    "spectrum_evolution",
    "stacked",
    "summary",
    "training_curves",
]
_CLUSTERS = 6  # of a tree that are marked


def _dendrograms_at(a: Analysed, position: int) -> Picture | None:
    """The dendrograms of all segments at a step, below each other; `None` where nothing has converged."""
    there = [one.picture(position) for one in a.dendrograms.values() if position in one.trees]
    if not there:
        return None
    titles = "; ".join([f"step {a.steps[position]:,}", *(picture.title for picture in there)])
    return replace(stacked(*there), title=titles)


def _curves(a: Analysed, at: Steps) -> list[Picture]:
    return [training_curves(at, a.metrics)] if a.metrics else []


def _learned_filters(a: Analysed, most: int = 5) -> Picture:
    """The filters of the first convolution at a few of the steps whose weights are stored."""
    steps = sorted({*a.steps} & {*a.run.steps()})
    name = first_convolution(a.run.layout)
    assert name is not None
    chosen = [steps[position] for position in key_positions(len(steps), most)]
    return filters(chosen, [a.run.weights(step)[name] for step in chosen], name=name)


def _has_filters(a: Analysed) -> bool:
    return first_convolution(a.run.layout) is not None and bool({*a.steps} & {*a.run.steps()})


def _coupling_at(a: Analysed, position: int) -> Picture:
    """|H| at a step, in the colours of all steps."""
    tree, limits = a.results[position], picture_limits([tree.picture for tree in a.results])
    return coupling([a.steps[position]], [tree], [tree.picture], k=_CLUSTERS, limits=limits)


def _over(make: Callable[..., Picture], *, has_metrics: bool = False) -> Callable[[Analysed, Steps], Picture]:
    """Make a picture of all results, on the axis of the steps that are shown."""
    return lambda a, at: make(at, a.results, **({"metrics": a.metrics} if has_metrics else {}))


PICTURES: dict[str, Known] = {
    "spectrum_evolution": Known(
        of="spectrum",
        title="Eigenvalues over training",
        sentence=SPECTRA,
        over=lambda a, at: stacked(spectrum_evolution(at, a.results), *_curves(a, at)),
        printed=lambda a: spectrum_evolution(a.steps, a.results),
        tab="Spectrum",
    ),
    "dendrogram": Known(
        of="spectrum",
        title="Eigenvalue dendrogram",
        sentence=trees.SENTENCE,
        at=_dendrograms_at,
        printed=lambda a: dendrograms(a.steps, a.results),
    ),
    "cluster_count_heatmap": Known(
        "spectrum", "Number of clusters n(ε)", COUNTS, _over(cluster_count_heatmap), tab="n(ε)"
    ),
    "cluster_count_curves": Known(
        "spectrum", "Number of clusters at each step", CURVES_SENTENCE, _over(cluster_count_curves), tab="n(ε)"
    ),
    "gaps": Known("spectrum", "Largest gaps", LARGEST, _over(largest_gaps), tab="Gaps"),
    "barcode": Known(
        of="spectrum",
        title="Barcode",
        sentence=BARS,
        at=lambda a, i: barcode(a.steps[i : i + 1], a.results[i : i + 1]),
        printed=lambda a: barcode(a.steps, a.results),
        tab="Gaps",
    ),
    "level_statistics": Known("spectrum", "Level statistics", RATIOS, _over(level_statistics), tab="Levels"),
    "summary": Known("spectrum", "Summary statistics", NUMBERS, _over(summary, has_metrics=True), tab="Stats"),
    "histogram": Known(
        of="spectrum",
        title="Histogram",
        sentence=COUNTED,
        at=lambda a, i: eigenvalue_histogram(a.results[i], axis=a.axis, title=f"step {a.steps[i]:,}"),
        tab="Spectrum",
        is_printed=False,
    ),
    "fourier": Known(
        of="spectrum",
        title="Fourier measures",
        sentence=frequencies.SENTENCE,
        over=lambda a, at: fourier(at, a.results, a.measures, metrics=a.metrics),
        applies=lambda a: frequencies.has_measures(a.measures),
    ),
    "filters": Known(
        of="spectrum",
        title="Learned filters",
        sentence=FILTERED,
        over=lambda a, _: _learned_filters(a),
        applies=_has_filters,
        tab="Filters",
    ),
    "connectivity": Known(
        of="tree",
        title="How well the graph holds together",
        sentence=CONNECTED,
        over=_over(connectivity, has_metrics=True),
        tab="Over training",
    ),
    "composition": Known(
        of="tree",
        title="Composition of the largest clusters",
        sentence=COMPOSED,
        over=lambda a, at: composition(at, a.results, a.layout, k=_CLUSTERS),
        tab="Over training",
    ),
    "parameter_dendrogram": Known(
        of="tree",
        title="Parameter dendrogram",
        sentence=CUTS,
        at=lambda a, i: parameter_dendrogram(a.steps[i : i + 1], a.results[i : i + 1], a.layout, k=_CLUSTERS),
        printed=lambda a: parameter_dendrogram(a.steps, a.results, a.layout),
        most_steps=5,
    ),
    "coupling": Known(
        of="tree",
        title="|H| in the order of the tree",
        sentence=COUPLED,
        at=_coupling_at,
        printed=lambda a: coupling(a.steps, a.results, [tree.picture for tree in a.results]),
        most_steps=5,
    ),
}
"""Every picture that is drawn of an analysis, by the name of its file."""

COMPARISON = compared.SENTENCE


def comparison_of(several: list[Analysed]) -> Picture:
    """Analyses of spectra beside each other."""
    spectra = {a.name: dict(zip(a.steps, a.results, strict=True)) for a in several}
    return replace(comparison_of_analyses(spectra), title=f"{len(several)} analyses")
