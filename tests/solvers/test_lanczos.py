"""Lanczos on prescribed spectra: what is reported as converged is there, once, and nothing is missing."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from hessian_dendrogram import Hessian, lanczos_spectrum, progress
from hessian_dendrogram.errors import InterruptedSolverError, UserError
from hessian_dendrogram.layout import Layout
from known_matrices import Matrix, with_eigenvalues

RANDOM = np.random.default_rng(0)
# Eigenvalues, how many at the top and at the bottom, and more arguments.
CASES = {
    "evenly spaced": (np.linspace(-3, 5, 60), 5, 5, {}),
    "multiplicities up to the block size": (np.repeat(RANDOM.standard_normal(40), 8), 24, 24, {}),
    "rank deficient": (np.r_[np.zeros(55), np.geomspace(1e-3, 50, 5)], 8, 3, {}),
    "ten decades": (
        np.r_[-np.geomspace(1e-3, 1e-8, 100), np.geomspace(1e-8, 1e2, 300)],
        20,
        20,
        {"bottom_tolerance": 1e-3},
    ),
    "clusters narrower than the tolerance": (
        np.r_[RANDOM.uniform(-1, 1, 200), 3 + 1e-9 * np.arange(5), -2 - 1e-9 * np.arange(4)],
        8,
        8,
        {},
    ),
    "a narrow negative band": (
        np.r_[-np.linspace(0.001, 0.00128, 200), RANDOM.uniform(-0.001, 0.003, 200), np.geomspace(0.003, 72, 60)],
        30,
        40,
        {"bottom_tolerance": 1e-3},
    ),
    "restarts": (RANDOM.standard_normal(400), 15, 15, {"block_size": 8, "memory_budget": 8 * (400 * 100 + 4 * 100**2)}),
    "more than half": (RANDOM.standard_normal(100), 40, 30, {}),
    "all": (RANDOM.standard_normal(50), 30, 30, {}),
    "zero": (np.zeros(40), 3, 3, {}),
    "one": (np.array([2.0]), 1, 1, {}),
    "the top alone": (RANDOM.standard_normal(200), 10, 0, {}),
    "the bottom alone": (RANDOM.standard_normal(200), 0, 10, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_converged_values_are_within_their_bounds_and_none_is_missing(name):
    values, top, bottom, more = CASES[name]
    values = np.sort(values)
    n = len(values)
    A = with_eigenvalues(values)
    spectrum = lanczos_spectrum(Matrix(A), top=top, bottom=bottom, **more)
    is_whole = top + bottom >= n
    expected = values if is_whole else np.r_[values[:bottom], values[n - top :]]
    assert spectrum.is_complete == is_whole
    assert spectrum.converged.all()
    rounding = 20 * np.finfo(float).eps * np.abs(values).max()
    assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.error_bounds + rounding).all()
    X = spectrum.eigenvectors
    assert pytest.approx(np.eye(X.shape[1]), abs=1e-12) == X.T @ X
    residuals = np.linalg.norm(A.numpy() @ X - X * spectrum.eigenvalues, axis=0)
    assert (residuals <= spectrum.error_bounds).all()
    if not is_whole:
        assert (spectrum.num_bottom, spectrum.num_top) == (bottom, top)


class Reflected(Matrix):
    """A diagonal matrix between two Householder reflections: any spectrum at any size."""

    def __init__(self, values, dtype=torch.float64):
        self.values, self.dtype, self.device = torch.as_tensor(values, dtype=dtype), dtype, torch.device("cpu")
        self.layout = Layout(("weight",), ((len(values),),))
        normal = torch.randn(len(values), 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        self.normal = (normal / normal.norm()).to(dtype)

    def _reflect(self, V):
        return V - 2 * self.normal @ (self.normal.T @ V)

    def _products(self, V):
        return self._reflect(self.values[:, None] * self._reflect(V))

    def with_dtype(self, dtype):
        return Reflected(self.values, dtype)


LARGE = {
    "bulk and outliers": np.r_[RANDOM.uniform(-1, 1, 19_940), -2 - np.arange(30.0), 3 + np.arange(30.0)],
    "repeated up to the block size": np.r_[
        RANDOM.uniform(-1, 1, 19_904), np.repeat([-9.0, -5.0, -3.0], 16), np.repeat([4.0, 5.0, 8.0], 16)
    ],
    "ten decades": np.r_[-np.geomspace(1e-9, 1, 10_000), np.geomspace(1e-9, 10, 10_000)],
    "deficient": np.r_[np.zeros(19_950), np.geomspace(1e-8, 1, 50)],
}


SLOW = ("bulk and outliers", "ten decades")  # most of a minute each


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in LARGE])
def test_size_20000(name):
    values = np.sort(LARGE[name])
    spectrum = lanczos_spectrum(Reflected(values), top=40, bottom=40, tolerance=1e-8, memory_budget=2**28)
    expected = np.r_[values[:40], values[-40:]]
    assert spectrum.converged.all()
    assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.error_bounds).all()


@pytest.mark.parametrize("multiplicity", [17, 40])
def test_beyond_the_block_size_what_is_reported_is_still_right(multiplicity):
    """That none is missing is promised up to the block size alone."""
    values = np.sort(np.r_[RANDOM.uniform(-1, 1, 300), np.full(multiplicity, 2.0)])
    spectrum = lanczos_spectrum(Reflected(values), top=multiplicity + 5, bottom=5)
    distances = np.abs(spectrum.eigenvalues[:, None] - values).min(axis=1)
    assert (distances <= spectrum.error_bounds)[spectrum.converged].all()


@pytest.mark.parametrize("seed", range(6))
def test_random_spectra(seed):
    """Sizes, blocks and spreads drawn at random."""
    random = np.random.default_rng(seed)
    n = int(random.integers(50, 400))
    values = np.sort(random.choice([-1, 1], n, p=[0.3, 0.7]) * 10 ** random.uniform(-random.uniform(0, 8), 1, n))
    k = int(random.integers(1, n // 4))
    block = int(random.integers(1, 12))
    spectrum = lanczos_spectrum(Matrix(with_eigenvalues(values)), top=k, bottom=k, block_size=block, seed=seed)
    found, expected = spectrum.converged, np.r_[values[:k], values[n - k :]]
    assert found.all()
    assert (np.abs(spectrum.eigenvalues - expected) <= spectrum.error_bounds + 1e-12).all()


@pytest.mark.parametrize(("top", "bottom"), [(200, 200), (600, 0), (0, 600), (1000, 0)])
def test_where_products_end_early_no_end_claims_the_other_ones_values(top, bottom):
    """The outliers converge at once, before there are as many Ritz values as were asked for."""
    values = np.sort(
        np.r_[np.random.default_rng(0).uniform(-1, 1, 980), -20 - 3 * np.arange(10.0), 30 + 4 * np.arange(10.0)]
    )
    spectrum = lanczos_spectrum(Reflected(values), top=top, bottom=bottom, max_products=100)
    at_bottom, at_top = np.split(spectrum.eigenvalues, [spectrum.num_bottom])
    is_bottom, is_top = np.split(spectrum.converged, [spectrum.num_bottom])
    assert (len(at_bottom) > 0, len(at_top) > 0) == (bottom > 0 or top == 1000, top > 0)
    np.testing.assert_allclose(at_bottom[is_bottom], values[:10] if len(at_bottom) else [], rtol=1e-9)
    np.testing.assert_allclose(at_top[is_top], values[-10:] if len(at_top) else [], rtol=1e-9)


@pytest.mark.parametrize("seed", [19, 28])
def test_a_pair_that_a_probe_leaves_just_outside_converges_again(seed):
    values = np.sort(np.random.default_rng(seed).standard_normal(300))
    size = 4 * 10 + 4 * 8
    spectrum = lanczos_spectrum(
        Reflected(values),
        top=10,
        bottom=10,
        block_size=8,
        tolerance=1e-4,
        seed=seed,
        trace_probes=0,
        memory_budget=8 * (300 * size + 4 * size**2),
    )
    assert spectrum.converged.all()
    assert spectrum.provenance["products"] < 1000


def test_what_has_not_converged_says_so_and_how_far_it_is():
    values = np.sort(np.random.default_rng(0).standard_normal(500))
    A = with_eigenvalues(values)
    spectrum = lanczos_spectrum(Matrix(A), top=20, bottom=20, max_products=80)
    assert not spectrum.converged.all()
    distances = np.abs(spectrum.eigenvalues[:, None] - values).min(axis=1)
    assert (distances <= spectrum.error_bounds).all()
    assert (spectrum.error_bounds[~spectrum.converged] > 1e-6 * np.abs(values).max()).all()
    assert spectrum.provenance["products"] == 80 + 40 + 32


def test_the_trace_is_estimated_from_what_lies_between():
    values = np.r_[-np.arange(5.0) - 10, np.random.default_rng(0).standard_normal(300), 100 + np.arange(5.0)]
    A = with_eigenvalues(values)
    estimates = [lanczos_spectrum(Matrix(A), top=5, bottom=5, seed=seed).provenance["trace"] for seed in range(20)]
    errors = np.array([estimate["value"] - values.sum() for estimate in estimates])
    expected = np.sqrt(2 * np.square(values[5:-5]).sum() / 32)  # of Gaussian probes; Rademacher's is a little less
    assert np.mean([estimate["standard_error"] for estimate in estimates]) == pytest.approx(expected, rel=0.2)
    assert 0.6 * expected < np.sqrt(np.mean(errors**2)) < 1.4 * expected
    assert "trace" not in lanczos_spectrum(Matrix(A), top=5, bottom=5, trace_probes=0).provenance
    assert "trace" not in lanczos_spectrum(Matrix(A), top=200, bottom=200).provenance


def test_progress_counts_converged_pairs_at_each_end(monkeypatch):
    shown = []

    class Bar(tqdm):
        def set_postfix(self, ordered_dict=None, refresh=True, **more):
            shown.append(dict(ordered_dict))

    monkeypatch.setattr(progress, "tqdm", Bar)
    lanczos_spectrum(Matrix(with_eigenvalues(np.linspace(-1, 2, 200))), top=6, bottom=4, progress=True)
    assert shown[-1] == {"top": 6, "bottom": 4}
    assert any(0 < sum(numbers.values()) < 10 for numbers in shown)


def test_the_same_seed_gives_the_same_bits():
    A = Matrix(with_eigenvalues(np.linspace(-1, 4, 120)))
    first, again, other = (lanczos_spectrum(A, top=5, bottom=5, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.eigenvectors, again.eigenvectors)
    assert not np.array_equal(first.eigenvectors, other.eigenvectors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_of_a_hessian(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))
    H = Hessian(model, F.cross_entropy, (torch.randn(50, 6), torch.randint(5, (50,))), dtype=dtype)
    exact = np.linalg.eigvalsh(H.with_dtype(torch.float64).to_dense().numpy())
    spectrum = lanczos_spectrum(H, top=10, bottom=10, tolerance=1e-5)
    assert spectrum.converged.all()
    assert (np.abs(spectrum.eigenvalues - np.r_[exact[:10], exact[-10:]]) <= spectrum.error_bounds + 1e-13).all()
    assert spectrum.provenance["dtype"] == str(dtype).removeprefix("torch.")
    assert spectrum.provenance["solver"] == "lanczos"


class Failing(Matrix):
    """Works for some products, then raises or gives NaN."""

    def __init__(self, A, products, error):
        super().__init__(A)
        self.left, self.error_raised = products, error

    def _products(self, V):
        self.left -= V.shape[1]
        if self.left < 0 and self.error_raised:
            raise self.error_raised
        return super()._products(V) * (1.0 if self.left >= 0 else torch.nan)

    def with_dtype(self, dtype):
        return self


@pytest.mark.parametrize(
    ("error", "message"),
    [(RuntimeError("out of memory\nin block 3"), "RuntimeError: out of memory, after"), (None, "is not finite")],
)
@pytest.mark.parametrize("products", [96, 200])
def test_what_had_been_found_outlives_an_operator_that_fails(products, error, message):
    values = np.sort(np.r_[np.random.default_rng(1).standard_normal(390), 10 + 3 * np.arange(10.0)])
    A = with_eigenvalues(values)
    with pytest.raises(InterruptedSolverError, match=message) as caught:
        lanczos_spectrum(Failing(A, products, error), top=20, bottom=20, block_size=8)
    spectrum = caught.value.spectrum
    assert spectrum.provenance["products"] == products
    assert f"{spectrum.converged[-20:].sum()} of 20 largest" in str(caught.value)
    assert spectrum.converged[-10:].all()
    assert not spectrum.converged.all()
    assert np.abs(spectrum.eigenvalues - np.r_[values[:20], values[-20:]])[spectrum.converged].max() < 1e-6
    residuals = np.linalg.norm(A.numpy() @ spectrum.eigenvectors - spectrum.eigenvectors * spectrum.eigenvalues, axis=0)
    assert (residuals <= spectrum.error_bounds).all()


def test_an_interrupted_operator_in_float32_knows_its_rounding():
    values = np.sort(np.r_[-3 * np.arange(1, 6), np.random.default_rng(0).uniform(-1, 1, 400), 20 + np.arange(5.0)])

    class FailingInFloat32(Reflected):
        left = 200

        def _products(self, V):
            self.left -= V.shape[1]
            if self.left < 0:
                raise RuntimeError("x")
            return super()._products(V)

    with pytest.raises(InterruptedSolverError) as caught:
        lanczos_spectrum(FailingInFloat32(values, torch.float32), top=20, bottom=20, block_size=4, tolerance=1e-5)
    spectrum = caught.value.spectrum
    assert spectrum.converged.sum() >= 10
    distances = np.abs(spectrum.eigenvalues[:, None] - values).min(axis=1)
    assert (distances <= spectrum.error_bounds).all()


def test_what_fails_after_the_last_product_keeps_its_end():
    A = with_eigenvalues(
        np.sort(np.r_[np.random.default_rng(0).uniform(-1, 1, 190), -9 - np.arange(5.0), 9 + np.arange(5.0)])
    )
    with pytest.raises(InterruptedSolverError, match="x, after 40 products") as caught:
        lanczos_spectrum(Failing(A, 40, RuntimeError("x")), top=30, bottom=30, block_size=4, max_products=40)
    spectrum = caught.value.spectrum
    assert (spectrum.num_bottom, spectrum.num_top) == (20, 20)
    expected = np.linalg.eigvalsh(A.numpy())
    np.testing.assert_allclose(spectrum.eigenvalues[spectrum.converged], np.r_[expected[:5], expected[-5:]], rtol=1e-6)


def test_an_interrupted_search_for_all_counts_all():
    A = with_eigenvalues(np.r_[np.random.default_rng(0).uniform(-1, 1, 100), -9, 9])
    with pytest.raises(InterruptedSolverError, match="2 of 102 eigenvalues had converged") as caught:
        lanczos_spectrum(Failing(A, 48, RuntimeError("x")), top=102, bottom=102, block_size=4)
    assert caught.value.spectrum.num_bottom == caught.value.spectrum.num_top


@pytest.mark.parametrize(
    ("last_products", "message"), [(6, "by the iteration's own estimates"), (32, "the trace was not estimated")]
)
def test_what_fails_at_the_end_costs_no_more_than_itself(last_products, message):
    A = with_eigenvalues(np.linspace(-1, 1, 200))
    whole = lanczos_spectrum(Matrix(A), top=3, bottom=3, trace_probes=last_products if last_products > 6 else 0)
    enough = whole.provenance["products"] - last_products
    with pytest.raises(InterruptedSolverError, match=f"3 of 3 largest and 3 of 3 smallest .*{message}") as caught:
        lanczos_spectrum(Failing(A, enough, RuntimeError("x")), top=3, bottom=3)
    spectrum = caught.value.spectrum
    assert spectrum.converged.all()
    assert "trace" not in spectrum.provenance
    assert spectrum.provenance["interrupted"] == "the operator raised RuntimeError: x"
    if last_products > 6:
        np.testing.assert_array_equal(spectrum.error_bounds, whole.error_bounds)


def test_an_operator_that_is_not_symmetric_is_named():
    A = with_eigenvalues(np.linspace(-1, 1, 100))
    for block_size in (1, 4):
        lanczos_spectrum(Matrix(A), top=3, bottom=3, block_size=block_size)
        with pytest.raises(UserError, match="not symmetric: u"):
            lanczos_spectrum(Matrix(A + 1e-3 * torch.triu(A)), top=3, bottom=3, block_size=block_size)


class Returning(Matrix):
    """Products of any kind."""

    def __init__(self, product):
        super().__init__(torch.eye(50, dtype=torch.float64))
        self.product = product

    def _products(self, V):
        return self.product(V)


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (lambda V: V[:-1], r"real tensor of shape \(50, 4\), got torch.float64 of shape \(49, 4\)"),
        (lambda V: V * 1j, "real tensor of shape .*, got torch.complex128"),
        (lambda V: V.numpy(), "real tensor of shape .*, got ndarray"),
        (lambda V: V * 1e200, r"entries up to \d.*e\+19\d, whose squares leave the range of float64"),
        (lambda V: V * 1e-200, r"entries up to \d.*e-20\d, whose squares"),
    ],
)
def test_products_that_are_none_are_named(product, message):
    with pytest.raises(UserError, match=message):
        lanczos_spectrum(Returning(product), top=3, bottom=3)


def test_bad_input_is_refused():
    A = Matrix(torch.eye(300, dtype=torch.float64))
    with pytest.raises(UserError, match="one of them > 0, got 0 and 0"):
        lanczos_spectrum(A, top=0, bottom=0)
    with pytest.raises(UserError, match="at most 300, the size of the matrix, got 301 and 2"):
        lanczos_spectrum(A, top=301, bottom=2)
    with pytest.raises(UserError, match="got 0, 4000, 1e-06 and 1e-06"):
        lanczos_spectrum(A, block_size=0)
    with pytest.raises(UserError, match="tolerances > 0, got 16, 4000, 1e-06 and 0"):
        lanczos_spectrum(A, bottom_tolerance=0)
    with pytest.raises(UserError, match=r"must be whole numbers, got 2\.5, 200, 4000 and None"):
        lanczos_spectrum(A, top=2.5)
    with pytest.raises(UserError, match="got 16, 0, 1e-06"):
        lanczos_spectrum(A, max_products=0)
    with pytest.raises(UserError, match="need a basis of 84 vectors and a memory_budget of 427392 bytes, got 200000"):
        lanczos_spectrum(A, top=5, bottom=5, block_size=16, memory_budget=200_000)
    with pytest.raises(UserError, match="the first product failed: a product with the operator is not finite"):
        lanczos_spectrum(Matrix(torch.full((30, 30), torch.inf, dtype=torch.float64)), top=2, bottom=2)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak memory from /proc")
@pytest.mark.parametrize(("pairs", "block_size", "budget", "products"), [(10, 4, 150, 600), (100, 16, 195, 700)])
def test_memory_keeps_to_its_budget(pairs, block_size, budget, products):
    """The second budget is the least for so many pairs."""
    script = """
