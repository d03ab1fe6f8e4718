"""Cut dendrograms: their pictures, their clusters as a table, one of these with its eigenvectors, two side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import marimo as mo
import numpy as np
from numpy.typing import NDArray

from ..pictures import (
    PICTURES,
    Picture,
    cluster_effects,
    cluster_eigenvalues,
    comparison_of_spectra,
    filters,
    layer_shares,
)
from ..pictures.filters import first_convolution
from ..statistics.cut import chosen_cluster, written_rows
from ..statistics.dendrogram import single_linkage
from ..statistics.measured import eigenvalue_of, scale_of
from ..store.analysed import Cut
from ..store.beside import directions_of_cluster
from ..store.tree_rows import cluster_rows
from .widgets import PROBLEMS, Show, chooser, warning, with_sentences

_MOST = 8  # eigenvectors that are shown as filters
_FORMATS: dict[str, Any] = dict.fromkeys(("from", "to"), "{:.5g}") | {"width": "{:.3g}", "error bound": "{:.1g}"}


def pictures_of(cut: Cut) -> dict[str, Picture]:
    """The dendrogram, and what else there is of a cut; nothing where no eigenvalue of the segment has converged."""
    made = {name: known.cut(cut) for name, known in PICTURES.items() if known.of == cut.of.kind and known.cut}
    return {name: picture for name, picture in made.items() if picture}


def charts(cut: Cut, show: Show, choose: Callable[[float], None]) -> list[mo.Html]:
    """The pictures of a cut; a click on a cluster chooses its lowest eigenvalue."""
    drawn = {name: picture.chart() for name, picture in pictures_of(cut).items()}

    def told(low: float) -> None:
        choose(eigenvalue_of(cut.tree, low))

    shown: list[mo.Html] = [show(name, chart, on_change=chooser(chart, told)) for name, chart in drawn.items()]
    if cut.of.kind == "tree" and cut.result.vertices == "groups":
        shown.append(groups_table(cut))
    return shown or [warning(cut.problem)]


def groups_table(cut: Cut) -> mo.ui.table:
    """The clusters of a tree of groups, with the names of what is in each."""
    rows = cluster_rows(cut.result, cut.of.layout.names, int(cut.at))
    label = f"Clusters of cut({int(cut.at)}), numbered in the order of the tree, the largest first"
    return mo.ui.table(rows, label=label, selection=None, page_size=10, wrapped_columns=["names"])


def cluster_table(cut: Cut, choose: Callable[[float], None]) -> mo.ui.table:
    """The largest clusters; that of the chosen eigenvalue is selected, and to select one chooses its lowest."""
    tree, chosen = cut.tree, cut.chosen
    assert tree is not None
    rows, total = written_rows(tree, cut.at), int(tree.num_clusters(cut.at))
    number = found[0] + 1 if (found := chosen_cluster(tree, cut.at, chosen)) else None
    order = "the largest first" if len(rows) == total else f"the {len(rows):,} largest of {total:,}"

    def on_change(selected: Any) -> None:
        if selected:
            choose(eigenvalue_of(tree, selected[0]["from"]))

    label = f"Clusters at ε{scale_of(tree).table}, {order}; select one here, or click its mark in the chart"
    selected = [i for i, row in enumerate(rows) if row["cluster"] == number]
    look: Any = {"label": label, "page_size": 6, "format_mapping": _FORMATS}
    return mo.ui.table(rows, selection="single", initial_selection=selected, on_change=on_change, **look)


def selected_cluster(cut: Cut, show: Show) -> mo.Html:
    """What is known of the cluster of the chosen eigenvalue."""
    assert cut.tree is not None
    if cut.chosen is None or chosen_cluster(cut.tree, cut.at, cut.chosen) is None:
        return mo.md("*No cluster is selected.*")
    try:
        size, found = cluster_pictures(cut, cut.chosen)
    except PROBLEMS as error:
        return warning(f"The cluster's eigenvectors cannot be read. {error}")
    parts = [mo.md(f"### Selected cluster: {size:,} eigenvalue{'s' if size > 1 else ''}")]
    parts += with_sentences(found.items(), show)
    parts += [] if "cluster_shares" in found else [mo.md("No eigenvector of this cluster is stored.")]
    return mo.vstack(parts)


def cluster_pictures(cut: Cut, eigenvalue: float) -> tuple[int, dict[str, Picture]]:
    """How many eigenvalues a cluster has, and these, the layers and the filters of what is stored of its vectors."""
    analysis, spectrum, layout, tree = cut.of, cut.result, cut.of.layout, cut.tree
    assert tree is not None
    cluster = chosen_cluster(tree, cut.at, eigenvalue)
    assert cluster is not None
    numbers, shares = analysis.run.shares(cut.step, analysis.name)
    part = spectrum.segments()[cut.segment]
    start, stop = (end + part.stop - len(tree.eigenvalues) for end in cluster[1:])  # a tree may lack those below
    inside = (numbers >= start) & (numbers < stop)
    numbers, shares, size = numbers[inside], shares[:, inside], stop - start
    segment = single_linkage(spectrum, cut.segment)
    found = {"cluster": cluster_eigenvalues(segment, start - part.start, stop - part.start)}
    if len(numbers):
        title = f"layers of its eigenvectors, where stored: {len(numbers):,} of {size:,}"
        values = spectrum.eigenvalues[numbers]
        found["cluster_shares"] = layer_shares(layout, numbers, values, shares, title=title)
        if (name := first_convolution(layout)) and (picture := _as_filters(cut, numbers, name)):
            found["cluster_filters"] = picture
    if beside := directions_of_cluster(analysis, cut.step, *spectrum.eigenvalues[[start, stop - 1]].tolist()):
        name, result, chosen = beside
        title = f"what it does, by {name}"
        found["cluster_effects"] = cluster_effects(result, chosen.tolist(), analysis.run.layout_of(name), title=title)
    return size, found


def _as_filters(cut: Cut, numbers: NDArray[np.int64], name: str) -> Picture | None:
    """The entries of a convolution in those of these eigenvectors that are stored, the largest magnitudes first."""
    layout, spectrum = cut.of.layout, cut.of.run.spectrum(cut.step, cut.of.name)
    columns = np.flatnonzero(np.isin(spectrum.vector_indices, numbers))
    values = spectrum.eigenvalues[spectrum.vector_indices[columns]]
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST]
    shape, part = layout.shapes[layout.names.index(name)], layout.slice(name)
    images = [spectrum.eigenvectors[part, column].reshape(shape) for column in columns[order]]
    labels = [f"λ = {value:.4g}" for value in values[order]]
    if not images:
        return None
    return filters(labels, images, rows="eigenvector", unit="entry", title=f"eigenvectors on {name}")


def compared(left: Cut, right: Cut, show: Show) -> mo.Html:
    """Two cuts beside each other where the page is wide enough, and of spectra what they have in common."""
    both = {cut: f"{cut.of.name}, step {cut.step:,}" for cut in (left, right)}
    columns = []
    for cut, name in both.items():
        made = pictures_of(replace(cut, beside=(left, right), name=name))
        shown = [show(key, picture) for key, picture in made.items()]
        columns.append(mo.vstack(shown or [warning(f"{name}: {cut.problem}")]))
    style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr))"
    parts = [
        mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
        mo.Html(f'<div style="{style}">{"".join(column.text for column in columns)}</div>'),
    ]
    if len(spectra := {name: cut.result for cut, name in both.items() if cut.of.kind == "spectrum"}) > 1:
        parts += [] if left.of.measured_in == "absolute" else [mo.md("Below, ε is in units of λ again.")]
        parts.append(show("comparison", comparison_of_spectra(spectra)))
    elif spectra:
        parts.append(mo.md("Both sides are the same."))
    return mo.vstack(parts)
