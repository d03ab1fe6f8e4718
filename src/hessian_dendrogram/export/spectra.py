"""The part of the page for one analysis of spectra, and the one that compares several.

Longer than other files: one function for each section of a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from .. import charts
from ..apps.reading import SpectrumAnalysis
from ..results.spectrum import Spectrum
from ..views.eigenvalue_axis import axis_of_spectra
from ..views.numbers import summary_columns
from ..views.segments import TITLES
from ..views.steps import key_positions
from ..views.titles import counted
from .page import Chart, Part, Section, facts, table
from .words import Metrics, at_steps, folded, is_number, one_chart, with_error

_KNOWN = {name: title if name == "all" else f"the {title}" for name, title in TITLES.items()}
Measures = Sequence[Mapping[str, Any]]


def spectra_part(analysis: SpectrumAnalysis, metrics: Metrics | None, measures: Measures | None) -> Part:
    """Every chart of an analysis, with loss and accuracy under the spectra where those are known."""
    axis = charts.StepAxis.of(analysis.steps)
    sections = [
        _evolution(analysis, axis, metrics),
        *(_dendrograms(analysis, axis, segment) for segment in analysis.dendrograms),
        _cluster_counts(analysis, axis),
        _gaps(analysis, axis),
        _barcodes(analysis),
        _level_statistics(analysis, axis),
        _summary(analysis, axis),
        _histogram(analysis),
    ]
    if measures and (fourier := _fourier(analysis, axis, metrics, measures)):
        sections.append(fourier)
    drawn = [section for section in sections if section.charts]
    return Part(f"Spectra: {analysis.name}", _spectra_facts(analysis), drawn)


def _spectra_facts(analysis: SpectrumAnalysis) -> str:
    known, spectra = analysis.run.analysis(analysis.name)["configuration"], analysis.spectra
    last = spectra[-1]
    counts = {len(spectrum.eigenvalues) for spectrum in spectra}
    some = f"{counts.pop():,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"
    failed = sum(int((~spectrum.converged).sum()) for spectrum in spectra)
    total = sum(len(spectrum.eigenvalues) for spectrum in spectra)
    sources = last.provenance.get("error_sources")
    if not isinstance(sources, Mapping):
        sources = {}
    return facts(
        {
            "matrix": str(last.provenance.get("operator", known.get("operator", ""))),
            "samples": f"{counted(known.get('samples'))} of {counted(known.get('samples_total'))}",
            "dtype of the curvature": str(known.get("dtype", "")),
            "solver": str(last.provenance.get("solver", "")),
            "steps": f"{len(analysis.steps)}, from {analysis.steps[0]:,} to {analysis.steps[-1]:,}",
            "eigenvalues at each step": f"{some} of {last.dim:,}",
            "not converged": f"{failed:,} of {total:,} eigenvalues of all steps" if failed else "none",
            "largest error bound": _largest_bounds(spectra),
            "its sources, at the last step": ", ".join(
                f"{str(name).replace('_', ' ')} {value:.1g}" for name, value in sources.items() if is_number(value)
            ),
        }
    )


def _largest_bounds(spectra: Sequence[Spectrum]) -> str:
    """The largest error bound in each segment of converged eigenvalues, over all steps."""
    bounds: dict[str, float] = {}
    for spectrum in spectra:
        for name, part in spectrum.segments().items():
            bounds[name] = max(bounds.get(name, 0.0), float(spectrum.error_bounds[part].max()))
    return ", ".join(f"{bound:.1g} ({TITLES[name]})" for name, bound in bounds.items())


def _evolution(analysis: SpectrumAnalysis, axis: charts.StepAxis, metrics: Metrics | None) -> Section:
    text = (
        "<p>Every known eigenvalue at every analysed step, one dash each; of more than 1,000 at a step the dense ones "
        "are counted by colour. The axis of λ is logarithmic for both signs, and linear around zero."
    )
    drawn = [
        one_chart(
            "spectrum_evolution",
            f"Eigenvalues of the Hessian {at_steps(analysis.steps)}",
            charts.spectrum_evolution(axis, analysis.spectra),
        )
    ]
    if metrics is not None:
        text += " Loss and accuracy below it stand on the same steps."
        curves = charts.training_curves(axis, metrics)
        drawn.append(one_chart("training_curves", f"Loss and accuracy {at_steps(analysis.steps)}", curves))
    return Section("Spectrum and training", f"{text}</p>", drawn, is_aligned=True)


def _dendrograms(analysis: SpectrumAnalysis, steps: charts.StepAxis, segment: str) -> Section:
    trees, epsilon = analysis.dendrograms[segment], analysis.first_resolution(segment)
    clusters = int(trees[max(trees)].num_clusters(epsilon))
    moving = charts.dendrogram_evolution(steps, trees, epsilon)
    moving.layout.sliders = moving.layout.updatemenus = ()  # the page has a slider that the keyboard reaches
    figures: dict[int | None, go.Figure] = {}
    for frame, position in zip(moving.frames, trees, strict=True):
        figure = go.Figure(data=frame.data, layout=moving.layout)
        figure.update_layout(frame.layout)
        figure.update_layout(
            showlegend=True,
            legend={"entrywidth": 195, "entrywidthmode": "pixels"},
            height=650,
            margin_b=190,  # room for the legend of any step, so that the panel keeps its size
        )
        figures[analysis.steps[position]] = figure
    text = (
        f"<p>The dendrogram of {_KNOWN[segment]} at each checkpoint; move the slider, or play it. Two clusters merge "
        "at the height of the gap between them. The dashed line is one resolution ε, at which the last step has "
        f"{clusters:,} clusters; the largest clusters at that ε are coloured. No merges are drawn in the shaded "
        "region; under the axis stands why.</p>"
    )
    chart = Chart("dendrogram", f"Dendrogram of {_KNOWN[segment]} {at_steps(list(figures))}", figures)
    return Section(f"Dendrogram of {_KNOWN[segment]}", text, [chart])


def _cluster_counts(analysis: SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>How many clusters there are at each resolution ε, over training: in colour, and as one curve for each "
        "step. Where numerical errors alone could change the number it is hatched or dotted.</p>"
    )
    heatmap, curves = (
        make(axis, analysis.spectra) for make in (charts.cluster_count_heatmap, charts.cluster_count_curves)
    )
    return Section(
        "Number of clusters n(ε)",
        text,
        [
            one_chart(
                "cluster_count", f"Number of clusters over resolution and step {at_steps(analysis.steps)}", heatmap
            ),
            one_chart("cluster_count_curves", f"Number of clusters over resolution {at_steps(analysis.steps)}", curves),
        ],
    )


def _gaps(analysis: SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>The six largest gaps between neighbouring eigenvalues at every step. A line follows a rank, not one gap "
        "between the same eigenvalues; hover to see where a gap is.</p>"
    )
    figure = charts.largest_gaps(axis, analysis.spectra)
    return Section(
        "Largest gaps", text, [one_chart("gaps", f"The six largest gaps {at_steps(analysis.steps)}", figure)]
    )


def _barcodes(analysis: SpectrumAnalysis) -> Section:
    text = (
        "<p>A bar is a cluster: whole from its left end, merged with a neighbour at its right end. The longest bars "
        "are shown, by their length in units of λ, which is not what they measure on the logarithmic axis.</p>"
    )
    drawn = []
    for segment, trees in analysis.dendrograms.items():
        figures: dict[int | None, go.Figure] = {
            analysis.steps[position]: charts.barcode_chart(
                tree, title=f"step {analysis.steps[position]:,}, {TITLES[segment]}"
            )
            for position, tree in trees.items()
        }
        drawn.append(Chart("barcode", f"Barcode of {_KNOWN[segment]} {at_steps(list(figures))}", figures))
    return Section("Barcode", text, drawn)


def _level_statistics(analysis: SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>The mean ratio r of neighbouring gaps, the smaller to the larger: 0.531 for one large random symmetric "
        "matrix, lower where the spectrum is a superposition of independent blocks. A ratio counts only where the gaps "
        "around it are well above their errors.</p>"
    )
    chosen = key_positions(len(analysis.steps), 3)
    along = charts.gap_ratio_along_spectrum(
        {analysis.steps[i]: analysis.spectra[i] for i in chosen}, title="along the spectrum"
    )
    over = charts.gap_ratio_over_training(axis, analysis.spectra, title="over training")
    return Section(
        "Level statistics",
        text,
        [
            one_chart("gap_ratio", f"Mean gap ratio {at_steps(analysis.steps)}", over),
            one_chart("gap_ratio_along", f"Mean gap ratio along the spectrum at {len(set(chosen))} steps", along),
        ],
    )


def _summary(analysis: SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>Extreme and negative eigenvalues, trace and entropy over training. What a partial spectrum cannot tell is "
        "left out.</p>"
    )
    figure = charts.summary_chart(axis, analysis.spectra)
    columns = summary_columns(analysis.spectra)
    rows = [
        [
            f"{step:,}",
            *(with_error(columns[name][i], columns[f"{name}_error"][i]) for name in ("largest", "smallest", "trace")),
            with_error(columns["num_negative"][i]),
            with_error(columns["num_unresolved_sign"][i]),
            with_error(columns["entropy"][i], columns["entropy_error"][i]),
        ]
        for i, step in enumerate(analysis.steps)
    ]
    header = ["step", "largest λ", "smallest λ", "trace", "surely negative", "sign unresolved", "entropy (nats)"]
    numbers = table(header, rows, caption="Each with its error bound; that of an estimated trace is a standard error")
    description = f"Extreme and negative eigenvalues, trace and entropy {at_steps(analysis.steps)}"
    return Section(
        "Summary statistics", text, [one_chart("summary", description, figure)], folded("The same as a table", numbers)
    )


def _histogram(analysis: SpectrumAnalysis) -> Section:
    axis = axis_of_spectra(analysis.spectra)
    figures: dict[int | None, go.Figure] = {
        step: charts.eigenvalue_histogram(spectrum, axis=axis, title=f"step {step:,}")
        for step, spectrum in zip(analysis.steps, analysis.spectra, strict=True)
    }
    text = "<p>Eigenvalues counted in bins of equal length on the axis, at each checkpoint.</p>"
    return Section(
        "Histogram", text, [Chart("histogram", f"Histogram of the eigenvalues {at_steps(analysis.steps)}", figures)]
    )


def _fourier(
    analysis: SpectrumAnalysis, axis: charts.StepAxis, metrics: Metrics | None, measures: Measures
) -> Section | None:
    """The Fourier view of modular addition; `None` where it was not measured."""
    if not charts.has_fourier_measures(measures):
        return None
    figure = charts.fourier_chart(axis, analysis.spectra, measures, metrics or {})
    text = (
        "<p>The network represents numbers by sines and cosines of a few <em>key frequencies</em>. Under the largest "
        "eigenvalues, on the same steps: accuracy, the loss with and without the key frequencies, and how much of each "
        "frequency the embedding and the unembedding contain.</p>"
    )
    description = f"Largest eigenvalues, accuracy, losses and norms of the frequencies {at_steps(analysis.steps)}"
    return Section("Fourier measures", text, [one_chart("fourier", description, figure)])


def comparison_part(analyses: Mapping[str, SpectrumAnalysis]) -> Part:
    """All analyses at the last step that they share."""
    shared = set.intersection(*(set(analysis.steps) for analysis in analyses.values()))
    if not shared:
        return Part("The analyses beside each other", "<p>They share no step.</p>")
    step = max(shared)
    spectra = {name: one.spectra[one.steps.index(step)] for name, one in analyses.items()}
    text = f"<p>The same checkpoint, step {step:,}, in all analyses: leading eigenvalues by rank, and n(ε).</p>"
    description = f"Leading eigenvalues and numbers of clusters of {len(analyses)} analyses at step {step:,}"
    chart = one_chart("comparison", description, charts.comparison_chart(spectra))
    return Part("The analyses beside each other", "", [Section("At the last step that they share", text, [chart])])
