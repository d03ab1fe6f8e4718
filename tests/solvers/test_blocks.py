"""Diagonal blocks in one call: the same as each block alone."""

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import EachBlock, Exact, Hessian, Lanczos, StochasticLanczos
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.operators.small import MatrixOperator
from hessian_dendrogram.solvers.blocks import blocks_of
from hessian_dendrogram.statistics.density import trace
from known_matrices import with_eigenvalues

LAYOUT = Layout(("a.weight", "a.bias", "b.weight"), ((6, 4), (6,), (30,)))
A = with_eigenvalues(np.linspace(-1, 9, 60))
OPERATOR = MatrixOperator(A, LAYOUT)
PLACES = {"a": slice(0, 30), "b": slice(30, 60)}


def solved(solver, operator=OPERATOR):
    return solver.solve(operator, seed=0, progress=False)


def test_exact_blocks_are_the_eigenvalues_of_their_submatrices():
    blocks = solved(EachBlock(of=Exact()))
    assert blocks.names == ("a", "b")
    for name, place in PLACES.items():
        expected = torch.linalg.eigvalsh(A[place, place]).numpy()
        spectrum = blocks[name]
        assert spectrum.is_complete
        assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.error_bounds).all()
        assert trace(blocks.density(name)).value == pytest.approx(expected.sum())
    assert blocks.traces == pytest.approx([float(A[place, place].trace()) for place in PLACES.values()])


def test_a_network_by_layer_and_the_matrix_is_assembled_once(monkeypatch):
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    data = torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).double(), torch.arange(20) % 3
    H = Hessian(model, nn.functional.cross_entropy, data, dtype=torch.float64)
    dense, calls = H.to_dense(), []
    monkeypatch.setattr(H, "to_dense", lambda **_: calls.append(1) or dense.clone())
    blocks = solved(EachBlock(of=Exact()), H)
    assert (blocks.names, calls) == (("0", "2"), [1])
    expected = torch.linalg.eigvalsh(dense[:25, :25]).numpy()
    assert (np.abs(blocks["0"].eigenvalues - expected) <= blocks["0"].error_bounds).all()


def test_large_blocks_are_solved_as_asked_and_small_ones_exactly():
    blocks = solved(EachBlock(of=StochasticLanczos(probes=10, steps=8, ends=2), by="tensor", exact_up_to=25))
    assert blocks.names == ("a.weight", "a.bias", "b.weight")
    assert blocks.probes.tolist() == [0, 0, 10]
    assert blocks["a.weight"].is_complete
    low, high = trace(blocks["b.weight"]).interval()
    assert low <= float(A[30:, 30:].trace()) <= high
    assert blocks.trace_errors[2] > 0
    ends = solved(EachBlock(of=Lanczos(options={"top": 2, "bottom": 1}), exact_up_to=10))
    assert ends.counts.tolist() == [3, 3]
    assert ends["a"].eigenvalues[-1] == pytest.approx(float(torch.linalg.eigvalsh(A[:30, :30])[-1]), abs=1e-5)
    with pytest.raises(UserError, match="block 'a' has no density: 3 eigenvalues of 30"):
        ends.density("a")


def test_blocks_by_group_and_what_is_in_none():
    layout = LAYOUT.grouped({"heads": [0, 2, 4], "rest": "b.*"})
    found = blocks_of(layout, "group")
    assert {name: len(at) for name, at in found.items()} == {"heads": 3, "rest": 30, "other parameters": 27}
    assert np.array_equal(found["heads"], [0, 2, 4])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EachBlock(of=Exact(), by="row"), "blocks are by layer, tensor or group, got 'row'"),
        (lambda: EachBlock(of="exact"), "solved by Exact, Lanczos or StochasticLanczos, got str"),
        (lambda: EachBlock(of=Exact(), exact_up_to=-1), "exact_up_to must be a whole number >= 0, got -1"),
        (lambda: EachBlock(of=Lanczos(options={"tops": 3})).check(60), "lanczos has no option tops"),
        (lambda: EachBlock(of=StochasticLanczos(probes=3)).check(60), "probes of a density must be"),
        (lambda: solved(EachBlock(of=Exact(), by="group")), "there are no groups of parameters"),
        (lambda: solved(EachBlock(of=Exact()))["c"], "there is no block 'c'; there are a, b"),
    ],
)
def test_what_cannot_be_is_one_line(make, message):
    with pytest.raises(UserError, match=message):
        make()
