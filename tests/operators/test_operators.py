"""Operators beside the Hessian: Gauss-Newton, diagonal blocks, matrices and functions; all by the one contract."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import GaussNewton, Hessian, Layout, MatrixOperator, exact_spectrum, lanczos_spectrum
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators import OPERATORS
from hessian_dendrogram.operators.small import FunctionOperator


def by_definition(H, targets_of=None):
    """The mean over batches of Jᵀ A J, J and A by reverse mode, row by row."""
    total = torch.zeros(H.shape, dtype=torch.float64)
    tensors = list(H.risk.parameters().values())
    for inputs, targets, share in H.risk.data.weighted():
        with H.risk.session():
            outputs = H.risk.outputs(inputs)
            z = outputs.reshape(-1)
            rows = [torch.autograd.grad(entry, tensors, retain_graph=True, materialize_grads=True) for entry in z]
            J = torch.stack([torch.cat([part.reshape(-1) for part in row]) for row in rows])
            leaf = outputs.detach().requires_grad_()
            slope = torch.autograd.grad(H.risk.output_loss(leaf, targets), leaf, create_graph=True)[0].reshape(-1)
            if slope.requires_grad:
                A = torch.stack([torch.autograd.grad(entry, leaf, retain_graph=True)[0].reshape(-1) for entry in slope])
                total += share * J.T @ A @ J
    return total


def gauss_newton(case, **options):
    torch.manual_seed(0)
    model, loss, data = case.build()
    return GaussNewton(model, loss, data, dtype=torch.float64, **options)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("method", [None, "double-backward"])
def test_gauss_newton_is_what_its_formula_says(case, method):
    G = gauss_newton(case, method=method)
    expected = by_definition(G)
    dense = G.to_dense()
    scale = float(expected.abs().max())
    assert float((dense - expected).abs().max()) <= 1e-12 * scale
    v = torch.randn(G.shape[0], dtype=torch.float64)
    assert float((G @ v - expected @ v).abs().max()) <= 1e-11 * scale


def test_gauss_newton_is_the_hessian_where_the_model_is_linear_and_its_residual_is_not_small_elsewhere():
    torch.manual_seed(0)
    data = torch.randn(9, 4).double(), torch.randint(3, (9,))
    linear, curved = nn.Linear(4, 3).double(), nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double()
    apart = [
        float((Hessian(m, F.cross_entropy, data).to_dense() - GaussNewton(m, F.cross_entropy, data).to_dense()).norm())
        for m in (linear, curved)
    ]
    assert apart[0] < 1e-14
    assert apart[1] > 1e-3


def test_both_solvers_take_it_unchanged():
    G = gauss_newton(CASES[0])
    true = np.linalg.eigvalsh(by_definition(G).numpy())
    whole, ends = exact_spectrum(G, vectors=2), lanczos_spectrum(G, top=4, bottom=2)
    assert (np.abs(whole.eigenvalues - true) <= whole.error_bounds + 1e-14).all()
    assert (np.abs(ends.eigenvalues - true[np.r_[:2, -4:0]]) <= ends.error_bounds + 1e-14).all()
    assert whole.provenance["operator"] == "gauss-newton"
    assert whole.eigenvalues.min() > -1e-12


def test_outputs_of_several_tensors_and_of_other_things():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return {"logits": self.left(x) * torch.tanh(self.right(x)), "places": torch.arange(len(x)), "name": "two"}

    torch.manual_seed(0)
    model, data = Two().double(), (torch.randn(7, 3).double(), torch.randint(2, (7,)))
    G = GaussNewton(model, lambda outputs, targets: F.cross_entropy(outputs["logits"], targets), data)

    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.two = model

        def forward(self, x):
            return self.two(x)["logits"]

    assert G.to_dense().numpy() == pytest.approx(
        by_definition(GaussNewton(One(), F.cross_entropy, data)).numpy(), abs=1e-13
    )


def test_what_gauss_newton_cannot_mean_is_refused():
    torch.manual_seed(0)
    model, data = nn.Linear(3, 2).double(), (torch.randn(7, 3).double(), torch.randint(2, (7,)))

    def penalised(outputs, targets):
        return F.cross_entropy(outputs, targets) + 0.1 * model.weight.square().sum()

    with pytest.raises(UserError, match="not only through the outputs"):
        GaussNewton(model, penalised, data)

    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, gradient):
            return -gradient

        @staticmethod
        def jvp(ctx, tangent):
            return tangent.clone()

        generate_vmap_rule = True

    class Adversary(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.last(Reversed.apply(self.first(x)))

    with pytest.raises(
        UserError, match=r"another matrix than its transpose; double-backward differs by .* of the outputs"
    ):
        GaussNewton(Adversary().double(), F.cross_entropy, data)


# ── blocks, matrices, functions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("to", ["0.*", ["0.weight", "2.bias"], [3, 4, 11, 30], "*"])
def test_a_restriction_is_the_diagonal_block(kind, to):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    A = kind(model, F.cross_entropy, (torch.randn(300, 3).double(), torch.randint(3, (300,))))
    B = A.restricted(to)
    rows = A.layout.group({"": to})[""]
    expected = A.to_dense()[np.ix_(rows, rows)]
    assert B.shape == (len(rows), len(rows))
    assert B.layout.size == len(rows)
    assert B.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    spectrum = exact_spectrum(B, vectors=1)
    assert (np.abs(spectrum.eigenvalues - np.linalg.eigvalsh(expected.numpy())) <= spectrum.error_bounds + 1e-15).all()
    assert spectrum.provenance["restricted_from"] == A.shape[0]
    assert spectrum.provenance["operator"] == kind.name


def test_the_layout_of_a_restriction_keeps_whole_tensors_and_counts_parts():
    layout = Layout(("a", "b", "c"), ((2, 3), (), (4,)))
    assert layout.restricted([0, 1, 2, 3, 4, 5, 7, 10]) == Layout(("a", "c"), ((2, 3), (2,)))
    for wrong in ([1, 0], [0, 0], [-1], [11]):
        with pytest.raises(UserError, match="ascending indices from 0 to 10"):
            layout.restricted(wrong)
    with pytest.raises(UserError, match="matches no parameter"):
        MatrixOperator(torch.eye(2)).restricted("conv*")
    with pytest.raises(UserError, match="one parameter at least"):
        MatrixOperator(torch.eye(2)).restricted(np.empty(0, int))


def test_matrices_and_functions_are_operators():
    torch.manual_seed(0)
    A = torch.randn(30, 30).double()
    A = (A + A.T) / 2
    true = np.linalg.eigvalsh(A.numpy())
    for operator in (MatrixOperator(A), FunctionOperator(lambda V: A.to(V) @ V, 30)):
        assert torch.equal(operator.to_dense(), A)
        assert exact_spectrum(operator, vectors=0).eigenvalues == pytest.approx(true, abs=1e-13)
        ends = lanczos_spectrum(operator, top=3, bottom=3)
        assert ends.eigenvalues == pytest.approx(true[np.r_[:3, -3:0]], abs=1e-5)
        assert operator.with_dtype(torch.float32).to_dense().numpy() == pytest.approx(A.numpy(), abs=1e-6)
        assert operator.restricted([2, 5]).to_dense().numpy() == pytest.approx(A[[2, 5]][:, [2, 5]].numpy())
    with pytest.raises(UserError, match="symmetric matrix of finite numbers"):
        MatrixOperator(torch.tensor([[1.0, float("nan")], [float("nan"), 1.0]]))
    with pytest.raises(UserError, match=r"of shape \(n, n\), got \(2, 3\)"):
        MatrixOperator(torch.ones(2, 3))
    with pytest.raises(UserError, match="the layout has 3 parameters, the matrix 2 rows"):
        MatrixOperator(torch.eye(2), Layout(("a",), ((3,),)))


# ── the samples between products ─────────────────────────────────────────────────────────────────────────────────────


class Counted(torch.utils.data.Dataset):
    def __init__(self, inputs, targets):
        self.inputs, self.targets, self.reads = inputs, targets, 0

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        self.reads += 1
        return self.inputs[index], self.targets[index]


@pytest.mark.parametrize(("room", "reads"), [(2**30, 50), (100, 100)])
def test_samples_are_loaded_once_where_they_fit(monkeypatch, room, reads):
    from hessian_dendrogram.operators import data

    torch.manual_seed(0)
    counted = Counted(torch.randn(50, 3), torch.randint(2, (50,)))
    model = nn.Linear(3, 2).double()
    expected = Hessian(model, F.cross_entropy, (counted.inputs, counted.targets)).to_dense()
    H = Hessian(model, F.cross_entropy, counted, batch_size=16)
    monkeypatch.setattr(data, "KEPT_MEMORY", room)
    H.risk.data = H.risk.data.counted(50, 50.0)  # nothing is kept so far
    counted.reads = 0
    v = torch.ones(8, dtype=torch.float64)
    first, second = H @ v, H @ v
    assert counted.reads == reads
    assert torch.equal(first, second)
    assert first.numpy() == pytest.approx((expected @ v).numpy(), abs=1e-14)


def test_views_of_the_users_tensors_are_not_kept():
    data = torch.randn(50, 3).double(), torch.randint(2, (50,))
    H = Hessian(nn.Linear(3, 2).double(), F.cross_entropy, data)
    assert (H @ torch.ones(8, dtype=torch.float64)).isfinite().all()
    assert not H.risk.data._kept
    assert Hessian(nn.Linear(3, 2).double(), F.cross_entropy, (data[0].float(), data[1])).risk.data._kept


@pytest.mark.parametrize(("size", "measured"), [(16, 0), (40, 1)])
def test_the_faster_way_is_measured_once_where_that_is_worth_it(monkeypatch, size, measured):
    from hessian_dendrogram.operators import mean

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.linspace(-1, 1, size))

        def forward(self, x):
            return torch.tanh(x * self.scale)

    calls = []
    monkeypatch.setattr(mean, "WORTH_MEASURING", 30)
    monkeypatch.setattr(Hessian, "_quickest", lambda self, _: calls.append(1) or list(self._ways())[-1])
    torch.manual_seed(0)
    data = torch.randn(5, size).double(), torch.randn(5, size).double()

    def loss(outputs, targets):
        return (outputs - targets).square().mean()

    H = Hessian(Scaled().double(), loss, data)
    expected = Hessian(Scaled().double(), loss, data, method="double-backward").to_dense()
    for _ in range(2):
        assert H.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-15)
    assert len(calls) == measured
    assert (H.describe()["products_by"] == "double-backward") == bool(measured)


@pytest.mark.parametrize("is_quicker", [True, False])
def test_fewer_samples_at_once_are_taken_where_that_is_quicker(monkeypatch, is_quicker):
    from hessian_dendrogram.operators import mean

    monkeypatch.setattr(mean, "FEW", 16)
    monkeypatch.setattr(Hessian, "_quickest", lambda self, _: list(self._ways())[1 if is_quicker else 0])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = torch.randn(50, 3).double(), torch.randint(2, (50,))
    H, expected = (Hessian(model, F.cross_entropy, data) for _ in range(2))
    H.take_fastest()
    assert (H.risk.data.batch_size, H.num_samples) == (16 if is_quicker else 512, 50)
    assert H.to_dense().numpy() == pytest.approx(expected.to_dense(method="products").numpy(), abs=1e-14)
    kept = H.risk.data.batch_size
    H.take_fastest()
    assert H.risk.data.batch_size == kept
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=25)
    given = Hessian(model, F.cross_entropy, loader)
    given.take_fastest()
    assert [len(targets) for _, targets in given.risk.data.batches()] == [25, 25]
