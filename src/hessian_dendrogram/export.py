"""What the exported page of a run shows: charts in sections, each with a sentence of explanation.

What cannot be read costs its own part alone: that is left out, and one line says why. Everything in a run directory is
untrusted; its texts are escaped, for HTML and for the few tags that plotly knows in the texts of charts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TypeVar

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from . import atomic, charts, report
from .apps import reading
from .errors import DamagedRunError, HessianDendrogramError, UserError
from .fiedler import LAPLACIANS
from .layout import Layout
from .page import Chart, Part, Section, facts, page, table
from .spectrum import Spectrum
from .store import Run
from .views.coupling import picture_limits
from .views.eigenvalue_axis import axis_of_spectra
from .views.filters import first_convolution
from .views.measures import FOURIER
from .views.numbers import summary_columns
from .views.segments import TITLES
from .views.steps import key_positions

_CLUSTERS = 6  # of a tree that are marked
_TREES = 5  # steps whose trees are drawn
_FILTERS = 8  # steps whose filters are drawn
_KNOWN = {name: title if name == "all" else f"the {title}" for name, title in TITLES.items()}
Metrics = dict[str, NDArray[np.float64]]
T = TypeVar("T")


@dataclass(frozen=True)
class Exported:
    """What `export_page` wrote.

    Attributes:
        num_charts: on the page.
        num_bytes: of the file.
        left_out: one line for each part that could not be read.
    """

    num_charts: int
    num_bytes: int
    left_out: list[str]


def export_page(run: Run, file: Path, *, analysis: str | None = None) -> Exported:
    """Write one HTML page of a run, which opens without a network.

    Args:
        run: what to show.
        file: the page; one that is there is replaced.
        analysis: of spectra or of trees; default all.

    Raises:
        UserError: there is no such analysis, or none at all.
        DamagedRunError: none of them can be read.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder; name the HTML file to write")
    left_out: list[str] = []
    metrics = _try(left_out, "loss and accuracy", run.metrics)
    spectra, trees = _chosen(run, analysis)
    found = {name: _try(left_out, name, partial(reading.read_spectra, run, name)) for name in spectra}
    known = {name: one for name, one in found.items() if one}
    kinds = [
        [_try(left_out, name, partial(_spectra_part, one, metrics)) for name, one in known.items()],
        [_try(left_out, "comparison", partial(_comparison_part, known))] if len(known) > 1 else [],
        [_try(left_out, name, partial(_trees_part, run, name)) for name in trees],
    ]
    shown = [part for parts in kinds for part in _first_unfolded(parts)]
    if not shown:
        raise DamagedRunError(f"nothing of {run.path} can be exported: {'; '.join(left_out)}")
    filters = _try(left_out, "filters", partial(_filters, run))
    shown.insert(0, _run_part(run, metrics, [filters] if filters else []))
    experiment = str(run.configuration.get("experiment", run.path.name))
    text = page(f"Hessian of {experiment} over training", _introduction(left_out), shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(file, text)
    count = sum(len(section.charts) for part in shown for section in part.sections)
    return Exported(count, len(text.encode()), left_out)


def _try(left_out: list[str], what: str, make: Callable[[], T]) -> T | None:
    """Make something of the run directory, or note in one line why that cannot be."""
    try:
        return make()
    except (HessianDendrogramError, OSError) as error:
        problem = str(error)
    except Exception as error:  # contents that can be read and make no sense: whatever they break, the rest is shown
        problem = f"{type(error).__name__}: {error}"
    left_out.append(f"{what}: {' '.join(problem.split())}")
    return None


def _first_unfolded(parts: Sequence[Part | None]) -> list[Part]:
    """What could be made; of several the first is unfolded."""
    made = [part for part in parts if part]
    return [replace(part, is_open=number == 0) for number, part in enumerate(made)]


def _chosen(run: Run, analysis: str | None) -> tuple[list[str], list[str]]:
    """The analyses with spectra and those with trees to show, each with the one of most samples first."""
    spectra, trees = run.analyses(), run.bipartition_analyses()
    if not spectra + trees:
        raise UserError(f"{run.path} has no analysis to export; take one with `hessian-dendrogram analyse`")
    if analysis is not None:
        if analysis not in spectra + trees:
            raise UserError(f"{run.path} has no analysis {analysis!r}; it has: {', '.join(spectra + trees)}")
        spectra, trees = ([name for name in names if name == analysis] for names in (spectra, trees))

    def most_samples_first(name: str) -> tuple[int, str]:
        known = _try([], name, lambda: run.analysis(name)["configuration"].get("samples"))
        return -known if isinstance(known, int) else 0, name

    return sorted(spectra, key=most_samples_first), sorted(trees, key=most_samples_first)


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _introduction(left_out: Sequence[str]) -> str:
    text = (
        "<p>At every analysed training checkpoint stand the eigenvalues λ of the second derivative of the loss, the "
        "Hessian. At resolution ε, neighbours that are at most ε apart are one <em>cluster</em>; over all ε that is "
        "the <em>eigenvalue dendrogram</em>, whose merge heights are the spectral gaps. Hover over anything to "
        "read its value and error; drag to zoom in, double-click to zoom out.</p>\n"
        "<p>Grey, hatched or hollow is <em>unresolved</em>: not larger than its numerical error. Hatched stripes are "
        "<em>holes</em>, where eigenvalues were not computed. Crosses have not converged. An error bound says that "
        "<em>some</em> true eigenvalue is within it; it says nothing about the sampling error of the data.</p>"
    )
    if left_out:
        lines = "".join(f"<li>{escape(line)}</li>" for line in left_out)
        text += f'\n<div class="problems"><strong>Left out, because it cannot be read:</strong><ul>{lines}</ul></div>'
    return text


def _run_part(run: Run, metrics: Metrics | None, sections: Sequence[Section]) -> Part:
    known, origin, steps = run.configuration, run.record.get("provenance", {}), run.steps()
    versions = origin.get("versions")
    layout = zip(run.layout.names, run.layout.shapes, strict=True)
    described = {
        "experiment": str(known.get("experiment", "")),
        "parameters": f"{run.layout.size:,}, in {len(run.layout.names)} tensors",
        "training samples": _number(known.get("training_samples")),
        "batch size": "all samples" if known.get("batch_size", 0) is None else _number(known.get("batch_size")),
        "training steps": _number(known.get("steps")),
        "seed": str(known.get("seed", "")),
        "checkpoints": f"{known.get('checkpoints', 'stored')}; {len(steps)} stored here",
        "last measured": report.in_words(report.last_metrics(run)) if metrics is not None else "",
        "optimiser": str(origin.get("optimizer") or ""),
        "versions": ", ".join(f"{name} {one}" for name, one in versions.items()) if isinstance(versions, dict) else "",
    }
    shapes = [[name, " × ".join(map(str, shape)) or "scalar"] for name, shape in layout]
    tensors = table(["tensor", "shape"], shapes, caption="Parameters, in the order of the Hessian's rows")
    text = f"{facts(described)}\n{_folded('The parameters', tensors)}"
    return Part("The run", text, sections)


def _filters(run: Run) -> Section | None:
    """The filters of the first convolution at a few of the stored checkpoints; `None` where there is none."""
    steps = run.steps()
    if first_convolution(run.layout) is None or not steps:
        return None
    chosen = [steps[position] for position in key_positions(len(steps), _FILTERS)]
    name, weights = reading.weights_over_training(run, chosen)
    figure = charts.filters_chart(
        [f"{step:,}" for step in weights],
        list(weights.values()),
        rows="training step",
        title=f"filters of {_plain(name)}",
    )
    text = "<p>The weights of the model's first convolution, one row for each of a few checkpoints.</p>"
    return Section("Learned filters", text, [_chart("filters", "Filters of the first convolution as images", figure)])


# ── spectra ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _spectra_part(analysis: reading.SpectrumAnalysis, metrics: Metrics | None) -> Part:
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
    if fourier := _fourier(analysis, axis, metrics):
        sections.append(fourier)
    drawn = [section for section in sections if section.charts]
    return Part(f"Spectra: {analysis.name}", _spectra_facts(analysis), drawn)


def _spectra_facts(analysis: reading.SpectrumAnalysis) -> str:
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
            "samples": f"{_number(known.get('samples'))} of {_number(known.get('samples_total'))}",
            "dtype of the curvature": str(known.get("dtype", "")),
            "solver": str(last.provenance.get("solver", "")),
            "steps": f"{len(analysis.steps)}, from {analysis.steps[0]:,} to {analysis.steps[-1]:,}",
            "eigenvalues at each step": f"{some} of {last.dim:,}",
            "not converged": f"{failed:,} of {total:,} eigenvalues of all steps" if failed else "none",
            "largest error bound": _largest_bounds(spectra),
            "its sources, at the last step": ", ".join(
                f"{str(name).replace('_', ' ')} {value:.1g}" for name, value in sources.items() if _is_number(value)
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


def _evolution(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis, metrics: Metrics | None) -> Section:
    text = (
        "<p>Every known eigenvalue at every analysed step, one dash each; where they are dense, colour counts them. "
        "The axis of λ is logarithmic for both signs, and linear around zero."
    )
    drawn = [
        _chart(
            "spectrum_evolution",
            f"Eigenvalues of the Hessian {_at(analysis.steps)}",
            charts.spectrum_evolution(axis, analysis.spectra),
        )
    ]
    if metrics is not None:
        text += " Loss and accuracy below it stand on the same steps."
        curves = charts.training_curves(axis, metrics)
        drawn.append(_chart("training_curves", f"Loss and accuracy {_at(analysis.steps)}", curves))
    return Section("Spectrum and training", f"{text}</p>", drawn, is_aligned=True)


def _dendrograms(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis, segment: str) -> Section:
    trees, epsilon = analysis.dendrograms[segment], analysis.first_resolution(segment)
    moving = charts.dendrogram_evolution(axis, trees, epsilon)
    layout = moving.layout.to_plotly_json()
    for name in ("sliders", "updatemenus"):  # in their place stands a slider that the keyboard reaches
        layout.pop(name, None)
    figures: dict[int | None, go.Figure] = {}
    for frame, (position, tree) in zip(moving.frames, trees.items(), strict=True):
        step = analysis.steps[position]
        number = f"{int(tree.num_clusters(epsilon)):,}" if epsilon > tree.resolution else "unresolved"
        title = {"text": f"step {step:,}; ε = {epsilon:.3g}: n(ε) = {number}"}
        more = {"title": title, "showlegend": True, "height": 600}
        figures[step] = go.Figure(data=frame.data, layout={**layout, **more})
    text = (
        f"<p>The dendrogram of {_KNOWN[segment]} at each checkpoint; move the slider, or play it. Two clusters merge "
        "at the height of the gap between them. The dashed line is one resolution ε, at which the six largest gaps of "
        "the last step are open; the clusters at that ε are coloured. No merges are drawn in the shaded region; the "
        "legend says why.</p>"
    )
    chart = Chart("dendrogram", f"Dendrogram of {_KNOWN[segment]} {_at(list(figures))}", figures)
    return Section(f"Dendrogram of {_KNOWN[segment]}", text, [chart])


def _cluster_counts(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis) -> Section:
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
            _chart("cluster_count", f"Number of clusters over resolution and step {_at(analysis.steps)}", heatmap),
            _chart("cluster_count_curves", f"Number of clusters over resolution {_at(analysis.steps)}", curves),
        ],
    )


