"""Whole matrices from the columns of each tensor in the rows behind it: those of the plain products, and no others."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import Hessian, Residual
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators import mean
from hessian_dendrogram.operators.operator import CurvatureOperator


@pytest.fixture
def by_tensors(monkeypatch):
    """Every matrix is large enough for it, and the way of products stays."""
    monkeypatch.setattr(mean, "WORTH_MEASURING", 1)
    for kind in (Hessian, Residual):
        monkeypatch.setattr(kind, "take_fastest", lambda self: None)
        monkeypatch.setattr(kind, "columns_at_once", lambda self: 3)


@pytest.mark.usefixtures("by_tensors")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", [Hessian, Residual])
def test_the_matrix_is_that_of_the_products(kind, case):
    torch.manual_seed(0)
    model, loss, data = case.build()
    operator = kind(model, loss, data, dtype=torch.float64)
    for method in dict.fromkeys((operator.method, "double-backward")):
        operator.method = method
        plain = CurvatureOperator.to_dense(operator)
        found = operator.to_dense(method="products")
        assert float((found - plain).abs().max()) <= 1e-13 * max(1.0, float(plain.abs().max())), method
        assert torch.equal(found, found.T)


@pytest.mark.usefixtures("by_tensors")
def test_tensors_behind_are_all_that_is_evaluated(monkeypatch):
    """A column of the last layer asks for no derivative of the first, and costs no tangent of it."""
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    H = Hessian(model, F.cross_entropy, (torch.randn(7, 3).double(), torch.randint(2, (7,))))
    seen = []
    original = Hessian.product_of_batch

    def noted(self, batch, V, *args, **options):
        seen.append((len(self.layout.names), self.risk.touched(V)))
        return original(self, batch, V, *args, **options)

    monkeypatch.setattr(Hessian, "product_of_batch", noted)
    H.to_dense(method="products")
    assert seen[0] == (6, ["0.weight"])
    counts = [count for count, _ in seen]
    checks = len({count for count, _ in seen})  # one product of the whole with a vector of each group of tensors
    assert sorted(counts[:-checks], reverse=True) == counts[:-checks]
    assert min(counts) <= 2
    assert all(len(touched) <= 2 for _, touched in seen[:-checks])


class Padded(nn.Module):
    """A gradient that is none: the row of the padding has slopes of zero, and still moves the outputs."""

    def __init__(self, is_last):
        super().__init__()
        inner, tokens = nn.Linear(4, 3), nn.Embedding(6, 4, padding_idx=0)
        for name, module in (
            (("inner", inner), ("tokens", tokens)) if is_last else (("tokens", tokens), ("inner", inner))
        ):
            self.add_module(name, module)
        nn.init.normal_(self.tokens.weight)

    def forward(self, x):
        return self.inner(self.tokens(x).mean(1).tanh())


@pytest.mark.usefixtures("by_tensors")
@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_that_is_not_of_a_loss_is_refused_whatever_the_order(is_last, dtype):
    torch.manual_seed(0)
    data = torch.randint(6, (40, 5)), torch.randint(3, (40,))
    with pytest.raises(UserError, match=r"not those of a symmetric matrix|derivatives .* wrong|differ"):
        Hessian(Padded(is_last), F.cross_entropy, data, dtype=dtype).to_dense(method="products")


def test_half_of_a_matrix_that_is_not_symmetric_is_refused():
    """Each of its two halves in turn is what is computed."""
    from hessian_dendrogram.operators.assembly import assemble_from_tensors

    A = torch.randn(12, 12, dtype=torch.float64)
    A = A + A.T
    offsets, where = np.array([0, 5, 9, 12]), (torch.float64, torch.device("cpu"))

    def product_from(A):
        return lambda first: lambda V: A[offsets[first] :, offsets[first] :] @ V

    assert torch.equal(assemble_from_tensors(product_from(A), offsets, *where, columns=2), A)
    for skewed in (A + torch.ones_like(A).triu(9), A + torch.ones_like(A).tril(-9)):
        with pytest.raises(UserError, match="not those of a symmetric matrix"):
            assemble_from_tensors(product_from(skewed), offsets, *where, columns=2)
