"""Densities of spectra that are known: moments, counts and curves within their intervals, whatever the matrix."""

import numpy as np
import pytest
import torch

from hessian_dendrogram import MatrixOperator, StochasticLanczos, spectral_density
from hessian_dendrogram.errors import InterruptedSolverError, UserError
from hessian_dendrogram.solvers.random_streams import generator_for
from hessian_dendrogram.statistics.density import moments, squared_frobenius_norm, trace
from hessian_dendrogram.statistics.distribution import count_between, cumulative
from known_matrices import Matrix, with_eigenvalues

N = 40
MARCHENKO_PASTUR = np.linalg.eigvalsh((lambda X: X @ X.T / 80)(np.random.default_rng(0).normal(size=(N, 2 * N))))
SEMICIRCLE = np.sin(np.linspace(-np.pi / 2, np.pi / 2, N))
TWO_POINTS = np.r_[np.full(10, -2.0), np.full(30, 1.0)]
OUTLIERS = np.r_[np.linspace(-0.1, 0.1, N - 5), 1.0, 3.0, 10.0, 30.0, 100.0]
KNOWN = {
    "semicircle": (SEMICIRCLE, 0),
    "Marchenko-Pastur": (MARCHENKO_PASTUR, 0),
    "two points": (TWO_POINTS, 0),
    "outliers": (OUTLIERS, 6),
}


def density_of(values, **options):
    return spectral_density(Matrix(with_eigenvalues(values)), **{"probes": 10, "steps": 6, **options})


def is_inside(estimate, true):
    low, high = estimate.interval(0.997)
    return low <= true <= high


@pytest.mark.parametrize("name", KNOWN)
def test_the_first_four_moments_are_inside_their_intervals_in_95_of_100(name):
    values, ends = KNOWN[name]
    operator = Matrix(with_eigenvalues(values))
    inside = traces = counted = distributed = 0
    points = np.quantile(values, [0.2, 0.5, 0.8]) + 1e-3
    counts = (values[:, None] <= points).sum(axis=0)
    for seed in range(100):
        density = spectral_density(operator, probes=10, steps=6, ends=ends, seed=seed)
        found = moments(density)
        inside += all(is_inside(one, (values**p).mean()) for p, one in enumerate(found, start=1))
        traces += is_inside(trace(density), values.sum()) and is_inside(
            squared_frobenius_norm(density), (values**2).sum()
        )
        known = count_between(density, points[0], points[2])
        counted += known.low <= counts[2] - counts[0] <= known.high
        curve = cumulative(density, points)
        distributed += bool(((curve.lows <= counts / N) & (counts / N <= curve.highs)).all())
    assert min(inside, traces, counted, distributed) >= 95


def test_traces_are_unbiased():
    # Their mean over 200 seeds has a standard error of its own, and lies within four of them of the truth.
    values = MARCHENKO_PASTUR
    operator = Matrix(with_eigenvalues(values))
    several = [spectral_density(operator, probes=10, steps=2, ends=0, seed=seed) for seed in range(200)]
    for estimates, true in (
        ([trace(one).value for one in several], values.sum()),
        ([squared_frobenius_norm(one).value for one in several], (values**2).sum()),
    ):
        error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
        assert abs(np.mean(estimates) - true) <= 4 * error
        claimed = np.mean([trace(one).standard_error for one in several])
        assert claimed == pytest.approx(np.std([trace(one).value for one in several], ddof=1), rel=0.25)


@pytest.mark.parametrize("ends", [0, 3])
@pytest.mark.parametrize(
    "values",
    [np.zeros(20), np.array([3.0]), np.array([-1.0, 2.0]), np.r_[np.zeros(19), 5.0], np.ones(15), np.arange(7.0)],
    ids=["zero", "one", "two", "rank one", "identity", "few"],
)
def test_closed_forms(values, ends):
    density = density_of(values, ends=ends, steps=50)
    assert density.dim == len(values)
    assert density.is_exact.all()  # each has fewer distinct values than there are steps
    for power, one in enumerate(moments(density), start=1):
        assert is_inside(one, (values**power).mean())
    for point in np.unique(values):
        assert all(
            known.low <= (values <= point + shift).sum() <= known.high
            for shift in (-1e-6, 1e-6)
            for known in [count_between(density, -np.inf, point + shift)]
        )


def test_a_matrix_with_one_eigenvalue_has_no_error():
    density = density_of(np.full(15, 2.0), ends=0)
    assert density.nodes.shape == (10, 1)
    assert trace(density).interval() == pytest.approx((30, 30), abs=1e-10)
    assert count_between(density, 1.9, 2.1).low == 15


def test_outliers_are_known_one_by_one_and_the_rest_by_probes():
    density = density_of(OUTLIERS, ends=6, steps=20)
    ends = density.ends()
    assert np.allclose(ends.eigenvalues[-5:], OUTLIERS[-5:], atol=1e-5)
    assert (np.abs(ends.eigenvalues[-5:] - OUTLIERS[-5:]) <= ends.error_bounds[-5:]).all()
    assert np.abs(density.nodes).max() < 0.11
    without = density_of(OUTLIERS, ends=0, steps=20)
    assert trace(without).standard_error > 100 * trace(density).standard_error


