"""Operators of the outputs' first derivative against per-sample Jacobians, in float64, on every case."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import GaussNewton, Hessian, exact_spectrum
from hessian_dendrogram.operators.empirical_fisher import EmpiricalFisher
from hessian_dendrogram.operators.fisher import Fisher
from hessian_dendrogram.operators.gradient_covariance import GradientCovariance
from hessian_dendrogram.operators.residual import Residual
from references import samples_of


def softmax_metric(z, tau):
    p = torch.softmax(z / tau, 0)
    return (torch.diag(p) - torch.outer(p, p)) / tau**2


def bernoulli_metric(z):
    q = torch.sigmoid(z)
    return torch.diag(q * (1 - q))


def centring(z):
    return torch.eye(len(z), dtype=torch.float64) - 1 / len(z)


METRICS = {
    "identity": ({"metric": "identity"}, lambda z: torch.eye(len(z), dtype=torch.float64)),
    "identity-centred-outputs": (
        {"metric": "identity", "centre_outputs": True, "divide_by_outputs": True},
        lambda z: centring(z) / len(z),
    ),
    "softmax": ({"metric": "softmax"}, lambda z: softmax_metric(z, 1.0)),
    "softmax-tau": ({"metric": "softmax", "tau": 2.5}, lambda z: softmax_metric(z, 2.5)),
}


def build(case):
    torch.manual_seed(0)
    return case.build()


def mean_of_squares(model, data, layout, metric):
    parts = [J.T @ metric(z.flatten()) @ J for z, J, _ in samples_of(model, data, layout)]
    return torch.stack(parts).mean(0)


def gradients(model, loss, data, layout):
    rows = []
    for z, J, target in samples_of(model, data, layout):
        leaf = z.clone().requires_grad_()
        slope = torch.autograd.grad(loss(leaf, target), leaf)[0].flatten()
        rows.append(slope @ J)
    return torch.stack(rows)


def confirm(operator, expected, *, definite=True):
    """Products, the matrix in both ways, symmetry, and no eigenvalue below minus its bound."""
    scale = float(expected.norm())
    V = torch.randn(len(expected), 3, dtype=torch.float64)
    assert float((operator @ V - expected @ V).norm()) <= 1e-10 * scale * float(V.norm())
    dense = operator.to_dense()
    assert float((dense - expected).norm()) <= 1e-10 * scale
    assert torch.equal(dense, dense.T)
    if operator.plan.chain is not None:
        layered = operator.to_dense(method="layerwise")
        assert float((layered - expected).norm()) <= 1e-10 * scale
        assert torch.equal(layered, layered.T)
    if definite:
        spectrum = exact_spectrum(operator, vectors=0)
        assert (spectrum.eigenvalues >= -spectrum.error_bounds).all()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_outputs(case, metric):
    model, loss, data = build(case)
    options, expected = METRICS[metric]
    G = GaussNewton(model, loss, data, dtype=torch.float64, **options)
    confirm(G, mean_of_squares(model, data, G.layout, expected))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reverse_mode_twice_gives_the_same_products(case):
    model, loss, data = build(case)
    for made in (
        lambda **options: GaussNewton(model, loss, data, metric="softmax", **options),
        lambda **options: GaussNewton(model, loss, data, metric="identity", centred=True, **options),
        lambda **options: GradientCovariance(model, loss, data, **options),
    ):
        double, usual = made(dtype=torch.float64, method="double-backward"), made(dtype=torch.float64)
        V = torch.randn(usual.shape[0], 2, dtype=torch.float64)
        assert float((double @ V - usual @ V).norm()) <= 1e-11 * float((usual @ V).norm()) + 1e-15


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mean_jacobian_is_taken_off(case):
    model, loss, data = build(case)
    G = GaussNewton(model, loss, data, dtype=torch.float64, metric="identity", centre_outputs=True, centred=True)
    parts = list(samples_of(model, data, G.layout))
    J = torch.stack([J for _, J, _ in parts])
    away = J - J.mean(0)
    expected = torch.einsum("nca,cd,ndb->ab", away, centring(parts[0][0].flatten()), away) / len(away)
    confirm(G, expected)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_squares_of_gradients(case):
    model, loss, data = build(case)
    E = EmpiricalFisher(model, loss, data, dtype=torch.float64)
    g = gradients(model, loss, data, E.layout)
    confirm(E, g.T @ g / len(g))
    C = GradientCovariance(model, loss, data, dtype=torch.float64)
    away = g - g.mean(0)
    confirm(C, away.T @ away / len(g))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_gauss_newton_leaves_of_the_hessian(case):
    model, loss, data = build(case)
    R = Residual(model, loss, data, dtype=torch.float64)
    H = Hessian(model, loss, data, dtype=torch.float64).to_dense(method="products")  # checked against other programs
    expected, scale = (
        H - GaussNewton(model, loss, data, dtype=torch.float64).to_dense(method="products"),
        float(H.norm()),
    )
    for dense in [R.to_dense(), R.to_dense(method="products")]:
        assert float((dense - expected).norm()) <= 1e-10 * scale
        assert torch.equal(dense, dense.T)
    double = Residual(model, loss, data, dtype=torch.float64, method="double-backward")
    v = torch.randn(R.shape[0], dtype=torch.float64)
    assert float((double @ v - expected @ v).norm()) <= 1e-10 * scale * float(v.norm())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_fisher_matrix_of_a_loss_is_its_gauss_newton_matrix(case):
    model, loss, data = build(case)
    F_ = Fisher(model, loss, data, dtype=torch.float64)
    confirm(F_, GaussNewton(model, loss, data, dtype=torch.float64).to_dense())


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("categorical", lambda z: softmax_metric(z, 1.0)),
        ("bernoulli", bernoulli_metric),
        ("gaussian", lambda z: torch.eye(len(z), dtype=torch.float64)),
    ],
)
def test_named_distributions_and_their_draws(name, metric):
    model, _, (inputs, targets) = build(CASES[0])
    closed = Fisher(model, None, inputs, distribution=name, dtype=torch.float64)
    expected = mean_of_squares(model, (inputs, targets), closed.layout, metric)
    confirm(closed, expected)
    some, many = (
        Fisher(model, None, inputs, distribution=name, draws=draws, seed=1, dtype=torch.float64) for draws in (50, 2000)
    )
    apart = [float((F_.to_dense() - expected).norm() / expected.norm()) for F_ in (some, many)]
    assert apart[1] < 0.05
    assert apart[1] < apart[0] < 0.5
    # by definition, from the labels that were drawn
    inner = some.risk.loss
    total = torch.zeros_like(expected)
    drawn = torch.cat([targets for _, targets in some.risk.data.source])
    for n, (z, J, _) in enumerate(samples_of(model, (inputs, targets), closed.layout)):
        for label in drawn[n, 1:].reshape(50, -1):
            leaf = z.clone().requires_grad_()
            likelihood = inner.distribution(leaf).log_prob(label.reshape(1, 1, *inner.label)).sum()
            g = torch.autograd.grad(likelihood, leaf)[0].flatten() @ J
            total += torch.outer(g, g) / 50 / len(drawn)
    confirm(some, total)


def test_draws_depend_on_the_seed_alone():
    model, _, (inputs, _) = build(CASES[0])

    def matrix(**options):
        return Fisher(
            model, None, inputs, distribution="categorical", draws=3, dtype=torch.float64, **options
        ).to_dense()

    assert matrix(seed=1).numpy() == pytest.approx(matrix(seed=1, batch_size=2).numpy(), abs=1e-14)
    assert float((matrix(seed=1) - matrix(seed=2)).norm()) > 1e-3
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    matrix(seed=1)
    assert torch.equal(torch.rand(1), before)


def test_the_spectrum_of_identity_is_that_of_the_tangent_kernel():
    model, loss, data = build(CASES[0])
    G = GaussNewton(model, loss, data, dtype=torch.float64, metric="identity", centre_outputs=True)
    parts = list(samples_of(model, data, G.layout))
    root = centring(parts[0][0].flatten())  # a projection is its own root
    J = torch.cat([root @ J for _, J, _ in parts])
    kernel = np.linalg.eigvalsh((J @ J.T / len(parts)).numpy())
    spectrum = exact_spectrum(G, vectors=0)
    wanted = np.sort(kernel)[-18:]  # 9 samples, 2 outputs beside the mean
    assert spectrum.eigenvalues[-18:] == pytest.approx(wanted, abs=1e-13)
    assert np.abs(spectrum.eigenvalues[:-18]).max() < 1e-13


# ── batches, weights, forms of the data ──────────────────────────────────────────────────────────────────────────────

KINDS = {
    "gauss-newton": (GaussNewton, {}),
    "identity": (GaussNewton, {"metric": "identity", "centred": True}),
    "softmax": (GaussNewton, {"metric": "softmax"}),
    "fisher": (Fisher, {}),
    "empirical-fisher": (EmpiricalFisher, {}),
    "gradient-covariance": (GradientCovariance, {}),
    "residual": (Residual, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_any_size_and_chosen_parameters(kind):
    made, options = KINDS[kind]
    model, loss, (inputs, targets) = build(CASES[0])
    expected = made(model, loss, (inputs, targets), dtype=torch.float64, **options)
    whole = expected.to_dense(method="products")
    for size in (1, 4):
        A = made(model, loss, (inputs, targets), dtype=torch.float64, batch_size=size, **options)
        for method in ("products", "layerwise"):
            assert A.to_dense(method=method).numpy() == pytest.approx(whole.numpy(), abs=1e-14)
    ragged = [(inputs[:5], targets[:5]), (inputs[5:6], targets[5:6]), (inputs[6:], targets[6:])]
    A = made(model, loss, ragged, dtype=torch.float64, **options)
    assert A.to_dense().numpy() == pytest.approx(whole.numpy(), abs=1e-14)
    A = made(model, loss, (inputs, targets), dtype=torch.float64, parameters=["2.*"], **options)
    rows = expected.layout.group({"": "2.*"})[""]
    assert A.to_dense().numpy() == pytest.approx(whole.numpy()[np.ix_(rows, rows)], abs=1e-14)
    single = made(model, loss, (inputs, targets), **options)
    assert single.dtype == torch.float32
    assert single.to_dense(method="products").numpy() == pytest.approx(whole.numpy(), abs=1e-5)
    assert (A.for_error_check() is A) == (A.num_samples <= 256)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_that_weigh_nothing_have_no_part(kind):
    made, options = KINDS[kind]
    model, loss, (inputs, targets) = build(CASES[0])
    targets = targets.clone()
    targets[[1, 4, 5]] = -100
    kept = targets >= 0
    expected = made(model, loss, (inputs[kept], targets[kept]), dtype=torch.float64, **options).to_dense()
    for size in (4, 9):
        A = made(
            model,
            loss,
            (inputs, targets),
            dtype=torch.float64,
            batch_size=size,
            weight=lambda t: (t >= 0).sum(),
            **options,
        )
        for method in ("products", "layerwise"):
            assert A.to_dense(method=method).numpy() == pytest.approx(expected.numpy(), abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_samples(kind):
    """A loss that weighs samples, against the same samples written several times."""
    made, options = KINDS[kind]
    model, _, (inputs, _) = build(CASES[0])
    counts = torch.tensor([1.0, 3, 2, 1, 1, 2, 1, 1, 4])
    classes = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    targets = torch.stack([classes.double(), counts.double()], dim=1)

    def weighed(outputs, targets):
        each = F.cross_entropy(outputs, targets[:, 0].long(), reduction="none")
        return (each * targets[:, 1]).sum() / targets[:, 1].sum()

    rows = torch.arange(9).repeat_interleave(counts.long())
    expected = made(model, F.cross_entropy, (inputs[rows], classes[rows]), dtype=torch.float64, **options).to_dense()
    for size in (2, 9):
        A = made(
            model,
            weighed,
            (inputs, targets),
            dtype=torch.float64,
            batch_size=size,
            weight=lambda t: t[:, 1].sum(),
            **options,
        )
        assert A.to_dense(method="products").numpy() == pytest.approx(expected.numpy(), abs=1e-13)


def test_draws_of_weighed_samples():
    model, loss, (inputs, targets) = build(CASES[0])
    targets = targets.clone()
    targets[[1, 4, 5]] = -100
    A = Fisher(
        model, loss, (inputs, targets), dtype=torch.float64, distribution="categorical", draws=2000, batch_size=4,
        weight=lambda t: (t >= 0).sum(),
    )  # fmt: skip
    expected = Fisher(model, None, inputs[targets >= 0], dtype=torch.float64, distribution="categorical").to_dense()
    assert float((A.to_dense() - expected).norm()) < 0.05 * float(expected.norm())


def test_inputs_alone_in_every_form():
    model, loss, (inputs, targets) = build(CASES[0])
    options = {"metric": "identity", "dtype": torch.float64}
    expected = GaussNewton(model, loss, (inputs, targets), **options).to_dense()
    for data in (inputs, (inputs, None), [(inputs[:4], targets[:4]), (inputs[4:], targets[4:])]):
        assert GaussNewton(model, None, data, **options).to_dense().numpy() == pytest.approx(
            expected.numpy(), abs=1e-14
        )
    for case in CASES:
        if case.name in ("tuple-inputs", "dict-inputs"):
            model, loss, (inputs, targets) = build(case)
            one, other = (
                GaussNewton(model, None, data, **options).to_dense()
                for data in ((inputs, targets), (inputs, None) if isinstance(inputs, tuple) else inputs)
            )
            assert torch.equal(one, other)


class Places(nn.Module):
    """Logits at every place of a sequence."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(5, 4), nn.Linear(4, 3)

    def forward(self, tokens, attention_mask=None):
        return {"logits": self.out(torch.tanh(self.embedding(tokens).cumsum(1)))}


