import numpy as np
import pytest

from hessian_dendrogram import Spectrum, summarise
from hessian_dendrogram.errors import UserError


def test_a_complete_spectrum_is_one_segment():
    spectrum = Spectrum(eigenvalues=[-1, 0, 2], error_bounds=1e-3, dim=3)
    assert spectrum.is_complete
    assert spectrum.segments() == {"all": slice(0, 3)}
    assert spectrum.num_bottom == spectrum.num_top == 3
    assert spectrum.error_bounds.tolist() == [1e-3] * 3


def test_a_partial_spectrum_has_two_segments():
    spectrum = Spectrum(eigenvalues=[-1, 0, 5, 6, 7], error_bounds=0, dim=9, num_bottom=2, num_top=3)
    assert spectrum.segments() == {"bottom": slice(0, 2), "top": slice(2, 5)}
    only_top = Spectrum(eigenvalues=[5, 6], error_bounds=0, dim=9, num_top=2)
    assert only_top.segments() == {"top": slice(0, 2)}


@pytest.mark.parametrize(
    ("converged", "expected"),
    [
        ([1, 1, 0, 1, 1], {"bottom": slice(0, 2), "top": slice(3, 5)}),
        ([0, 1, 1, 1, 1], {"bottom": slice(0, 2), "top": slice(2, 5)}),
        ([1, 0, 1, 1, 0], {"bottom": slice(0, 1)}),
        ([0, 0, 0, 0, 0], {}),
    ],
)
def test_an_unconverged_value_ends_its_segment(converged, expected):
    arguments = {"eigenvalues": [-1, 0, 5, 6, 7], "error_bounds": 0, "converged": np.array(converged, bool)}
    partial = Spectrum(**arguments, dim=9, num_bottom=2, num_top=3).segments()
    if converged[0]:
        assert partial == expected
    complete = Spectrum(**arguments, dim=5).segments()
    inner = np.flatnonzero(np.array(converged) == 0)
    assert complete.get("bottom", slice(0, 0)).stop == inner[0]
    assert complete.get("top", slice(5, 5)).start == inner[-1] + 1


def test_the_summary_agrees_with_the_matrix():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 40))
    A = A + A.T
    spectrum = Spectrum(eigenvalues=np.linalg.eigvalsh(A), error_bounds=1e-12, dim=40)
    summary = summarise(spectrum)
    assert summary.trace == pytest.approx(np.trace(A))
    assert summary.trace_error == pytest.approx(40e-12)
    assert summary.largest == pytest.approx(np.linalg.norm(A, 2)) or summary.smallest == pytest.approx(
        -np.linalg.norm(A, 2)
    )
    # Sylvester's law of inertia counts the negative eigenvalues without computing one.
    pivots = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    assert summary.num_negative == (np.linalg.eigvalsh(pivots @ A @ pivots.T) < 0).sum()


def test_entropy_of_equal_and_of_single_values():
    assert summarise(Spectrum(eigenvalues=[-2, 2, 2, 2], error_bounds=0, dim=4)).entropy == pytest.approx(np.log(4))
    assert summarise(Spectrum(eigenvalues=[0, 0, 3], error_bounds=0, dim=3)).entropy == 0
    assert summarise(Spectrum(eigenvalues=[0, 0], error_bounds=0, dim=2)).entropy == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_entropy_stays_within_its_error(seed):
    def entropy(values):
        share = np.abs(values) / np.abs(values).sum()
        return -(share * np.log(share)).sum()

    random = np.random.default_rng(seed)
    values, bound = np.sort(random.normal(size=40) ** 3), 10.0**-seed
    summary = summarise(Spectrum(eigenvalues=values, error_bounds=bound, dim=40))
    assert summary.entropy == pytest.approx(entropy(values))
    assert summary.entropy_error <= np.log(40) + 1e-12
    for _ in range(50):
        assert abs(entropy(values + random.uniform(-bound, bound, 40)) - entropy(values)) <= summary.entropy_error


def test_the_entropy_of_values_far_apart_is_finite():
    assert summarise(Spectrum(eigenvalues=[1e-300, 1e300], error_bounds=0, dim=2)).entropy == 0


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e150, 1e300])
def test_eigenvalues_of_any_size_have_the_same_summary(scale):
    values, bounds = np.array([-2.0, 0.0, 1e-9, 1.0, 4.0]), np.full(5, 1e-8)
    expected = summarise(Spectrum(eigenvalues=values, error_bounds=bounds, dim=5))
    found = summarise(Spectrum(eigenvalues=scale * values, error_bounds=scale * bounds, dim=5))
    for name in ("smallest", "smallest_error", "largest", "largest_error", "trace", "trace_error"):
        assert getattr(found, name) / scale == pytest.approx(getattr(expected, name))
    for name in ("num_negative", "num_unresolved_sign"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.entropy == pytest.approx(expected.entropy, rel=1e-12)
    assert found.entropy_error == pytest.approx(expected.entropy_error, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "bound"),
    [([-1.7e308, 1.7e308], 0.0), ([1e308, 1e308], 1.0), ([0.0, 1.0], 1e308), ([-5e307, 5e307], 1e290)],
)
def test_numbers_whose_sums_overflow_are_refused_in_one_line(values, bound):
    with pytest.raises(UserError, match=r"cannot be added up in float64; divide the matrix by a constant") as caught:
        Spectrum(eigenvalues=values, error_bounds=bound, dim=2)
    assert "\n" not in str(caught.value)


def test_signs_within_the_error_are_not_called_negative():
    summary = summarise(Spectrum(eigenvalues=[-1, -1e-9, 0, 1e-9], error_bounds=1e-8, dim=4))
    assert (summary.num_negative, summary.num_unresolved_sign) == (1, 3)


def test_a_partial_spectrum_says_only_what_it_knows():
    summary = summarise(Spectrum(eigenvalues=[5, 6], error_bounds=0, dim=9, num_top=2))
    assert summary.largest == 6
    assert summary.smallest is summary.trace is summary.num_negative is summary.entropy is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eigenvalues": [2, 1], "dim": 2}, "must ascend"),
        ({"eigenvalues": [1, np.nan], "dim": 2}, "1 of 2 eigenvalues are not finite"),
        ({"eigenvalues": [], "dim": 2}, "1 <= k <= dim = 2"),
        ({"eigenvalues": [1, 2, 3], "dim": 2}, "1 <= k <= dim = 2"),
        ({"eigenvalues": [1, 2], "dim": 2, "error_bounds": [1, -1]}, "error_bounds must be 2 numbers >= 0"),
        ({"eigenvalues": [1, 2], "dim": 2, "error_bounds": [1, np.nan]}, "error_bounds must be"),
        ({"eigenvalues": [1, 2], "dim": 5}, r"num_bottom \+ num_top = 2"),
        ({"eigenvalues": [1, 2], "dim": 2, "num_top": 1}, "num_bottom = num_top = 2"),
        ({"eigenvalues": [1, 2], "dim": 2, "converged": [True]}, "converged must have shape"),
        ({"eigenvalues": [1, 2], "dim": 2, "eigenvectors": np.ones((2, 1))}, "come together"),
        (
            {"eigenvalues": [1, 2], "dim": 2, "eigenvectors": np.ones((3, 1)), "vector_indices": [0]},
            r"must have shape \(2, 1\)",
        ),
        ({"eigenvalues": [1, 2], "dim": 2, "eigenvectors": np.ones((2, 1)), "vector_indices": [2]}, "in 0 to 1"),
    ],
)
def test_contradictions_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        Spectrum(**{"error_bounds": 0, **arguments})
