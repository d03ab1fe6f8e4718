"""Everything that reads a run directory, each as a function of the run and an output folder.

The commands are called as the console script calls them. The notebooks are followed cell by cell: what their cells
catch is printed as a told problem, what they do not catch would be an "internal error" on the page and is raised.
"""

import sys
from contextlib import contextmanager

import numpy as np

from hessian_dendrogram import charts
from hessian_dendrogram.apps import reading
from hessian_dendrogram.errors import HessianDendrogramError
from hessian_dendrogram.views.clusters import cluster_rows
from hessian_dendrogram.views.coupling import picture_limits
from hessian_dendrogram.views.filters import first_convolution
from hessian_dendrogram.views.steps import key_positions

try:
    from hessian_dendrogram.entry import main
except ImportError:
    from hessian_dendrogram.cli import main

PROBLEM = "problem: "
"""Begins a line that a notebook would show in place of a chart."""


def _command(*arguments):
    def call(run, out):
        filled = [text.replace("RUN", str(run)).replace("OUT", str(out)) for text in arguments]
        sys.argv = ["hessian-dendrogram", *filled]
        main()

    return call


@contextmanager
def _told():
    """What the notebooks catch, and show as one message."""
    try:
        yield
    except (HessianDendrogramError, OSError) as error:
        print(PROBLEM + repr(str(error))[1:-1])


def _spectrum(path, out):
    """The cells of the notebook `spectrum`."""
    run = names = None
    with _told():
        run = reading.open_run(path, "spectrum")
        names = reading.spectrum_analyses(run)
    known = {}
    for name in names or []:
        with _told():
            known[name] = reading.read_spectra(run, name)
    if not known:
        return
    metrics, problem = reading.read_metrics(run)
    if problem:
        print(PROBLEM + repr(problem)[1:-1])
    str(run.configuration.get("experiment", run.path.name))
    for analysis in known.values():
        _spectrum_views(run, analysis, metrics)
    first, *_, last = [*known.values(), *known.values()]
    charts.comparison_chart({"first": first.spectra[0], "last": last.spectra[-1]})


def _spectrum_views(run, analysis, metrics):
    """The tabs of one analysis, at every step."""
    axis, spectra, steps = charts.StepAxis.of(analysis.steps), analysis.spectra, analysis.steps
    assert analysis.title is not None
    for figure in (charts.spectrum_evolution, charts.cluster_count_heatmap, charts.largest_gaps, charts.summary_chart):
        figure(axis, spectra)
    charts.training_curves(axis, metrics)
    charts.gap_ratio_over_training(axis, spectra, title="over training")
    charts.gap_ratio_along_spectrum(dict(zip(steps, spectra, strict=True)), title="along the spectrum")
    for position, spectrum in enumerate(spectra):
        charts.eigenvalue_histogram(spectrum, title="here")
        charts.cluster_count_curves(axis, spectra, marked=position)
    for segment, trees in analysis.dendrograms.items():
        epsilon = analysis.first_resolution(segment)
        assert epsilon in analysis.resolutions(segment)
        charts.dendrogram_evolution(axis, trees, epsilon, shown=len(steps) - 1)
        for position, tree in trees.items():
            placed = {"axis": analysis.axis(segment), "heights": analysis.heights(segment)}
            charts.dendrogram_chart(tree, epsilon, **placed, title="here")
            charts.barcode_chart(tree, title="here")
            _cluster(run, analysis, position, segment, epsilon, cluster_rows(tree, epsilon)[0])
    if first_convolution(run.layout):
        with _told():
            name, weights = reading.weights_over_training(run, steps)
        if "weights" in locals() and weights:
            chosen = [list(weights)[i] for i in key_positions(len(weights), 8)]
            images, labels = [weights[step] for step in chosen], [f"{step:,}" for step in chosen]
            charts.filters_chart(labels, images, rows="step", title=name)


def _cluster(run, analysis, position, segment, epsilon, row):
    """The eigenvectors of the largest cluster."""
    cluster = None
    with _told():
        cluster = reading.read_cluster(analysis, position, segment, epsilon, row["from"])
    if cluster is None:
        return
    charts.cluster_eigenvalues(analysis.dendrograms[segment][position], cluster.start, cluster.stop)
    if len(cluster.numbers):
        charts.layer_shares(run.layout, cluster.numbers, cluster.eigenvalues, cluster.shares, title="shares")
    if cluster.filters:
        name = cluster.filter_name
        charts.filters_chart(cluster.filter_labels, cluster.filters, rows="eigenvector", unit="entry", title=name)


def _grokking(path, out):
    """The cells of the notebook `grokking` that the notebook `spectrum` has not."""
    run = names = None
    with _told():
        run = reading.open_run(path, "grokking")
        names = reading.spectrum_analyses(run)
    for name in names or []:
        analysis = measures = None
        with _told():
            analysis = reading.read_spectra(run, name)
            measures = reading.read_measures(analysis)
        if measures is None:
            continue
        metrics, _ = reading.read_metrics(run)
        axis = charts.StepAxis.of(analysis.steps)
        for end in ("top", "bottom"):
            charts.fourier_chart(axis, analysis.spectra, measures, metrics, end=end, most=40)
        charts.has_fourier_measures(measures)


def _fiedler(path, out):
    """The cells of the notebook `fiedler`."""
    run = names = None
    with _told():
        run = reading.open_run(path, "fiedler")
        names = reading.tree_analyses(run)
    for name in names or []:
        analysis = None
        with _told():
            analysis = reading.read_trees(run, name)
        if analysis is None:
            continue
        layout, (metrics, _) = run.layout, reading.read_metrics(run)
        axis, limits = charts.StepAxis.of(analysis.steps), picture_limits(analysis.pictures)
        assert analysis.title is not None
        charts.connectivity_chart(axis, analysis.trees)
        charts.training_curves(axis, metrics)
        charts.composition_chart(axis, analysis.trees, layout, k=6)
        for tree, picture in zip(analysis.trees, analysis.pictures, strict=True):
            charts.parameter_dendrogram(tree, layout, k=6, title="here")
            charts.coupling_chart(tree, picture, k=6, limits=limits, title="here")


def _weights(path, out):
    """What a reader of checkpoints in Python calls."""
    run, steps = None, []
    with _told():
        run = reading.open_run(path, "spectrum")
        steps = run.steps()
    for step in steps:
        with _told():
            assert all(isinstance(array, np.ndarray) for array in run.weights(step).values())


READERS = {
    "info": _command("info", "RUN"),
    "info --json": _command("info", "RUN", "--json"),
    "weights": _weights,
    "notebook fiedler": _fiedler,
    "notebook grokking": _grokking,
    "notebook spectrum": _spectrum,
    "compact": _command("compact", "RUN", "--to", "OUT/copy"),
    "export": _command("export", "RUN", "--html", "OUT/page.html"),
    "plot --to": _command("plot", "RUN", "--to", "OUT/figures"),
    "plot": _command("plot", "RUN"),
}
