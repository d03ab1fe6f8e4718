import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import Hessian, exact_spectrum
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.solvers.exact import assembly_error, symmetric_eigenpairs
from known_matrices import Matrix, with_eigenvalues

PRESCRIBED = {
    "simple": np.linspace(-3, 5, 60),
    "repeated": np.repeat([-1.0, 0.0, 0.0, 2.0, 7.0], 12),
    "rank deficient": np.r_[np.zeros(55), np.geomspace(1e-3, 50, 5)],
    "ten decades": np.r_[-np.geomspace(1e-3, 1e-8, 20), np.geomspace(1e-8, 1e2, 40)],
    "zero": np.zeros(30),
    "one": np.array([-2.5]),
    "two": np.array([1.0, 1.0]),
}


@pytest.mark.parametrize("name", PRESCRIBED)
@pytest.mark.parametrize("vectors", [0, 1, 7, 100])
def test_prescribed_eigenvalues_lie_within_their_bounds(name, vectors):
    values = np.sort(PRESCRIBED[name])
    n = len(values)
    A = with_eigenvalues(values)
    spectrum = exact_spectrum(Matrix(A), vectors=vectors)
    # The prescribed matrix itself is rounded: a few ulps of its norm.
    rounding = 20 * np.finfo(float).eps * np.abs(values).max()
    assert (np.abs(spectrum.eigenvalues - values) <= spectrum.error_bounds + rounding).all()
    assert spectrum.error_bounds.max() <= 1e-12 * max(1, np.abs(values).max())
    assert spectrum.is_complete
    V, indices = spectrum.eigenvectors, spectrum.vector_indices
    assert len(indices) == min(n, 2 * vectors)
    assert np.linalg.norm(A.numpy() @ V - V * spectrum.eigenvalues[indices], axis=0).max(initial=0) <= 1e-12
    assert pytest.approx(np.eye(len(indices)), abs=1e-10) == V.T @ V


def test_the_eigenvectors_are_those_of_both_ends():
    spectrum = exact_spectrum(Matrix(with_eigenvalues(np.arange(20.0))), vectors=3)
    assert spectrum.vector_indices.tolist() == [0, 1, 2, 17, 18, 19]
    assert (spectrum.eigenvectors[np.abs(spectrum.eigenvectors).argmax(0), range(6)] > 0).all()


@pytest.mark.parametrize("vectors", [0, 3, "all"])
def test_no_some_or_all_eigenvectors_belong_to_the_same_eigenvalues(vectors):
    A = with_eigenvalues(PRESCRIBED["ten decades"])
    spectrum = exact_spectrum(Matrix(A), vectors=vectors)
    assert len(spectrum.vector_indices) == {0: 0, 3: 6, "all": len(A)}[vectors]
    assert spectrum.eigenvalues == pytest.approx(np.linalg.eigvalsh(A.numpy()), abs=1e-12)
    V, values = spectrum.eigenvectors, spectrum.eigenvalues[spectrum.vector_indices]
    assert np.linalg.norm(A.numpy() @ V - V * values, axis=0).max(initial=0) <= 1e-12


