"""Cut dendrograms: their pictures, their clusters as a table, one of these with its eigenvectors, two side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import marimo as mo
import numpy as np
from numpy.typing import NDArray

from ..pictures import PICTURES, Picture, cluster_eigenvalues, comparison_of_spectra, filters, layer_shares
from ..pictures.filters import first_convolution
from ..statistics.clusters import cluster_of, cluster_rows
from ..store.analysed import Cut
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
    shown: list[mo.Html] = [show(name, chart, on_change=chooser(chart, choose)) for name, chart in drawn.items()]
    return shown or [warning(f"No eigenvalue of this segment has converged at step {cut.step:,}.")]


def cluster_table(cut: Cut, choose: Callable[[float], None]) -> mo.ui.table:
    """The largest clusters; that of the chosen eigenvalue is selected, and to select one chooses its lowest."""
    tree, chosen = cut.tree, cut.chosen
    assert tree is not None
    rows, total = cluster_rows(tree, cut.at), int(tree.num_clusters(cut.at))
    number = None if chosen is None else cluster_of(tree, cut.at, chosen)[0] + 1
    order = "the largest first" if len(rows) == total else f"the {len(rows):,} largest of {total:,}"

    def on_change(selected: Any) -> None:
        if selected:
            choose(selected[0]["from"])

    label = f"Clusters at ε, {order}; select one here, or click its mark in the chart"
    selected = [i for i, row in enumerate(rows) if row["cluster"] == number]
    look: Any = {"label": label, "page_size": 6, "format_mapping": _FORMATS}
    return mo.ui.table(rows, selection="single", initial_selection=selected, on_change=on_change, **look)


def selected_cluster(cut: Cut, show: Show) -> mo.Html:
    """What is known of the cluster of the chosen eigenvalue."""
    if cut.chosen is None:
        return mo.md("*No cluster is selected.*")
    try:
        size, found = cluster_pictures(cut, cut.chosen)
    except PROBLEMS as error:
        return warning(f"The cluster's eigenvectors cannot be read. {error}")
    parts = [mo.md(f"### Selected cluster: {size:,} eigenvalue{'s' if size > 1 else ''}")]
    parts += with_sentences(found.items(), show)
    return mo.vstack(parts if len(found) > 1 else [*parts, mo.md("No eigenvector of this cluster is stored.")])


def cluster_pictures(cut: Cut, eigenvalue: float) -> tuple[int, dict[str, Picture]]:
    """How many eigenvalues a cluster has, and these, the layers and the filters of what is stored of its vectors."""
    analysis, spectrum, layout, tree = cut.of, cut.result, cut.of.layout, cut.tree
    assert tree is not None
    _, start, stop = cluster_of(tree, cut.at, eigenvalue)
    numbers, shares = analysis.run.shares(cut.step, analysis.name)
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
        columns.append(mo.vstack(shown or [warning(f"{name}: no converged eigenvalue in this segment.")]))
    style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr))"
    parts = [
        mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
        mo.Html(f'<div style="{style}">{"".join(column.text for column in columns)}</div>'),
    ]
    if len(spectra := {name: cut.result for cut, name in both.items() if cut.of.kind == "spectrum"}) > 1:
        parts.append(show("comparison", comparison_of_spectra(spectra)))
    elif spectra:
        parts.append(mo.md("Both sides are the same."))
    return mo.vstack(parts)