def test_quadratures_are_those_of_dense_vectors():
    # For polynomials below twice the steps; a probe's own weights need no statistics.
    A = with_eigenvalues(SEMICIRCLE)
    density = density_of(SEMICIRCLE, ends=0, steps=4)
    generator = generator_for("probes of a density", 0)
    for nodes, weights in zip(density.nodes, density.weights, strict=True):
        z = torch.randn(1, N, dtype=torch.float64, generator=generator)[0]
        z /= z.norm()
        for power in range(8):
            expected = float(z @ torch.linalg.matrix_power(A, power) @ z)
            assert weights @ nodes**power == pytest.approx(expected, abs=1e-12)


def test_few_bytes_take_probes_one_after_another():
    whole = density_of(OUTLIERS, ends=0)
    parts = density_of(OUTLIERS, ends=0, memory_budget=3 * 8 * N * 6)  # three probes at once
    assert parts.nodes == pytest.approx(whole.nodes, abs=1e-10)  # products of other widths round otherwise


def test_the_diagonal_has_errors_that_cover():
    A = with_eigenvalues(OUTLIERS)
    density = density_of(OUTLIERS, ends=3, diagonal_probes=64)
    apart = np.abs(density.diagonal - A.diagonal().numpy())
    assert (apart <= 4.5 * density.diagonal_errors + 1e-12).all()
    assert (density.diagonal_errors > 0).all()
    assert density_of(OUTLIERS).diagonal is None


def test_float32_products_widen_the_interval():
    A = with_eigenvalues(SEMICIRCLE)
    coarse = spectral_density(MatrixOperator(A.float() / 2 + A.float().T / 2), probes=10, steps=6, ends=0)
    assert trace(coarse).bias > 1e-6
    assert is_inside(trace(coarse), SEMICIRCLE.sum())


class Failing(Matrix):
    """Raises after some products."""

    left = 25

    def _products(self, V):
        self.left -= V.shape[1]
        if self.left < 0:
            raise RuntimeError("no more")
        return super()._products(V)


def test_a_failing_operator_leaves_the_density_of_its_steps():
    with pytest.raises(InterruptedSolverError, match="no more, after 20 products; the density of 2 steps") as caught:
        spectral_density(Failing(with_eigenvalues(SEMICIRCLE)), probes=10, steps=6, ends=0)
    kept = caught.value.spectrum
    assert kept.nodes.shape == (10, 2)
    assert kept.provenance["interrupted"].endswith("no more")
    assert is_inside(trace(kept), SEMICIRCLE.sum())


def test_an_operator_that_fails_at_once_is_one_line():
    operator = Failing(with_eigenvalues(SEMICIRCLE))
    operator.left = 0
    with pytest.raises(UserError, match="the first product failed"):
        spectral_density(operator, probes=10, steps=6, ends=0)


def test_what_is_not_symmetric_is_refused():
    A = with_eigenvalues(SEMICIRCLE)
    A[0, 1] += 0.1
    with pytest.raises(UserError, match="not symmetric"):
        spectral_density(Matrix(A), probes=10, steps=6, ends=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 9}, "probes of a density must be a whole number >= 10, got 9"),
        ({"probes": 12.5}, "probes of a density must be a whole number >= 10, got 12.5"),
        ({"steps": 0}, "steps of a density must be a whole number >= 1, got 0"),
        ({"ends": -1}, "ends of a density must be a whole number >= 0, got -1"),
        ({"diagonal_probes": 1}, "must be 0, or 2 or more for an error; got 1"),
        ({"memory_budget": 100}, "needs a memory_budget of 32000 bytes, got 100; take fewer steps"),
    ],
)
def test_bad_options_are_one_line(options, message):
    with pytest.raises(UserError, match=message):
        StochasticLanczos(**options).check(100) if "memory_budget" not in options else StochasticLanczos(
            steps=40, **options
        ).check(100)


def test_many_equal_eigenvalues_are_estimated_where_they_are():
    """400 zeros and 100 positive ones: the middle of the bounds between nodes had 43 % of them below -1.

    No probe may know how the known eigenvectors were found: these are one basis of the zeros' space among many, begun
    at random, and a probe with the same beginning would have no weight there at all.
    """
    values = torch.cat([torch.zeros(400), torch.linspace(1, 3, 100)]).double()
    density = StochasticLanczos(probes=10, steps=20).solve(MatrixOperator(torch.diag(values)), seed=0, progress=False)
    curve = cumulative(density, [-1.0, 0.5, 4.0])
    assert curve.values[0] == 0
    assert curve.values[1] == pytest.approx(0.8, abs=0.02)
    assert (density.weights[:, 0] > 0.7).all()
    assert curve.values[2] == pytest.approx(1)
    assert ((curve.lows <= curve.values) & (curve.values <= curve.highs)).all()
    assert count_between(density, -np.inf, -1.0).value == 0
    assert count_between(density, -1.0, 0.5).value == pytest.approx(400, abs=25)
