"""Ways from a graph between groups to clusters of them, and their score. A new one is one function in `CLUSTERINGS`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.metrics import adjusted_rand_score

from hessian_dendrogram import number_of_clusters, recursive_bipartition
from hessian_dendrogram.results.tree import LAPLACIANS, SPLITS, BipartitionTree, Laplacian, Split

from .graphs import Floats, unit_vectors
from .network import NONE, Labels

RULES = ("eigengap", "conductance")
SCORES = ("given", *RULES)  # the number of clusters: that of the truth, or by a rule


Wanted = Sequence[int | str]


def by_tree(graph: Floats, wanted: Wanted, *, laplacian: Laplacian, split: Split) -> list[Labels]:
    """The clusters of the tree of bipartitions, so many or by these rules; what is not coupled at all is one more."""
    tree = recursive_bipartition(graph, laplacian=laplacian, split=split, min_size=1)
    return [tree.labels(k) for k in _numbers(graph, tree, wanted)]


def by_spectral_clustering(graph: Floats, wanted: Wanted) -> list[Labels]:
    """The clusters of k-means on the leading eigenvectors of the normalised Laplacian, by scikit-learn."""
    there = graph.any(axis=1)
    inner = graph[np.ix_(there, there)]
    tree = recursive_bipartition(graph, split="sign", min_size=1)
    found = []
    for k in _numbers(graph, tree, wanted):
        labels = np.full(len(graph), NONE)
        labels[there] = np.arange(len(inner)) if k >= len(inner) else _spectral(inner / inner.max(), k)
        found.append(labels)
    return found


def _spectral(graph: Floats, k: int) -> Labels:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the graph may fall apart, which is no fault
        return np.asarray(SpectralClustering(k, affinity="precomputed", random_state=0).fit_predict(graph))


def _numbers(graph: Floats, tree: BipartitionTree, wanted: Wanted) -> list[int]:
    return [number_of_clusters(graph, tree, rule=k, least=2) if isinstance(k, str) else k for k in wanted]  # type: ignore[arg-type]


def by_k_means(vectors: Floats, k: int) -> Labels:
    """The clusters of k-means on unit vectors, by scikit-learn."""
    return KMeans(k, n_init=10, random_state=0).fit_predict(unit_vectors(vectors))


CLUSTERINGS: dict[str, Callable[[Floats, Wanted], list[Labels]]] = {
    **{
        f"{laplacian}, {split}": partial(by_tree, laplacian=laplacian, split=split)
        for laplacian, split in product(LAPLACIANS, SPLITS)
    },
    "spectral clustering": by_spectral_clustering,
}


def score(truth: Labels, labels: Labels) -> float:
    """The adjusted Rand index over the groups that have a truth (Hubert & Arabie 1985)."""
    known = truth != NONE
    return float(adjusted_rand_score(truth[known], labels[known]))


def number_of(truth: Labels) -> int:
    """How many clusters the truth has."""
    return len(np.unique(truth[truth != NONE]))


def scores(graph: Floats, truth: Labels) -> dict[str, dict[str, Any]]:
    """The score of every clustering of a graph, by how the number of clusters is found, and these numbers."""
    wanted = [number_of(truth), *RULES]
    found: dict[str, dict[str, Any]] = {}
    for name, cluster in CLUSTERINGS.items():
        labels = cluster(graph, wanted)
        found[name] = {how: round(score(truth, one), 4) for how, one in zip(SCORES, labels, strict=True)}
        found[name]["numbers"] = [len(np.unique(one[one != NONE])) for one in labels]
    return found
