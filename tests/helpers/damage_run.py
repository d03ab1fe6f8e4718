"""The run directory that is damaged: small, with every kind of file that a run can have."""

import json
from pathlib import Path

import numpy as np

from hessian_dendrogram import Run, Spectrum, recursive_bipartition
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.solvers.graph.bipartition import coupling_picture

LAYOUT = Layout(("conv.weight", "conv.bias", "linear.weight"), ((1, 1, 2, 2), (1,), (2, 3)))
STEPS = (5, 40)
WHOLE, PARTIAL, TREES = "hessian-100", "lanczos-100", "hessian-100.fiedler"
SOURCE = {"operator": "hessian", "samples": 100, "samples_total": 200, "dtype": "float64"}
SPECTRUM = ("eigenvalues", "error_bounds", "converged", "eigenvectors", "vector_indices", "share_indices", "shares")
TREE = ("order", "isolated", "starts", "stops", "parents", "eigenvalues", "connectivities", "conductances")
TREE = (*TREE, "is_degenerate", "picture")


def coupled(seed):
    """A symmetric matrix of eigenvalues of both signs, a few of them large; its last parameter is isolated."""
    random = np.random.default_rng(seed)
    n = LAYOUT.size - 1
    Q = np.linalg.qr(random.normal(size=(n, n)))[0]
    values = np.concatenate([random.normal(scale=0.01, size=n - 4), [1.0, 1.1, 4.0, 9.0]])
    H = np.zeros((n + 1, n + 1))
    H[:n, :n] = (Q * values) @ Q.T
    return (H + H.T) / 2


def write(path):
    """Write the run: two steps, a complete spectrum, a partial one with values that did not converge, and trees."""
    path = Path(path)
    path.mkdir(parents=True)
    configuration = {"experiment": "damage", "seed": 0, "steps": 40, "batch_size": 10, "training_samples": 200}
    provenance = {"versions": {"numpy": "2.0"}, "optimizer": "SGD"}
    run = Run.create(path, configuration=configuration, layout=LAYOUT, provenance=provenance)
    for step in range(0, 41, 5):
        row = {"step": step, "train_loss": 2 / (1 + step), "test_loss": 2.5 / (1 + step) if step else None}
        run.append_metrics(row | {"train_accuracy": step / 40, "test_accuracy": step / 50})
    record = {"configuration": SOURCE, "provenance": {"host": "none"}}
    for name in (WHOLE, PARTIAL, TREES):
        run.create_analysis(name, record)
    for step in STEPS:
        random = np.random.default_rng(step)
        weights = {name: random.normal(size=shape) for name, shape in zip(LAYOUT.names, LAYOUT.shapes, strict=True)}
        state = {"momentum": random.normal(size=5), "random": np.arange(8, dtype=np.uint8)}
        run.save_training_state(step, state, {"step": step, "scheduler": {"last_epoch": step}, "rates": [0.1]})
        run.save_checkpoint(step, weights | {"norm.running_mean": np.zeros(2, np.float32)})
        run.remove_older_training_states(step)
        _analyse(run, step)
    return run


def _analyse(run, step):
    H = coupled(step)
    values, vectors = np.linalg.eigh(H)
    count, at = len(values), np.array([0, 1, 5, 6])
    kept = np.array([0, 1, 2, count - 4, count - 3, count - 2, count - 1])
    fourier = {"embedding_norms": [1.0, 2.0], "unembedding_norms": [2.0, 1.0], "key_frequencies": [2]}
    measures = fourier | {"restricted_loss": 0.1, "excluded_loss": 3.0, "note": "as it was"}
    whole = Spectrum(
        eigenvalues=values,
        error_bounds=1e-12,
        dim=count,
        eigenvectors=vectors,
        vector_indices=np.arange(count),
        provenance=SOURCE | {"solver": "LAPACK", "error_sources": {"assembly": 1e-13, "rounding": 1e-15}},
    )
    partial = Spectrum(
        eigenvalues=values[kept],
        error_bounds=[1e-9, 1e-8, 1e-3, 1e-2, 1e-8, 1e-9, 1e-9],
        dim=count,
        num_bottom=3,
        num_top=4,
        converged=[True, True, False, False, True, True, True],
        eigenvectors=vectors[:, kept[at]],
        vector_indices=at,
        provenance=SOURCE | {"solver": "Lanczos", "products": 30, "trace": {"value": 15.0, "standard_error": 0.1}},
    )
    run.save_spectrum(step, WHOLE, whole, measures)
    run.save_spectrum(
        step, PARTIAL, partial, fourier | {"restricted_loss": 0.1, "excluded_loss": 3, "weight_norm": 2.5}
    )
    W = np.abs(H)
    np.fill_diagonal(W, 0)
    tree = recursive_bipartition(W, min_size=2)
    run.save_bipartition(step, TREES, tree, coupling_picture(W, tree), SOURCE)


def files(run):
    """The regular files of a run directory, relative to it, in the order of their names."""
    return sorted(str(file.relative_to(run)) for file in run.rglob("*") if file.is_file() and file.name != ".lock")


def facts(run, file):
    """The JSON value in a file of a run."""
    return json.loads((run / file).read_text())
