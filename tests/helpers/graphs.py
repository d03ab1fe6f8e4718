"""Graphs to be cut."""

import numpy as np


def random_graph(n, seed, *, density=1.0, spread=0.0):
    """Connected by a path; degrees spread over some e-folds."""
    random = np.random.default_rng(seed)
    W = random.random((n, n)) * (random.random((n, n)) < density)
    W += np.diag(np.full(n - 1, 0.5), 1)
    scale = np.exp(spread * random.standard_normal(n))
    W = np.triu(W, 1) * scale[:, None] * scale
    return W + W.T
