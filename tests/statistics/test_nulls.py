"""Nulls of purity: rotations are Haar's, p-values uniform on their grid where the null is true."""

import numpy as np
import pytest

from hessian_dendrogram.errors import UserError
from hessian_dendrogram.statistics.nulls import holm, p_values, rotated_purities, rotation_nulls, rotations


def grams_of(U, groups):
    """Gram matrices of effects U, (m, N), of the groups of their entries, and of the last, which is in none."""
    return np.stack([U[:, groups == g] @ U[:, groups == g].T for g in range(groups.max() + 1)])


def purities(U, groups):
    grams = grams_of(U, groups)
    return (np.diagonal(grams, axis1=1, axis2=2)[:-1] / (U**2).sum(axis=1)).max(axis=0)


def test_rotations_are_orthogonal_and_uniform():
    Q = rotations(20_000, 3, np.random.default_rng(0))
    np.testing.assert_allclose(Q @ Q.transpose(0, 2, 1), np.broadcast_to(np.eye(3), Q.shape), atol=1e-12)
    # An entry of a uniform unit vector of three is uniform in [-1, 1]; without Haar's signs the diagonal is not.
    for entry in (Q[:, 0, 0], Q[:, 2, 2], Q[:, 0, 1]):
        quantiles = np.quantile(entry, np.linspace(0.05, 0.95, 19))
        np.testing.assert_allclose(quantiles, np.linspace(-0.9, 0.9, 19), atol=0.03)


def test_purities_of_rotations_are_those_of_rotated_unit_effects():
    random = np.random.default_rng(1)
    U, groups = random.normal(size=(4, 30)) * [[1e3], [1], [1], [1e-3]], np.arange(30) % 4
    found = rotated_purities(grams_of(U, groups), num_groups=3, draws=5, seed=7)
    unit = U / np.linalg.norm(U, axis=1, keepdims=True)
    expected = [purities(Q @ unit, groups) for Q in rotations(5, 4, np.random.default_rng(7))]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_effects_of_several_lengths_do_not_rule_the_null():
    groups = np.arange(40) // 10
    U = np.eye(40)[[0, 11, 22, 5]]  # one entry each: pure, and orthogonal
    null = rotated_purities(grams_of(U, groups), num_groups=3, draws=200, seed=0)
    long = rotated_purities(grams_of(U * [[1e6], [1], [1], [1]], groups), num_groups=3, draws=200, seed=0)
    np.testing.assert_allclose(long, null, rtol=1e-9)
    assert null.mean() < 0.8


@pytest.mark.parametrize("is_rotation", [True, False])
def test_p_values_are_uniform_on_their_grid_under_the_null(is_rotation):
    """Directions whose effects are orthogonal, as those of a metric's eigenvectors are, in a basis of chance."""
    random, draws, trials, m = np.random.default_rng(2), 9, 1500, 4
    groups = np.repeat(np.arange(4), 6)
    fixed = np.linalg.qr(random.normal(size=(24, m)) * np.repeat([5, 1, 1, 1], 6)[:, None])[0].T
    counts = np.zeros((m, draws + 1))
    for trial in range(trials):
        if is_rotation:
            U = rotations(1, m, random)[0] @ fixed
            null = rotated_purities(grams_of(U, groups), num_groups=3, draws=draws, seed=trial)
        else:
            U = random.normal(size=(m, 24)) * np.repeat([5, 1, 1, 1], 6)
            null = purities(random.normal(size=(draws, 24)) * np.repeat([5, 1, 1, 1], 6), groups)
        p = p_values(purities(U, groups), null)
        counts[np.arange(m), np.rint(p * (draws + 1)).astype(int) - 1] += 1
    spread = np.sqrt(trials * 0.1 * 0.9)
    assert np.abs(counts - trials / 10).max() < 4.5 * spread


def test_without_the_maximum_in_the_null_p_values_would_lie():
    random, trials = np.random.default_rng(3), 400
    groups, low = np.arange(24) % 7, 0
    for _ in range(trials):
        U = random.normal(size=(1, 24))
        null = random.normal(size=(19, 24))
        one_group = (null[:, groups == 0] ** 2).sum(axis=1) / (null**2).sum(axis=1)
        low += p_values(purities(U, groups), one_group)[0] <= 0.05
    assert low > 0.15 * trials  # where 0.05 would be right


def test_parallel_effects_cancel_in_some_rotations_and_purities_stay_between_0_and_1():
    U = np.outer([1, -1, 1, 1, -1, 1], [3.0, 4.0, 0.0])
    found = rotated_purities(grams_of(U, np.arange(3)), num_groups=2, draws=20_000, seed=0)
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(np.quantile(found, [0.01, 0.99]), 0.64, atol=1e-9)


def test_ties_but_for_rounding_count_as_ties():
    null = np.full(99, 1 - 1e-15)
    assert p_values(np.array([1.0]), null)[0] == 1.0


def test_p_values_of_nothing():
    assert np.isnan(p_values(np.array([np.nan]), np.zeros(5))).all()
    with pytest.raises(UserError, match="draws of its null"):
        p_values(np.ones(2), np.empty(0))


def test_holm():
    # Worked by hand: sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, made to ascend.
    np.testing.assert_allclose(holm(np.array([0.03, 0.01, np.nan, 0.04, 0.02])), [0.06, 0.04, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1, 1])
    assert holm(np.empty(0)).shape == (0,)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_directions_without_effect_are_not_rotated():
    random = np.random.default_rng(4)
    U, groups = random.normal(size=(3, 12)), np.arange(12) % 3
    U[1] = 0
    has_effect = np.array([True, False, True])
    found, means = rotation_nulls(grams_of(U, groups), has_effect, counts=[1, 3], draws=20, seed=0)
    assert np.isnan(found[:, 1]).all()
    two, _ = rotation_nulls(grams_of(U[[0, 2]], groups), np.ones(2, bool), counts=[2], draws=20, seed=1)
    np.testing.assert_allclose(found[:, [0, 2]], two)
    np.testing.assert_allclose(means[:, 0], purities(U[:1], groups)[0])  # one direction has one basis
    nothing, none = rotation_nulls(np.zeros((2, 3, 3)), np.zeros(3, bool), counts=[3], draws=4, seed=0)
    assert np.isnan(nothing).all()
    assert np.isnan(none).all()
