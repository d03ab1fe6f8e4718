"""Dendrograms over log λ and in units: relative errors, and nothing that is not known to be positive."""

import numpy as np
import pytest

from hessian_dendrogram import Spectrum, log_linkage, single_linkage
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.results.density import Density
from hessian_dendrogram.statistics.relative_resolution import in_units, unit_of

DECADES = Spectrum(
    eigenvalues=[-0.5, 1e-6, 1e-5, 1e-3, 1.0, 10.0], error_bounds=[1e-9, 2e-6, 1e-6, 1e-5, 1e-5, 1e-5], dim=6
)


def test_logarithms_with_relative_errors_stop_above_what_may_be_negative():
    tree = log_linkage(DECADES)
    assert tree.gap_sizes == pytest.approx(np.log([100, 1000, 10]))
    assert (tree.hole_below, tree.hole_above, tree.num_hidden) == (True, False, 2)
    # A bound of a tenth: between 0.9 and 1.1 of the value, the lower side is further in logarithms.
    assert tree.error_bounds[0] == pytest.approx(-np.log(0.9))
    random = np.random.default_rng(0)
    values, bounds = DECADES.eigenvalues[2:], DECADES.error_bounds[2:]
    for _ in range(100):
        moved = np.log(values + bounds * random.uniform(-1, 1, size=4))
        assert (np.abs(moved - tree.eigenvalues) <= tree.error_bounds + 1e-15).all()


def test_close_eigenvalues_stay_unresolved():
    spectrum = Spectrum(eigenvalues=[1.0, 1.1, 5.0], error_bounds=0.1, dim=3)
    assert (log_linkage(spectrum).gaps().resolved.tolist(), single_linkage(spectrum).gaps().resolved.tolist()) == (
        [True, False],
        [True, False],
    )


def test_a_partial_spectrum_keeps_its_hole():
    spectrum = Spectrum(eigenvalues=[-2.0, 1.0, 4.0], error_bounds=0.0, dim=100, num_bottom=1, num_top=2)
    tree = log_linkage(spectrum, "top")
    assert (tree.hole_below, tree.num_hidden, len(tree.eigenvalues)) == (True, 97, 2)
    assert "97 others unknown below" in repr(tree)
    with pytest.raises(UserError, match="positive by more than their bounds; the largest of these is -2"):
        log_linkage(spectrum, "bottom")


def test_a_unit_scales_everything_and_resolves_nothing():
    whole, unit = single_linkage(DECADES), unit_of(DECADES, "largest")
    assert (unit.value, unit.error) == (10.0, 1e-5)
    tree = in_units(whole, unit)
    assert tree.gap_sizes == pytest.approx(whole.gap_sizes / 10)
    assert np.array_equal(tree.gaps().resolved, whole.gaps().resolved)
    assert unit_of(DECADES, "trace").value == pytest.approx(DECADES.eigenvalues.sum())


def test_the_trace_of_a_partial_spectrum_is_that_of_its_estimate_or_of_a_density():
    partial = Spectrum(eigenvalues=[1.0, 4.0], error_bounds=0.0, dim=5, num_top=2)
    with pytest.raises(UserError, match="the trace of this spectrum is not known"):
        unit_of(partial, "trace")
    density = Density(
        dim=5,
        nodes=np.array([[0.1], [0.3]]),
        weights=np.ones((2, 1)),
        is_exact=np.zeros(2, bool),
        node_bounds=np.zeros(2),
        eigenvalues=np.array([1.0, 4.0]),
        error_bounds=np.zeros(2),
        num_bottom=0,
        num_top=2,
    )
    with pytest.raises(UserError, match=r"a unit must be positive; the trace of this spectrum is 5.6 ±"):
        unit_of(partial, "trace", density)  # of two probes, at 99.7 %
    assert unit_of(partial, "trace", density, level=0.5).value == pytest.approx(5.6)
    estimate = {"trace": {"value": 7.0, "standard_error": 0.1, "probes": 11}}
    estimated = Spectrum(eigenvalues=[4.0], error_bounds=0.0, dim=5, num_top=1, provenance=estimate)
    assert unit_of(estimated, "trace", level=0.95).error == pytest.approx(0.2228, abs=1e-4)


def test_other_units_and_those_that_are_not_positive_are_one_line():
    with pytest.raises(UserError, match="in units of the largest or of the trace, got 'mean'"):
        unit_of(DECADES, "mean")
    with pytest.raises(UserError, match="a unit must be positive; the largest of this spectrum is -1"):
        unit_of(Spectrum(eigenvalues=[-1.0], error_bounds=0.0, dim=1), "largest")


@pytest.mark.parametrize("probes", [{}, {"probes": None}, {"probes": 1}])
def test_an_estimate_of_unknown_spread_is_no_unit(probes):
    estimate = {"trace": {"value": 7.0, "standard_error": 0.1, **probes}}
    spectrum = Spectrum(eigenvalues=[4.0], error_bounds=0.0, dim=5, num_top=1, provenance=estimate)
    with pytest.raises(UserError, match="not known from how many probes"):
        unit_of(spectrum, "trace")
