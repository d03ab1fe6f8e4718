"""What a notebook prints of an object: one short line, however large it is."""

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import (
    Hessian,
    MatrixOperator,
    Spectrum,
    coupling_graph,
    recursive_bipartition,
    single_linkage,
)
from small_run import write

LARGE = Spectrum(eigenvalues=np.linspace(-1, 4, 6000), error_bounds=1e-9, dim=6000)
DATA = torch.randn(7, 3), torch.randint(2, (7,))
SYMMETRIC = (lambda A: A + A.T)(np.random.default_rng(0).normal(size=(40, 40)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (LARGE, "Spectrum(6,000 of 6,000 eigenvalues from -1 to 4, errors up to 1e-09, 0 eigenvectors)"),
        (single_linkage(LARGE), "Dendrogram(6,000 eigenvalues from -1 to 4, merges above ε = 2e-09 are resolved)"),
        (
            single_linkage(Spectrum(eigenvalues=[1.0, 2.0], error_bounds=0.0, dim=9, num_top=2)),
            "Dendrogram(2 eigenvalues from 1 to 2, merges above ε = 0 are resolved, others unknown below)",
        ),
        (
            recursive_bipartition(coupling_graph(SYMMETRIC), min_size=20),
            "BipartitionTree(40 parameters, 0 isolated, ",
        ),
        (Hessian(nn.Linear(3, 2), nn.functional.cross_entropy, DATA), "Hessian(8 parameters, 7 samples, float32, cpu)"),
        (MatrixOperator(torch.eye(3)), "MatrixOperator(3 parameters, float32, cpu)"),
        (MatrixOperator(torch.eye(3)).restricted([0, 2]), "RestrictedOperator(2 parameters, float32, cpu)"),
    ],
)
def test_it_is_one_short_line(value, text):
    assert repr(value).startswith(text)
    assert len(repr(value)) < 160


def test_a_run_says_where_it_is_and_what_it_has(tmp_path):
    run = write(tmp_path / "run")
    assert repr(run) == f"Run({str(run.path)!r}, 3 checkpoints, analyses hessian-100, hessian-100.fiedler)"
