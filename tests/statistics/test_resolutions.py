"""Resolutions that tables and pictures begin with, against gaps that are known."""

import numpy as np
import pytest

from hessian_dendrogram import Spectrum, single_linkage
from hessian_dendrogram.statistics.resolutions import first_epsilon, floor_of
from hessian_dendrogram.statistics.segments import MovingDendrogram


def dendrogram(gaps, error=0.0):
    values = np.concatenate([[0.0], np.cumsum(gaps)])
    return single_linkage(Spectrum(eigenvalues=values, error_bounds=error, dim=len(values)))


CASES = {
    "many": (2.0 ** np.arange(20), 0.0),
    "six": (2.0 ** np.arange(6), 1e-6),
    "ties": ([1.0] * 20, 0.0),
    "seven of one size": ([1.0] * 7 + [9.0] * 3, 0.0),
    "zeros": ([0.0] * 20 + [1.0], 0.0),
    "all equal": ([0.0] * 9, 0.0),
    "not known": (2.0 ** np.arange(20), np.inf),
    "one": ([], 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_resolution_that_the_pictures_begin_with(case):
    tree = dendrogram(*CASES[case])
    assert first_epsilon(tree) == MovingDendrogram({3: tree}).epsilon
    assert 0 < first_epsilon(tree) < np.inf


def test_six_gaps_are_open_where_no_ties_forbid_it():
    assert (np.diff(dendrogram(*CASES["many"]).eigenvalues) > first_epsilon(dendrogram(*CASES["many"]))).sum() == 6
    assert first_epsilon(dendrogram(*CASES["seven of one size"])) == 1  # three are open, since ten would be the next


def test_the_floor_is_positive_and_finite():
    assert floor_of(dendrogram([1.0, 3.0], 0.25)) == 0.5  # the largest error of a gap
    assert floor_of(dendrogram([1.0, 3.0])) == 0.5  # half the smallest gap
    assert floor_of(dendrogram([1.0, 3.0], np.inf)) == 40
    assert floor_of(dendrogram([0.0])) == np.spacing(1.0)