def test_places_of_a_sample_are_rows():
    torch.manual_seed(0)
    model, tokens = Places().double(), torch.randint(5, (6, 4))

    class Logits(nn.Module):
        def __init__(self):
            super().__init__()
            self.places = model

        def forward(self, tokens):
            return self.places(tokens)["logits"]

    G = GaussNewton(model, None, tokens, metric="softmax", batch_size=4)
    parts = list(
        samples_of(Logits(), (tokens, torch.zeros(6)), GaussNewton(Logits(), None, tokens, metric="softmax").layout)
    )
    J = torch.cat([J.reshape(4, 3, -1) for _, J, _ in parts])
    z = torch.cat([z[0] for z, _, _ in parts])
    expected = torch.stack([j.T @ softmax_metric(row, 1.0) @ j for j, row in zip(J, z, strict=True)]).mean(0)
    assert G.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    assert (G.describe()["outputs"], G.describe()["rows_of_a_sample"]) == (3, 4)

    def token_loss(outputs, targets):
        return F.cross_entropy(outputs["logits"].transpose(1, 2), targets)

    data = tokens, torch.randint(3, (6, 4))
    for F_ in (Fisher(model, token_loss, data), Fisher(model, None, tokens, distribution="categorical")):
        assert F_.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-14)
    draws = Fisher(model, None, tokens, distribution="categorical", draws=2000).to_dense()
    assert float((draws - expected).norm()) < 0.05 * float(expected.norm())
    E = EmpiricalFisher(model, token_loss, data, batch_size=4).to_dense()
    g = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda z, n=n: token_loss({"logits": z}, data[1][n : n + 1]), z
            ).flatten()
            @ J
            for n, (z, J, _) in enumerate(parts)
        ]
    )
    assert E.numpy() == pytest.approx((g.T @ g / 6).numpy(), abs=1e-14)
