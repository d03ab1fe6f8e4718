"""One cluster of an eigenvalue dendrogram, and what is stored of its eigenvectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..pictures.analysed import Analysed
from ..pictures.clusters import clusters_at, nearest_eigenvalue
from ..pictures.filters import first_convolution
from ..statistics.dendrogram import Dendrogram
from ..store import Run


@dataclass(frozen=True, eq=False)
class ClusterVectors:
    """The eigenvectors of one cluster, as far as they are stored.

    Attributes:
        start, stop: the cluster is `eigenvalues[start:stop]` of its segment.
        numbers: which eigenvalues of the spectrum have shares, shape (m,).
        eigenvalues: theirs, shape (m,).
        shares: of each part of the layout in each of these vectors, shape (parts, m).
        filter_name: the first convolution, or `None`.
        filter_labels, filters: the stored vectors of largest eigenvalues as filters of that convolution.
    """

    start: int
    stop: int
    numbers: NDArray[np.int64]
    eigenvalues: NDArray[np.float64]
    shares: NDArray[np.float64]
    filter_name: str | None
    filter_labels: list[str]
    filters: list[NDArray[np.float64]]


def cluster_number(tree: Dendrogram, epsilon: float, eigenvalue: float) -> int:
    """The number, in ascending order from 0, of the cluster at ε with the known eigenvalue nearest to one."""
    starts = clusters_at(tree, epsilon).starts
    return int(np.searchsorted(starts, nearest_eigenvalue(tree, eigenvalue), side="right")) - 1


def read_cluster(
    analysis: Analysed, position: int, segment: str, epsilon: float, eigenvalue: float, *, most: int = 8
) -> ClusterVectors:
    """Find the cluster nearest to an eigenvalue at resolution ε, and read what is stored of its eigenvectors.

    Args:
        analysis: where to look.
        position: of the step in `analysis.steps`.
        segment: of the spectrum.
        epsilon: resolution, in units of the eigenvalues.
        eigenvalue: the cluster has the known eigenvalue that is nearest to this.
        most: how many vectors to read as filters.
    """
    run, step, spectrum = analysis.run, analysis.steps[position], analysis.results[position]
    tree = analysis.dendrograms[segment].trees[position]
    clusters, number = clusters_at(tree, epsilon), cluster_number(tree, epsilon, eigenvalue)
    start, stop = int(clusters.starts[number]), int(clusters.stops[number])
    offset = spectrum.segments()[segment].start
    numbers, shares = run.shares(step, analysis.name)
    inside = (numbers >= start + offset) & (numbers < stop + offset)
    numbers, shares = numbers[inside], shares[:, inside]
    name = first_convolution(analysis.layout)
    labels, filters = _as_filters(run, analysis, step, numbers, name, most) if name and len(numbers) else ([], [])
    return ClusterVectors(start, stop, numbers, spectrum.eigenvalues[numbers], shares, name, labels, filters)


def _as_filters(
    run: Run, analysis: Analysed, step: int, numbers: NDArray[np.int64], name: str, most: int
) -> tuple[list[str], list[NDArray[np.float64]]]:
    """The entries of a convolution in eigenvectors, those of the largest magnitudes first."""
    spectrum, layout = run.spectrum(step, analysis.name), analysis.layout
    columns = np.flatnonzero(np.isin(spectrum.vector_indices, numbers))
    values = spectrum.eigenvalues[spectrum.vector_indices[columns]]
    columns = columns[np.argsort(-np.abs(values), kind="stable")][:most]
    shape, part = layout.shapes[layout.names.index(name)], layout.slice(name)
    labels = [f"λ = {spectrum.eigenvalues[spectrum.vector_indices[column]]:.4g}" for column in columns]
    return labels, [spectrum.eigenvectors[part, column].reshape(shape) for column in columns]
