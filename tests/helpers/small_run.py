"""A run directory of a small convolutional model, written without training: spectra with vectors, trees, measures."""

import json

import numpy as np

from hessian_dendrogram import Run, Spectrum, recursive_bipartition
from hessian_dendrogram.layout import Layout

LAYOUT = Layout(("conv.weight", "conv.bias", "linear.weight"), ((2, 1, 3, 3), (2,), (2, 5)))
STEPS = (0, 5, 40)
ANALYSIS = "hessian-100"


def coupled(seed):
    """A symmetric matrix with a few large eigenvalues and many small ones of both signs."""
    random = np.random.default_rng(seed)
    Q = np.linalg.qr(random.normal(size=(LAYOUT.size, LAYOUT.size)))[0]
    values = np.concatenate([random.normal(scale=0.01, size=LAYOUT.size - 4), [1.0, 1.1, 4.0, 9.0]])
    return (Q * values) @ Q.T


def write(path, *, analyses=True):
    """Write the run, or one that has been trained and never analysed."""
    path.mkdir(parents=True)
    run = Run.create(path, configuration={"experiment": "small", "seed": 0}, layout=LAYOUT, provenance={})
    for step in STEPS:
        random = np.random.default_rng(step)
        tensors = zip(LAYOUT.names, LAYOUT.shapes, strict=True)
        run.save_checkpoint(step, {name: random.normal(size=shape) for name, shape in tensors})
    for step in range(0, 41, 5):
        row = {"step": step, "train_loss": 2 / (1 + step), "test_loss": 2.5 / (1 + step)}
        run.append_metrics(row | {"train_accuracy": step / 40, "test_accuracy": step / 50})
    if not analyses:
        return run
    record = {"configuration": {"operator": "hessian", "samples": 100, "samples_total": 100, "dtype": "float64"}}
    norms = {"embedding_norms": [1.0, 2.0], "unembedding_norms": [2.0, 1.0], "key_frequencies": [2]}
    measures = norms | {"restricted_loss": 0.1, "excluded_loss": 3.0}
    run.create_analysis(ANALYSIS, record)
    run.create_analysis(f"{ANALYSIS}.fiedler", record)
    for step in STEPS:
        H = coupled(step)
        values, vectors = np.linalg.eigh(H)
        spectrum = Spectrum(
            eigenvalues=values,
            error_bounds=1e-12,
            dim=len(values),
            eigenvectors=vectors,
            vector_indices=np.arange(len(values)),
            provenance={"operator": "hessian", "samples": 100, "samples_total": 100, "dtype": "float64"},
        )
        run.save_spectrum(step, ANALYSIS, spectrum, measures)
        W = np.abs(H)
        np.fill_diagonal(W, 0)
        run.save_bipartition(step, f"{ANALYSIS}.fiedler", recursive_bipartition(W, min_size=2), W, {})
    return run


def as_an_earlier_version_wrote(folder, facts="spectrum.json"):
    """Without checksums."""
    record = json.loads((folder / facts).read_text())
    del record["checksums"]
    (folder / facts).write_text(json.dumps(record))
