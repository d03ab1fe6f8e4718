"""Cluster counts and linkage of 5,994 eigenvalues: this package against SciPy's hierarchical clustering, in one run."""

from __future__ import annotations

import numpy as np
from common import best_of
from scipy.cluster.hierarchy import fcluster, linkage

from hessian_dendrogram import Dendrogram


def main() -> None:
    values = np.sort(np.random.default_rng(0).standard_cauchy(5994))
    epsilons = np.logspace(-6, 2, 200)
    bounds = np.zeros(len(values))
    tree = linkage(values[:, None], method="single")

    ours = best_of(5, lambda: Dendrogram(values, bounds).linkage)
    theirs = best_of(3, lambda: linkage(values[:, None], method="single"))
    print(f"linkage:               {1e3 * ours:8.2f} ms, SciPy {1e3 * theirs:8.1f} ms, ratio {theirs / ours:8.0f}")

    ours = best_of(5, lambda: Dendrogram(values, bounds).num_clusters(epsilons))
    theirs = best_of(1, lambda: [fcluster(tree, epsilon, "distance").max() for epsilon in epsilons])
    print(f"n(ε) at 200 values:    {1e3 * ours:8.2f} ms, SciPy {1e3 * theirs:8.1f} ms, ratio {theirs / ours:8.0f}")


if __name__ == "__main__":
    main()