import sys
import torch
from pathlib import Path
from hessian_dendrogram import lanczos_spectrum
from hessian_dendrogram.operators.operator import CurvatureOperator

class Diagonal(CurvatureOperator):
    shape, dtype, device = (50_000, 50_000), torch.float64, torch.device("cpu")
    values = torch.linspace(-1, 1, 50_000, dtype=torch.float64) ** 3
    def _products(self, V): return self.values[:, None] * V
    def with_dtype(self, dtype): return self
    def describe(self): return {}

def run(pairs, block_size, budget, products):
    lanczos_spectrum(
        Diagonal(), top=pairs, bottom=pairs, block_size=block_size, memory_budget=budget, max_products=products
    )
    status = Path("/proc/self/status").read_text()  # the peak in getrusage is inherited from the parent process
    return 1024 * int(status.split("VmHWM:")[1].split()[0])

run(10, 4, 30_000_000, 8)  # what it takes besides the basis
print(run(10, 4, 30_000_000, 8), run(*map(int, sys.argv[1:])))
"""
    numbers = map(str, (pairs, block_size, budget * 1_000_000, products))
    output = subprocess.run([sys.executable, "-c", script, *numbers], check=True, capture_output=True, text=True).stdout
    before, after = map(int, output.split())
    assert 50e6 < after - before < 1.2e6 * budget  # and a few vectors; all products would take 240e6 or more