def _gaps(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>The six largest gaps between neighbouring eigenvalues at every step. A line follows a rank, not one gap "
        "between the same eigenvalues; hover to see where a gap is.</p>"
    )
    figure = charts.largest_gaps(axis, analysis.spectra)
    return Section("Largest gaps", text, [_chart("gaps", f"The six largest gaps {_at(analysis.steps)}", figure)])


def _barcodes(analysis: reading.SpectrumAnalysis) -> Section:
    text = (
        "<p>A bar is a cluster: whole from its left end, merged with a neighbour at its right end. The longest bars "
        "are shown.</p>"
    )
    drawn = []
    for segment, trees in analysis.dendrograms.items():
        figures: dict[int | None, go.Figure] = {
            analysis.steps[position]: charts.barcode_chart(
                tree, title=f"step {analysis.steps[position]:,}, {TITLES[segment]}"
            )
            for position, tree in trees.items()
        }
        drawn.append(Chart("barcode", f"Barcode of {_KNOWN[segment]} {_at(list(figures))}", figures))
    return Section("Barcode", text, drawn)


def _level_statistics(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>The mean ratio r of neighbouring gaps, the smaller to the larger: 0.531 for one large random symmetric "
        "matrix, lower where the spectrum is a superposition of independent blocks. Only ratios well above the errors "
        "count.</p>"
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
            _chart("gap_ratio", f"Mean gap ratio {_at(analysis.steps)}", over),
            _chart("gap_ratio_along", f"Mean gap ratio along the spectrum at {len(set(chosen))} steps", along),
        ],
    )


