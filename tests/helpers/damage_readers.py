"""Everything that reads a run directory, each as a function of the run and an output folder.

The commands are called as the console script calls them. The notebooks are followed cell by cell: what their cells
catch is printed as a told problem, what they do not catch would be an "internal error" on the page and is raised.
"""

import sys
from contextlib import contextmanager

import marimo as mo
import numpy as np

from hessian_dendrogram import pictures
from hessian_dendrogram.errors import HessianDendrogramError
from hessian_dendrogram.pages import clusters, opening, widgets
from hessian_dendrogram.pictures.analysed import read
from hessian_dendrogram.pictures.clusters import cluster_rows
from hessian_dendrogram.pictures.coupling import picture_limits
from hessian_dendrogram.pictures.film import frames
from hessian_dendrogram.pictures.film_on_screen import film
from hessian_dendrogram.pictures.fourier import has_measures

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
        _warning(error)


def _warning(text):
    print(PROBLEM + repr(str(text))[1:-1])
    return mo.md("")


widgets.warning = _warning


is_drawn = True
"""Whether notebooks draw what they show, as `export` always does."""


def _draw(picture):
    if is_drawn:
        picture.chart()


def _show(name, picture):
    _draw(picture)
    return mo.md("")


def _read(path, notebook):
    """The run and the analyses that a notebook shows, each as far as it can be read."""
    run, names, known = None, [], []
    with _told():
        run = opening.open_run(path, notebook)
        names = opening.analyses(run, notebook)
    with _told():
        opening.confirm(run, notebook) if names else None
    for name in names:
        with _told():
            known.append(read(run, name))
    if known:
        widgets.metrics_warning(run)
        str(run.configuration.get("experiment", run.path.name))
    return known


def _tabs(analysis):
    """The tabs of one analysis, at every step."""
    axis = pictures.Steps.of(analysis.steps)
    assert analysis.title is not None
    for tab in widgets.tabs_of(analysis).values():
        widgets.over_training(analysis, axis, tab, _show)
        for position in range(len(analysis.steps)):
            widgets.at_step(analysis, position, tab, _show)


def _spectrum(path, out):
    """The cells of the notebook `spectrum`."""
    known = _read(path, "spectrum")
    for analysis in known:
        _tabs(analysis)
        for segment, moving in analysis.dendrograms.items():
            assert moving.epsilon in moving.resolutions
            made = frames(analysis.steps, moving.trees, moving.epsilon)
            film(made, shown=analysis.steps[-1]) if is_drawn else None
            for position, tree in moving.trees.items():
                row = cluster_rows(tree, moving.epsilon)[0]
                _draw(moving.picture(position, chosen=row["from"], title="here"))
                _cluster(analysis, position, segment, moving.epsilon, row)
    if known:
        _draw(pictures.comparison_of_spectra({"first": known[0].results[0], "last": known[-1].results[-1]}))


def _cluster(analysis, position, segment, epsilon, row):
    """The eigenvectors of the largest cluster."""
    cluster = None
    with _told():
        cluster = clusters.read_cluster(analysis, position, segment, epsilon, row["from"])
    if cluster is None:
        return
    _draw(pictures.cluster_eigenvalues(analysis.dendrograms[segment].trees[position], cluster.start, cluster.stop))
    if len(cluster.numbers):
        _draw(pictures.layer_shares(analysis.layout, cluster.numbers, cluster.eigenvalues, cluster.shares))
    if cluster.filters:
        options = {"rows": "eigenvector", "unit": "entry", "title": cluster.filter_name}
        _draw(pictures.filters(cluster.filter_labels, cluster.filters, **options))


def _grokking(path, out):
    """The cells of the notebook `grokking` that the notebook `spectrum` has not."""
    for analysis in _read(path, "grokking"):
        is_measured = False
        with _told():
            is_measured = has_measures(analysis.measures)
        axis = pictures.Steps.of(analysis.steps)
        for end in ("top", "bottom") if is_measured else ():
            options = {"metrics": analysis.metrics, "ends": (end,), "most": 40}
            _draw(pictures.fourier(axis, analysis.results, analysis.measures, **options))
        _draw(pictures.training_curves(axis, analysis.metrics))


def _parameter_dendrogram(path, out):
    """The cells of the notebook `parameter_dendrogram`."""
    for analysis in _read(path, "parameter-dendrogram"):
        _tabs(analysis)
        images = [tree.picture for tree in analysis.results]
        for one in zip(analysis.steps, analysis.results, images, strict=True):
            step, tree, image = ([part] for part in one)
            _draw(pictures.parameter_dendrogram(step, tree, analysis.layout, k=6, title="here"))
            _draw(pictures.coupling(step, tree, image, k=6, limits=picture_limits(images), title="here"))


def _weights(path, out):
    """What a reader of checkpoints in Python calls."""
    run, steps = None, []
    with _told():
        run = opening.open_run(path, "spectrum")
        steps = run.steps()
    for step in steps:
        with _told():
            assert all(isinstance(array, np.ndarray) for array in run.weights(step).values())


READERS = {
    "info": _command("info", "RUN"),
    "info --json": _command("info", "RUN", "--json"),
    "weights": _weights,
    "notebook parameter-dendrogram": _parameter_dendrogram,
    "notebook grokking": _grokking,
    "notebook spectrum": _spectrum,
    "compact": _command("compact", "RUN", "--to", "OUT/copy"),
    "export": _command("export", "RUN", "--html", "OUT/page.html"),
    "plot --to": _command("plot", "RUN", "--to", "OUT/figures"),
    "plot": _command("plot", "RUN"),
}
