"""Directions that the tests of pictures and pages show."""

from dataclasses import replace

import numpy as np

from hessian_dendrogram.layout import Layout
from hessian_dendrogram.results.directions import Directions

LAYOUT = Layout(("one.weight", "one.bias", "two.weight"), ((4,), (2,), (6,)))


def made(m=6, groups=4, seed=0, samples=3, outputs=5, names=None, **changed):
    """Directions, the first two of which are pure; with samples whose inputs are two numbers."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.ones(groups), m)
    pure = min(2, m, groups)
    shares[:pure] = np.eye(groups)[:pure]
    tensors = random.dirichlet(np.ones(3), m)
    numbers = np.stack([random.permutation(10)[:samples] for _ in range(m)]) if m else np.zeros((0, samples), int)
    counts = sorted({min(2, m), m} - {0})
    found = {
        "eigenvalues": np.sort(random.uniform(0.1, 5, m))[::-1],
        "error_bounds": np.full(m, 1e-9),
        "turns": np.zeros(m),
        "powers": np.ones(m),
        "groups": [*(names or [f"group {i}" for i in range(groups - 1)]), "other"],
        "shares": shares,
        "gaussian_shares": random.dirichlet(np.ones(groups), 9),
        "rotation_purities": random.uniform(0.3, 0.6, (99, m)),
        "rotation_means": random.uniform(0.3, 0.6, (99, len(counts))),
        "counts": counts,
        "tensor_shares": tensors,
        "gradient_shares": np.full(m, 0.01),
        "update_shares": np.full(m, np.nan),
        "asked": m,
        "dim": 12,
        "readout": "class",
        "changed": numbers,
        "changes": np.full((m, samples), 0.1),
        "changed_labels": random.integers(0, 5, (m, samples)).astype(float),
        "changed_effects": random.normal(size=(m, samples * outputs)).astype(np.float32),
        "changed_inputs": random.normal(size=(len(np.unique(numbers)), 2)).astype(np.float32),
        "input_shape": [2],
    }
    return Directions(**found | changed)


def images(**changed):
    found = made(**changed)
    count = len(np.unique(found.changed))
    pixels = np.random.default_rng(1).normal(size=(count, 3 * 36)).astype(np.float32)
    return replace(found, changed_inputs=pixels, input_shape=[3, 6, 6])
