"""The clusters of a cut eigenvalue dendrogram as a table, and one of them with its eigenvectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marimo as mo
import numpy as np
from numpy.typing import NDArray

from ..pictures import Picture, cluster_eigenvalues, filters, layer_shares
from ..pictures.clusters import cluster_rows, clusters_at, nearest_eigenvalue
from ..pictures.filters import first_convolution
from ..statistics.dendrogram import Dendrogram
from .dendrograms import Cut
from .widgets import PROBLEMS, Show, warning, with_sentences

_MOST = 8  # eigenvectors that are shown as filters
_FORMATS: dict[str, Any] = dict.fromkeys(("from", "to"), "{:.5g}") | {"width": "{:.3g}", "error bound": "{:.1g}"}


def cluster_of(tree: Dendrogram, epsilon: float, eigenvalue: float) -> tuple[int, int, int]:
    """The cluster at ε of the known eigenvalue nearest to one: its number from 0, and where it begins and ends."""
    found = clusters_at(tree, epsilon)
    number = int(np.searchsorted(found.starts, nearest_eigenvalue(tree, eigenvalue), side="right")) - 1
    return number, int(found.starts[number]), int(found.stops[number])


def cluster_table(cut: Cut, chosen: float | None, choose: Callable[[float], None]) -> mo.ui.table:
    """The largest clusters; that of the `chosen` eigenvalue is selected, and to select one chooses its lowest."""
    tree, epsilon = cut.tree, cut.at
    assert tree is not None
    rows, total = cluster_rows(tree, epsilon), int(tree.num_clusters(epsilon))
    number = None if chosen is None else cluster_of(tree, epsilon, chosen)[0] + 1
    order = "the largest first" if len(rows) == total else f"the {len(rows):,} largest of {total:,}"

    def on_change(selected: Any) -> None:
        if selected:
            choose(selected[0]["from"])

    label = f"Clusters at ε, {order}; select one here, or click its mark in the chart"
    selected = [i for i, row in enumerate(rows) if row["cluster"] == number]
    look: Any = {"label": label, "page_size": 6, "format_mapping": _FORMATS}
    return mo.ui.table(rows, selection="single", initial_selection=selected, on_change=on_change, **look)


def selected_cluster(cut: Cut, eigenvalue: float | None, show: Show) -> mo.Html:
    """What is known of the cluster of an eigenvalue."""
    if eigenvalue is None:
        return mo.md("*No cluster is selected.*")
    try:
        size, found = cluster_pictures(cut, eigenvalue)
    except PROBLEMS as error:
        return warning(f"The cluster's eigenvectors cannot be read. {error}")
    parts = [mo.md(f"### Selected cluster: {size:,} eigenvalue{'s' if size > 1 else ''}")]
    parts += with_sentences(found.items(), show)
    return mo.vstack(parts if len(found) > 1 else [*parts, mo.md("No eigenvector of this cluster is stored.")])


def cluster_pictures(cut: Cut, eigenvalue: float) -> tuple[int, dict[str, Picture]]:
    """How many eigenvalues a cluster has, and these, the layers and the filters of what is stored of its vectors."""
    analysis, step, tree = cut.of, cut.of.steps[cut.position], cut.tree
    assert tree is not None
    spectrum, layout = analysis.results[cut.position], analysis.layout
    _, start, stop = cluster_of(tree, cut.at, eigenvalue)
    numbers, shares = analysis.run.shares(step, analysis.name)
    offset = spectrum.segments()[cut.segment].start
    inside = (numbers >= start + offset) & (numbers < stop + offset)
    numbers, shares, size = numbers[inside], shares[:, inside], stop - start
    found = {"cluster": cluster_eigenvalues(tree, start, stop)}
    if len(numbers):
        title = f"layers of its eigenvectors, where stored: {len(numbers):,} of {size:,}"
        values = spectrum.eigenvalues[numbers]
        found["cluster_shares"] = layer_shares(layout, numbers, values, shares, title=title)
        if (name := first_convolution(layout)) and (picture := _as_filters(cut, numbers, name)):
            found["cluster_filters"] = picture
    return size, found


def _as_filters(cut: Cut, numbers: NDArray[np.int64], name: str) -> Picture | None:
    """The entries of a convolution in those of these eigenvectors that are stored, the largest magnitudes first."""
    analysis, layout = cut.of, cut.of.layout
    spectrum = analysis.run.spectrum(analysis.steps[cut.position], analysis.name)
    columns = np.flatnonzero(np.isin(spectrum.vector_indices, numbers))
    values = spectrum.eigenvalues[spectrum.vector_indices[columns]]
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST]
    shape, part = layout.shapes[layout.names.index(name)], layout.slice(name)
    images = [spectrum.eigenvectors[part, column].reshape(shape) for column in columns[order]]
    labels = [f"λ = {value:.4g}" for value in values[order]]
    if not images:
        return None
    return filters(labels, images, rows="eigenvector", unit="entry", title=f"eigenvectors on {name}")
