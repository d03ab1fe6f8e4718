"""Directions as a result: what it refuses, and what it says of single directions and of sets."""

from dataclasses import replace

import numpy as np
import pytest

from hessian_dendrogram import Directions
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.results.directions import turn


def directions(m=4, **changes):
    """Directions of m eigenvalues that are well apart, with shares of three groups and of what is in none."""
    random = np.random.default_rng(0)
    shares = random.dirichlet(np.ones(4), size=m)
    values = {
        "eigenvalues": np.arange(m, 0, -1.0),
        "error_bounds": np.full(m, 1e-6),
        "turns": np.full(m, 1e-6),
        "powers": random.uniform(1, 2, size=m),
        "groups": ["a", "b", "c", "other"],
        "shares": shares,
        "gaussian_shares": random.dirichlet(np.ones(4), size=19),
        "rotation_purities": random.uniform(size=(9, m)),
        "rotation_means": random.uniform(size=(9, 2)),
        "counts": [2, m],
        "tensor_shares": random.dirichlet(np.ones(2), size=m),
        "gradient_shares": np.full(m, 0.1),
        "update_shares": np.full(m, np.nan),
        "asked": m,
        "dim": 10,
        "readout": "letters",
    }
    return Directions(**{**values, **changes})


def test_purities_are_of_named_groups_alone():
    found = directions(shares=np.array([[0.1, 0.2, 0.1, 0.6], [0.0, 0, 1, 0], [np.nan] * 4, [0.25] * 4]))
    np.testing.assert_array_equal(found.purities, [0.2, 1, np.nan, 0.25])
    np.testing.assert_array_equal(found.has_effect, [True, True, False, True])
    assert found.mean_purity() == pytest.approx(1.45 / 3)
    assert found.mean_purity(3) == pytest.approx(0.6)
    assert "mean purity 0.483" in repr(found)
    assert "rotated" in found._repr_html_()


def test_shares_of_a_set_are_weighted_by_power():
    found = directions(m=2, powers=np.array([3.0, 1.0]), shares=np.eye(4)[[0, 1]])
    np.testing.assert_allclose(found.set_shares([0, 1])[:2], [0.75, 0.25])
    nothing = replace(found, shares=np.full((2, 4), np.nan))
    assert np.isnan(nothing.set_shares([0, 1])).all()
    assert np.isnan(nothing.mean_purity())


def test_a_direction_without_effect_has_no_part_in_its_set():
    shares = np.array([[1.0, 0, 0, 0], [np.nan] * 4])
    found = directions(m=2, powers=np.array([3.0, 1e-30]), shares=shares)
    np.testing.assert_array_equal(found.set_shares([0, 1]), [1, 0, 0, 0])


def test_eigenvalues_that_cannot_be_told_apart_are_one_set():
    values, bounds = np.array([9, 5 + 1e-6, 5, 3, 3 - 1e-7]), np.full(5, 1e-6)
    found = directions(m=5, eigenvalues=values, error_bounds=bounds, turns=np.array([0, 1, 1, 1, 1.0]), counts=[5, 2])
    assert found.sets == (slice(0, 1), slice(1, 3), slice(3, 5))
    np.testing.assert_array_equal(found.is_arbitrary, [False, True, True, True, True])


def test_turns_are_bounded_by_the_residual_over_the_distance():
    np.testing.assert_allclose(turn(np.array([2.0, 1.0]), np.array([0.01, 0.02]), 0, 1), [0.01 / 0.98, 0.02 / 0.99])
    np.testing.assert_array_equal(turn(np.array([1.0, 1.0]), np.zeros(2), 0, 1), [1, 1])
    np.testing.assert_array_equal(turn(np.array([1.0, 0.0]), np.zeros(2), 0, 1), [0, 0])
    np.testing.assert_array_equal(turn(np.array([1.0, 0.9]), np.full(2, np.inf), 0, 1), [1, 1])


def test_a_turn_is_no_less_than_what_a_disturbance_does():
    random = np.random.default_rng(0)
    for _ in range(200):
        E = random.normal(size=(3, 3)) * 1e-3
        A = np.diag([1.0, 1 + random.uniform(0.01, 0.1), 2.0])
        values, V = np.linalg.eigh(A + E + E.T)
        residuals = np.linalg.norm(A @ V - V * values, axis=0)
        bounds = np.maximum(residuals, np.abs(values - np.diag(A)))
        sine = np.sqrt(1 - V[0, 0] ** 2)
        assert sine <= turn(values, bounds, 0, 1)[0] + 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ["a", "b", "c"]}, "shares must have shape"),
        ({"groups": ["a", "a", "b", "other"]}, "all different"),
        ({"groups": "abcd"}, "names of their groups"),
        ({"counts": [2, 5]}, "counts must be whole numbers from 1 to 4"),
        ({"counts": [2]}, "rotation_means must have shape"),
        ({"eigenvalues": np.arange(4.0)}, "descend"),
        ({"shares": np.full((4, 4), 0.3)}, "add up to 1"),
        ({"shares": np.array([[1.5, -0.5, 0, 0]] * 4)}, "0 or more"),
        ({"gaussian_shares": np.full((19, 4), 0.2)}, "gaussian_shares"),
        ({"rotation_purities": np.full((9, 4), 1.1)}, "between 0 and 1"),
        ({"gradient_shares": np.full(4, 2.0)}, "gradient_shares must be between"),
        ({"asked": 3}, "at most as many as asked"),
        ({"dim": 3}, "at most as many as asked"),
        ({"of": "moon"}, "effects or parameters"),
        ({"tensor_shares": np.ones((3, 2))}, "tensor_shares must have shape"),
    ],
)
def test_what_contradicts_itself_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        directions(**changes)


def test_none_may_have_converged():
    empty = {name: np.empty(0) for name in ("eigenvalues", "error_bounds", "turns", "powers")}
    empty |= {name: np.empty(0) for name in ("gradient_shares", "update_shares")}
    found = directions(
        m=0,
        **empty,
        shares=np.empty((0, 4)),
        rotation_purities=np.empty((9, 0)),
        rotation_means=np.empty((9, 0)),
        tensor_shares=np.empty((0, 2)),
        counts=[],
        asked=24,
    )
    assert np.isnan(found.mean_purity())
    assert found.sets == ()
    assert "0 of 24 asked for" in repr(found)


def test_there_are_not_so_many():
    with pytest.raises(UserError, match="there are 4 directions, not 5"):
        directions().mean_purity(5)