def test_a_diagonal_matrix_is_its_own_answer():
    values, vectors = symmetric_eigenpairs(np.diag([3.0, -1.0, 2.0]), np.arange(3))
    assert values.tolist() == [-1, 2, 3]
    assert np.array_equal(np.abs(vectors), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("kind", ["noise", "rank one", "scaled"])
@pytest.mark.parametrize("seed", range(5))
def test_the_assembly_error_bounds_the_true_difference(kind, seed):
    n = 80
    generator = torch.Generator().manual_seed(seed)
    A = with_eigenvalues(np.linspace(-1, 30, n))
    noise = torch.randn(n, n, dtype=torch.float64, generator=generator)
    E = {"noise": noise + noise.T, "rank one": torch.outer(noise[0], noise[0]), "scaled": A}[kind]
    E = 1e-6 * E / torch.linalg.matrix_norm(E, 2)
    bound = assembly_error(Matrix(A), A + E, seed=seed)
    assert 1e-6 <= bound <= 1e-5  # a bound, and not a useless one


def test_errors_of_float32_products_are_in_the_bounds():
    torch.manual_seed(0)
    model, loss, data = next(case for case in CASES if case.name == "convolutions").build()
    single = exact_spectrum(Hessian(model, loss, data, dtype=torch.float32))
    double = exact_spectrum(Hessian(model, loss, data, dtype=torch.float64))
    difference = np.abs(single.eigenvalues - double.eigenvalues)
    assert difference.max() > 100 * double.error_bounds.max()  # float32 does lose digits
    assert (difference <= single.error_bounds + double.error_bounds).all()
    assert single.error_bounds.max() < 1e-5 * single.eigenvalues.max()
    assert single.provenance["dtype"] == "float32"


def test_dead_units_give_exact_zeros_within_the_bounds():
    torch.manual_seed(0)
    model, loss, data = next(case for case in CASES if case.name == "dead-units").build()
    spectrum = exact_spectrum(Hessian(model, loss, data, dtype=torch.float64))
    assert (np.abs(spectrum.eigenvalues) <= spectrum.error_bounds).sum() >= 3 * 5  # 4 weights and a bias each


def test_the_provenance_says_what_was_done():
    data = torch.randn(5, 2), torch.randint(2, (5,))
    spectrum = exact_spectrum(Hessian(nn.Linear(2, 2), F.cross_entropy, data, dtype=torch.float64), vectors=1)
    facts = spectrum.provenance
    assert facts["operator"] == "hessian"
    assert facts["samples"] == 5
    assert facts["dtype"] == "float64"
    assert facts["solver"] == "exact"
    assert facts["products"] == 12
    assert facts["assembled_by"] == "layerwise"
    assert set(facts["error_sources"]) == {"assembly", "arithmetic", "solver", "largest_residual"}


def test_a_matrix_beyond_memory_is_refused_before_any_work():
    H = Hessian(nn.Linear(3000, 1000), F.cross_entropy, (torch.randn(2, 3000), torch.tensor([1, 2])))
    with pytest.raises(UserError, match=r"3001000 parameters needs about \d+ GB of memory, this machine has"):
        exact_spectrum(H)


def test_bad_input_is_refused():
    with pytest.raises(UserError, match='vectors must be >= 0 or "all", got -1'):
        exact_spectrum(Matrix(torch.eye(3, dtype=torch.float64)), vectors=-1)
    with pytest.raises(UserError, match="not finite"):
        exact_spectrum(Matrix(torch.full((3, 3), torch.inf, dtype=torch.float64)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_more_samples_than_are_checked(dtype):
    """The bound from 256 of 5,000 samples holds for the whole, against an assembly in float64 from other chunks."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    data = torch.randn(5000, 4), torch.randint(3, (5000,))
    spectrum = exact_spectrum(Hessian(model, F.cross_entropy, data, dtype=dtype))
    exact = Hessian(model, F.cross_entropy, data, dtype=torch.float64).to_dense(method="products").numpy()
    difference = np.abs(spectrum.eigenvalues - np.linalg.eigvalsh(exact))
    assert (difference <= spectrum.error_bounds).all()
    assert spectrum.error_bounds.max() < {torch.float32: 1e-4, torch.float64: 1e-11}[dtype]
    assert Hessian(model, F.cross_entropy, data).for_error_check().num_samples == 256


@pytest.mark.parametrize("form", ["pair", "batches", "ignored first"])
def test_the_bound_holds_for_sorted_data(form):
    """Samples without curvature first: a check of the first 256 alone would see nothing."""
    torch.manual_seed(0)
    inputs = torch.cat([torch.zeros(300, 3), 100 * torch.randn(2700, 3)])
    targets = torch.randint(3, (3000,))
    weight = None
    if form == "ignored first":
        targets[:300] = -100
        weight = lambda targets: (targets >= 0).sum()  # noqa: E731
    data = list(zip(inputs.split(100), targets.split(100), strict=True)) if form != "pair" else (inputs, targets)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3))
    H = Hessian(model, F.cross_entropy, data, weight=weight, dtype=torch.float32)
    exact = np.linalg.eigvalsh(H.with_dtype(torch.float64).to_dense().numpy())
    spectrum = exact_spectrum(H)
    assert (np.abs(spectrum.eigenvalues - exact) <= spectrum.error_bounds).all()
    assert H.for_error_check().num_samples == 256


@pytest.mark.parametrize("scale", [1e150, 1e300, 1e-150, 1e-300])
def test_entries_whose_squares_leave_the_range_are_refused(scale):
    with pytest.raises(UserError, match="scale the loss"):
        exact_spectrum(Matrix(scale * torch.tensor([[1.0, 2.0], [2.0, 3.0]], dtype=torch.float64)))