def _summary(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis) -> Section:
    text = (
        "<p>Extreme and negative eigenvalues, trace and entropy over training. What a partial spectrum cannot tell is "
        "left out.</p>"
    )
    figure = charts.summary_chart(axis, analysis.spectra)
    columns = summary_columns(analysis.spectra)
    rows = [
        [
            f"{step:,}",
            *(_value(columns[name][i], columns[f"{name}_error"][i]) for name in ("largest", "smallest", "trace")),
            _value(columns["num_negative"][i]),
            _value(columns["num_unresolved_sign"][i]),
            _value(columns["entropy"][i], columns["entropy_error"][i]),
        ]
        for i, step in enumerate(analysis.steps)
    ]
    header = ["step", "largest λ", "smallest λ", "trace", "surely negative", "sign unresolved", "entropy (nats)"]
    numbers = table(header, rows, caption="Each with its error bound; that of an estimated trace is a standard error")
    description = f"Extreme and negative eigenvalues, trace and entropy {_at(analysis.steps)}"
    return Section(
        "Summary statistics", text, [_chart("summary", description, figure)], _folded("The same as a table", numbers)
    )


def _histogram(analysis: reading.SpectrumAnalysis) -> Section:
    axis = axis_of_spectra(analysis.spectra)
    figures: dict[int | None, go.Figure] = {
        step: charts.eigenvalue_histogram(spectrum, axis=axis, title=f"step {step:,}")
        for step, spectrum in zip(analysis.steps, analysis.spectra, strict=True)
    }
    text = "<p>Eigenvalues counted in bins of equal length on the axis, at each checkpoint.</p>"
    return Section(
        "Histogram", text, [Chart("histogram", f"Histogram of the eigenvalues {_at(analysis.steps)}", figures)]
    )


