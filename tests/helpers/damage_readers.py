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
from hessian_dendrogram.pages import apps, cuts, widgets
from hessian_dendrogram.pictures.film import film, frames
from hessian_dendrogram.statistics.clusters import cluster_rows
from hessian_dendrogram.store import Run, tables
from hessian_dendrogram.store.analysed import Cut, read

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


def _read(path, app):
    """The analyses that an app shows first, as far as they can be read."""
    run, names, known = None, [], []
    with _told():
        run, names = apps.open_app(app, path)
    for name in names:
        if run.kind(name) == apps.APPS[app].kind:
            with _told():
                known.append(read(run, name))
    for analysis in known[:1]:
        widgets.introduction(apps.APPS[app], run, analysis.kind)
        widgets.source(analysis)
    return known


def _tabs(analysis):
    """The tabs of one analysis, at every step."""
    ends = analysis.steps[0], analysis.steps[-1]
    for tab in widgets.tabs_of(analysis).values():
        widgets.drawn(analysis, ends, tab, _show)
        for position in range(len(analysis.steps)):
            widgets.drawn(analysis, position, tab, _show)


def _spectrum(path, out):
    """The cells of the app `spectrum`."""
    known = _read(path, "spectrum")
    for analysis in known:
        _tabs(analysis)
        for segment, moving in analysis.dendrograms.items():
            assert moving.epsilon in moving.resolutions
            made = frames(analysis.steps, moving.trees, moving.epsilon)
            film(made, shown=analysis.steps[-1]) if is_drawn else None
            for position, tree in moving.trees.items():
                row = cluster_rows(tree, moving.epsilon)[0]
                cut = Cut(analysis, position, segment, moving.epsilon, chosen=row["from"], name="here")
                _cut(cut)
                _cluster(cut)
    if known:
        _draw(pictures.comparison_of_spectra({"first": known[0].results[0], "last": known[-1].results[-1]}))


def _cut(cut):
    """The dendrogram, and what else there is of a cut."""
    for picture in cuts.pictures_of(cut).values():
        _draw(picture)


def _cluster(cut):
    """The eigenvectors of the largest cluster."""
    found = {}
    with _told():
        _, found = cuts.cluster_pictures(cut, cut.chosen)
    for picture in found.values():
        _draw(picture)


def _grokking(path, out):
    """The cells of the app `grokking` that the app `spectrum` has not."""
    for analysis in _read(path, "grokking"):
        ends = analysis.steps[0], analysis.steps[-1]
        for end in ("top", "bottom") if "Fourier" in widgets.tabs_of(analysis) else ():
            widgets.drawn(analysis, ends, widgets.fourier_tab(end, 40), _show)


def _parameter_dendrogram(path, out):
    """The cells of the app `parameter-dendrogram`."""
    for analysis in _read(path, "parameter-dendrogram"):
        _tabs(analysis)
        for position in range(len(analysis.steps)):
            _cut(Cut(analysis, position, "", 6, name="here"))


def _weights(path, out):
    """What a reader of checkpoints in Python calls."""
    run, steps = None, []
    with _told():
        run = Run(path)
        steps = run.steps()
    for step in steps:
        with _told():
            assert all(isinstance(array, np.ndarray) for array in run.weights(step).values())


def _tables(path, out):
    """Every table of every analysis, as `info --csv` and `Run.table` make them."""
    run, names = None, []
    with _told():
        run = Run(path)
        names = run.analyses(None)
    for table, known in tables.TABLES.items():
        for name in names:
            with _told():
                if run.kind(name) == known.kind:
                    tables.csv_of(run, table, name)
    if run:
        with _told():
            tables.csv_of(run, "metrics")


READERS = {
    "info": _command("info", "RUN"),
    "tables": _tables,
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
