"""Sums and multiples of operators, and P^-1/2 A P^-1/2."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import (
    GaussNewton,
    Hessian,
    MatrixOperator,
    Preconditioned,
    exact_spectrum,
    lanczos_spectrum,
    pictures,
)
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators.preconditioned import adam_diagonal, adam_threshold
from hessian_dendrogram.operators.residual import Residual
from known_matrices import with_eigenvalues


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_parts_of_a_hessian_add_up(case):
    torch.manual_seed(0)
    model, loss, data = case.build()
    H, G, R = (kind(model, loss, data, dtype=torch.float64) for kind in (Hessian, GaussNewton, Residual))
    expected = H.to_dense()
    whole = G + R
    assert float((whole.to_dense() - expected).norm()) <= 1e-10 * float(expected.norm())
    V = torch.randn(H.shape[0], 2, dtype=torch.float64)
    assert float((whole @ V - expected @ V).norm()) <= 1e-10 * float(expected.norm() * V.norm())
    nothing = H - G - R
    assert float(nothing.to_dense().norm()) <= 1e-10 * float(expected.norm())


def test_sums_and_multiples():
    torch.manual_seed(0)
    A, B = (with_eigenvalues(torch.randn(12)) for _ in range(2))
    a, b = MatrixOperator(A), MatrixOperator(B)
    combined = 2 * (a + b) - b * 0.5
    expected = 2 * A + 1.5 * B
    assert combined.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    assert torch.equal(combined.to_dense(), combined.to_dense().T)
    assert (-a).to_dense().numpy() == pytest.approx(-A.numpy())
    assert combined.describe()["operator"] == "2 matrix + 2 matrix + -0.5 matrix"
    spectrum = exact_spectrum(combined, vectors=2)
    true = np.linalg.eigvalsh(expected.numpy())
    assert (np.abs(spectrum.eigenvalues - true) <= spectrum.error_bounds + 1e-15).all()
    assert lanczos_spectrum(combined, top=2, bottom=1).eigenvalues == pytest.approx(true[[0, -2, -1]], abs=1e-6)
    assert combined.restricted([1, 3]).to_dense().numpy() == pytest.approx(expected.numpy()[np.ix_([1, 3], [1, 3])])
    assert combined.with_dtype(torch.float32).dtype == torch.float32
    with pytest.raises(UserError, match="operators over other parameters cannot be added"):
        a + MatrixOperator(torch.eye(3, dtype=torch.float64))
    with pytest.raises(UserError, match="of another type or device"):
        a + b.with_dtype(torch.float32)
    with pytest.raises(UserError, match="factors of operators must be finite, got nan"):
        float("nan") * a
    with pytest.raises(TypeError):
        a + 1
    with pytest.raises(TypeError):
        "2" * a


def test_a_preconditioned_matrix():
    torch.manual_seed(0)
    A, P = with_eigenvalues(torch.randn(15)), torch.rand(15, dtype=torch.float64) + 0.1
    C = Preconditioned(MatrixOperator(A), P)
    root = torch.diag(P.rsqrt())
    expected = root @ A @ root
    assert C.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    assert torch.equal(C.to_dense(), C.to_dense().T)
    assert (C @ torch.eye(15, dtype=torch.float64)).numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    spectrum = exact_spectrum(C, vectors=1)
    wanted = np.sort(np.linalg.eigvals((torch.diag(1 / P) @ A).numpy()).real)
    assert spectrum.eigenvalues == pytest.approx(wanted, abs=1e-12)
    assert C.describe()["operator"] == "preconditioned matrix"
    with pytest.raises(UserError, match=r"a diagonal of shape \(15,\) is needed, got \(3,\)"):
        Preconditioned(MatrixOperator(A), P[:3])
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="the diagonal must be finite and positive"):
            Preconditioned(MatrixOperator(A), torch.full((15,), wrong))


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_as_it_divides(kind):
    """Without momentum a step moves by the gradient over P; the parameters stand in groups of another order."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    groups = [{"params": model[2].parameters()}, {"params": model[0].parameters(), "eps": 1e-3}]
    optimizer = kind(groups, lr=1e-3, betas=(0.0, 0.9), weight_decay=0.0)
    data = torch.randn(9, 3).double(), torch.randint(2, (9,))
    H = Hessian(model, F.cross_entropy, data)
    with pytest.raises(UserError, match=r"keeps no second moments of '0.weight' of shape \(4, 3\)"):
        adam_diagonal(model, optimizer, H.layout)
    for _ in range(3):
        before = torch.cat([tensor.detach().reshape(-1) for tensor in model.parameters()])
        optimizer.zero_grad()
        F.cross_entropy(model(data[0]), data[1]).backward()
        gradient = torch.cat([tensor.grad.reshape(-1) for tensor in model.parameters()])
        optimizer.step()
        moved = torch.cat([tensor.detach().reshape(-1) for tensor in model.parameters()]) - before
        P = adam_diagonal(model, optimizer, H.layout)
        assert moved.numpy() == pytest.approx((-1e-3 * gradient / P).numpy(), rel=1e-9)
    momentum = kind(model.parameters(), lr=1e-3, betas=(0.9, 0.9))
    momentum.step()
    assert adam_diagonal(model, momentum, H.layout).min() < P.max()
    with pytest.raises(UserError, match="SGD keeps no second moments"):
        adam_diagonal(model, torch.optim.SGD(model.parameters(), lr=0.1), H.layout)


def test_the_threshold_of_adam_on_a_quadratic():
    """Momentum with the rate eta / (1 - beta): an eigenvalue a little below the threshold decays, one above grows."""
    assert adam_threshold(0.01) == pytest.approx(3800)
    for factor, grows in ((0.99, False), (1.01, True)):
        curvature = factor * adam_threshold(0.01)
        x, m = 1.0, 0.0
        for _ in range(3000):
            m = 0.9 * m + 0.1 * curvature * x
            x -= 0.01 * m
        assert (abs(x) > 1) == grows
    with pytest.raises(UserError, match="a positive learning rate"):
        adam_threshold(0.0)


def test_the_threshold_is_recorded_and_drawn():
    """On the axis, though every eigenvalue is far below it; where none is known, nothing is drawn."""
    P = torch.full((12,), 2.0, dtype=torch.float64)
    A = MatrixOperator(with_eigenvalues(torch.linspace(-1, 3, 12)))
    known = Preconditioned(A, P, stable_below=adam_threshold(0.01)).with_dtype(torch.float64)
    spectra = [exact_spectrum(known), exact_spectrum(Preconditioned(A, P))]
    assert spectra[0].provenance["stable_below"] == pytest.approx(3800)
    panel = pictures.spectrum_evolution([0, 10], spectra).rows[0][0]
    line = next(mark for mark in panel.marks if getattr(mark, "label", "") == "the optimiser is stable below")
    np.testing.assert_array_equal(line.y, [spectra[0].provenance["stable_below"], np.nan])
    assert panel.y.limits[1] >= 3800
    unknown = pictures.spectrum_evolution([10], spectra[1:]).rows[0][0]
    assert not any(getattr(mark, "label", "") == "the optimiser is stable below" for mark in unknown.marks)
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(UserError, match="stable_below is a positive eigenvalue"):
            Preconditioned(A, P, stable_below=wrong)