def _fourier(analysis: reading.SpectrumAnalysis, axis: charts.StepAxis, metrics: Metrics | None) -> Section | None:
    """The Fourier view of modular addition; `None` where it was not measured."""
    measures = [analysis.run.measures(step, analysis.name) for step in analysis.steps]
    if not all(isinstance(row, dict) and name in row for row in measures for name in FOURIER):
        return None
    figure = charts.fourier_chart(axis, analysis.spectra, measures, metrics or {})
    text = (
        "<p>The network represents numbers by sines and cosines of a few <em>key frequencies</em>. Under the largest "
        "eigenvalues, on the same steps: accuracy, the loss with and without the key frequencies, and how much of each "
        "frequency the embedding and the unembedding contain.</p>"
    )
    description = f"Largest eigenvalues, accuracy, losses and norms of the frequencies {_at(analysis.steps)}"
    return Section("Fourier measures", text, [_chart("fourier", description, figure)])


def _comparison_part(analyses: Mapping[str, reading.SpectrumAnalysis]) -> Part:
    """All analyses at the last step that they share."""
    shared = set.intersection(*(set(analysis.steps) for analysis in analyses.values()))
    if not shared:
        return Part("The analyses beside each other", "<p>They share no step.</p>")
    step = max(shared)
    spectra = {_plain(name): one.spectra[one.steps.index(step)] for name, one in analyses.items()}
    text = f"<p>The same checkpoint, step {step:,}, in all analyses: leading eigenvalues by rank, and n(ε).</p>"
    description = f"Leading eigenvalues and numbers of clusters of {len(analyses)} analyses at step {step:,}"
    chart = _chart("comparison", description, charts.comparison_chart(spectra))
    return Part("The analyses beside each other", "", [Section("At the last step that they share", text, [chart])])


# ── trees ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _trees_part(run: Run, name: str) -> Part:
    analysis = reading.read_trees(run, name)
    if unknown := {tree.laplacian for tree in analysis.trees} - set(LAPLACIANS):
        raise DamagedRunError(f"a tree has the Laplacian {unknown.pop()!r}, which is none of {', '.join(LAPLACIANS)}")
    axis, trees = charts.StepAxis.of(analysis.steps), analysis.trees
    # Names of layers stand in charts.
    layout = Layout(tuple(map(_plain, run.layout.names)), run.layout.shapes)
    chosen = key_positions(len(trees), _TREES)
    limits = picture_limits(analysis.pictures)
    dendrograms: dict[int | None, go.Figure] = {}
    pictures: dict[int | None, go.Figure] = {}
    for position in chosen:
        step, tree = analysis.steps[position], trees[position]
        dendrograms[step] = charts.parameter_dendrogram(tree, layout, k=_CLUSTERS, title=f"step {step:,}")
        pictures[step] = charts.coupling_chart(
            tree, analysis.pictures[position], k=_CLUSTERS, limits=limits, title=f"step {step:,}"
        )
    sections = [
        Section(
            "How well the graph holds together",
            "<p>The algebraic connectivity λ₂ of the coupling graph, its first cut, and the <em>isolated</em> "
            "parameters, which are coupled to none. A small λ₂ says that the graph nearly falls apart.</p>",
            [
                _chart(
                    "connectivity",
                    f"Algebraic connectivity, first cut and isolated parameters {_at(analysis.steps)}",
                    charts.connectivity_chart(axis, trees),
                )
            ],
        ),
        Section(
            "Composition of the largest clusters",
            f"<p>Which layers the {_CLUSTERS} largest clusters of the tree are made of.</p>",
            [
                _chart(
                    "composition",
                    f"Parameters by layer in the largest clusters {_at(analysis.steps)}",
                    charts.composition_chart(axis, trees, layout, k=_CLUSTERS),
                )
            ],
        ),
        Section(
            "Parameter dendrogram",
            "<p>The tree of cuts at a few checkpoints, coloured by layer. Heights are levels: they say how often a "
            "part was cut, nothing else. Where the Fiedler vector is one of many (a degenerate λ₂) the cut is "
            "arbitrary, and its mark hollow.</p>",
            [Chart("parameter_dendrogram", f"Parameter dendrogram {_at(list(dendrograms))}", dendrograms)],
        ),
        Section(
            "|H| in the order of the tree",
            f"<p>The magnitude of the Hessian's entries, averaged over blocks, with the borders of {_CLUSTERS} "
            "clusters.</p>",
            [Chart("coupling", f"Reordered Hessian as a picture {_at(list(pictures))}", pictures)],
        ),
    ]
    text = (
        "<p>The magnitude |H<sub>ij</sub>| couples parameters i and j. The graph of these couplings is cut in two "
        "along its <em>Fiedler vector</em>, and both parts again: a <em>parameter dendrogram</em>.</p>"
    )
    return Part(f"Parameter dendrograms: {name}", f"{text}{_tree_facts(analysis)}", sections)


def _tree_facts(analysis: reading.TreeAnalysis) -> str:
    known, tree = analysis.run.analysis(analysis.name)["configuration"], analysis.trees[-1]
    return facts(
        {
            "samples": f"{_number(known.get('samples'))} of {_number(known.get('samples_total'))}",
            "dtype of the curvature": str(known.get("dtype", "")),
            "Laplacian": tree.laplacian,
            "cut at": tree.split,
            "parts not cut any more": f"below {tree.min_size:,} parameters",
            "steps": f"{len(analysis.steps)}, from {analysis.steps[0]:,} to {analysis.steps[-1]:,}",
            "last step": report.describe_tree(tree),
        }
    )


# ── words and numbers ────────────────────────────────────────────────────────────────────────────────────────────────


def _chart(name: str, description: str, figure: go.Figure) -> Chart:
    return Chart(name, description, {None: figure})


def _at(steps: Sequence[int | None]) -> str:
    if len(steps) == 1:
        return f"at training step {steps[0]:,}"
    return f"at {len(steps)} training steps, from {steps[0]:,} to {steps[-1]:,}"


def _folded(title: str, content: str) -> str:
    return f'<details class="numbers"><summary>{title}</summary>\n{content}\n</details>'


def _plain(text: str | None) -> str:
    """A text that plotly shows as it is, whatever tags are in it."""
    return escape(text or "", quote=False)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _value(value: float, error: float | None = None) -> str:
    """A number with its error; what is not known is a dash."""
    if not np.isfinite(value):
        return "—"
    return f"{value:,.6g}" + ("" if error is None else f" ± {error:.1g}")
