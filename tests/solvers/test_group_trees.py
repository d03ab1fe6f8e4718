"""Couplings in parts, as they are stored, and trees of groups with the agreement of halves of the draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessian_dendrogram import GaussNewton, GroupCouplings, Hessian, MatrixOperator, recursive_bipartition
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiments.planted import data, loss, planted
from hessian_dendrogram.layout import Layout
from hessian_dendrogram.models.units import units_as_groups
from hessian_dendrogram.results.coupling_parts import halvings, merged
from hessian_dendrogram.solvers.group_couplings import group_couplings
from hessian_dendrogram.solvers.group_trees import CoupledGroups, GroupBipartition

HIDDEN = [4, 3, 5]


def drawn(g=12, draws=20, seed=0, scale=1.0):
    """Noisy squares of planted blocks, with a pair that shares nothing."""
    random, owner = np.random.default_rng(seed), np.arange(g) % 3
    truth = np.where(owner[:, None] == owner, 1.0, 0.01) * scale
    squared = truth * random.chisquare(3, (draws, g, g)) / 3
    squared = np.triu(squared) + np.triu(squared, 1).transpose(0, 2, 1)
    squared[:, 0, 1] = squared[:, 1, 0] = 0
    facts = {"method": "effects", "directions": 2, "cost": draws * 2 * g, "dim": 5 * g}
    names = [f"neuron 0.{i}" for i in range(g)]
    return GroupCouplings.from_squares(
        names=names, sizes=np.full(g, 2), squared=squared, rounding=np.zeros((g, g)), **facts
    )


# ── couplings in parts ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scale", [1.0, 1e-90, 1e90])
def test_merged_couplings_have_the_values_and_errors_of_all_draws(scale):
    whole = drawn(scale=scale)
    kept = merged(whole)
    rounding = 1e-6 if scale == 1 else 1e-12  # what single precision cannot hold is kept in double
    assert {kept.parts.dtype, kept.errors.dtype} == {np.dtype("f4" if scale == 1 else "f8")}
    for normalised in (False, True):
        for name in ("values", "standard_errors"):
            expected = getattr(whole, name)(normalised=normalised)
            np.testing.assert_allclose(getattr(kept, name)(normalised=normalised), expected, rtol=rounding)
    assert kept.values()[0, 1] == 0
    assert (kept.draws, kept.cost, kept.largest_noise) == (20, whole.cost, whole.largest_noise)
    assert kept.facts() | {"median_relative_error": 0} == whole.facts() | {"median_relative_error": 0}
    np.testing.assert_allclose(kept.of_draws([1]).values(), whole.of_draws(range(5, 10)).values(), rtol=rounding)
    assert (kept.of_draws([1]).draws, kept.of_draws([1, 2]).cost) == (5, whole.cost // 2)
    with pytest.raises(UserError, match=r"20 draws were merged into 4 parts; take standard_errors\(\)"):
        _ = kept.squared_errors


def test_errors_of_halves_are_those_of_their_parts():
    one, _ = merged(drawn()).halves()
    a, b = merged(drawn()).parts[:2].astype(float)
    # The jackknife of two numbers is half of what they differ by.
    np.testing.assert_allclose(one.errors[0], np.abs(a - b) / 2, rtol=1e-6, atol=1e-7)


def test_the_ways_to_halve_the_draws():
    whole = merged(drawn())
    ways = halvings(whole)
    assert len(ways) == 3
    for one, other in ways:
        assert one.draws == other.draws == 10
        np.testing.assert_allclose((one.squares + other.squares) / 2, whole.squares, rtol=1e-6)
    assert len({one.values()[0, 2] for one, _ in ways}) == 3
    assert [len(halvings(drawn(draws=draws))) for draws in (1, 2, 3, 4, 6)] == [0, 1, 1, 3, 1]
    assert len(halvings(merged(whole, 1))) == 0
    with pytest.raises(UserError, match="6 draws cannot be merged into 4 equal parts; take a multiple of 4"):
        merged(drawn(draws=6))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"draws": 7}, "4 equal parts of 7 draws"),
        ({"draws": 3}, "draws of couplings must be a whole number of at least 4, got 3"),
        ({"errors": np.full((2, 78), -1.0)}, "errors of couplings must be finite and not negative"),
        ({"errors": np.zeros((1, 78))}, r"need sizes of shape \(12,\), errors \(2, 78\)"),
        ({"parts": np.zeros((4, 77))}, r"parts \(parts, 78\)"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        replace(merged(drawn()), **changes)


# ── trees ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def solver(**options):
    of = {name: options.pop(name) for name in ("method", "draws", "seed") if name in options}
    return GroupBipartition(of=CoupledGroups(groups=("all",), **of), **options)


@pytest.mark.parametrize("method", ["products", "effects"])
def test_halves_of_the_draws_agree_on_planted_networks(method):
    torch.manual_seed(0)
    model = planted("planted", hidden=HIDDEN, coupling=0.0).model().double()
    samples = tuple(one[:40].double() for one in data(None, parts=len(HIDDEN))[0])
    groups = {}
    for part in range(len(HIDDEN)):
        groups |= units_as_groups(model, f"parts.{part}.0", f"parts.{part}.2")
    operator = (GaussNewton if method == "effects" else Hessian)(model, loss, samples)
    made = solver(method=method, draws=4).of_layout(operator.layout.grouped(groups))
    tree = made.solve(operator, seed=0, progress=False)
    assert (tree.vertices, tree.size, len(tree.agreement)) == ("groups", 12, 3)
    assert tree.agreement_at(2) == tree.agreement_at(3) == 1  # three components, found exactly
    expected = merged(group_couplings(operator, groups, method=method, draws=4, seed=0))
    again = recursive_bipartition(expected.matrix())
    np.testing.assert_array_equal(tree.order, again.order)
    assert tree.provenance["draws"] == 4
    assert "12 groups" in repr(tree)
    assert "groups" in tree._repr_html_()


def test_halves_do_not_agree_where_all_is_noise():
    random = np.random.default_rng(0)
    squared = random.chisquare(1, (20, 60, 60))
    squared = np.triu(squared) + np.triu(squared, 1).transpose(0, 2, 1)
    noise = GroupCouplings.from_squares(
        names=[f"g{i}" for i in range(60)],
        sizes=np.ones(60, int),
        squared=squared,
        rounding=np.zeros((60, 60)),
        method="products",
        directions=1,
        cost=1200,
        dim=60,
    )
    tree = solver().cut(merged(noise))
    known = [tree.agreement_at(k) for k in range(2, 21)]
    assert abs(np.mean(known)) < 0.1
    assert tree.agreement_at(21) is None


def test_exact_couplings_have_no_draws_that_could_agree():
    a = torch.arange(1.0, 7.0, dtype=torch.float64)
    layout = Layout(("w",), ((6,),)).grouped({"left": [0, 1], "middle": [2], "right": [4, 5]})
    tree = (
        solver(method="exact", normalised=True)
        .of_layout(layout)
        .solve(MatrixOperator(torch.outer(a, a)), seed=0, progress=False)
    )
    assert (tree.agreement, tree.agreement_at(2), tree.provenance["normalised"]) == (None, None, True)
    assert tree.picture.max() == pytest.approx(1.0)


def test_a_half_that_misses_a_norm_leaves_the_agreement_unknown(caplog):
    whole = drawn(4, draws=4)
    squared = whole.squared.copy()
    squared[:2, 0, 0] = 0.0
    facts = {name: getattr(whole, name) for name in ("names", "sizes", "method", "directions", "cost", "dim")}
    found = GroupCouplings.from_squares(squared=squared, rounding=whole.rounding, **facts)
    known = solver(normalised=True).cut(found)
    assert (known.agreement, known.agreement_at(2), known.size) == (None, None, 4)
    assert "a half misses a coupling; take more draws" in caplog.text
    assert solver().cut(found).agreement_at(2) is not None


def test_groups_that_are_not_coupled_are_called_groups():
    facts = {"method": "exact", "directions": 0, "cost": 0, "dim": 2}
    squared, sizes = np.eye(2)[None], np.ones(2, int)
    found = GroupCouplings.from_squares(
        names=["a", "b"], sizes=sizes, squared=squared, rounding=np.zeros((2, 2)), **facts
    )
    with pytest.raises(UserError, match="no two of the 2 groups are coupled: there is nothing to cut"):
        solver().cut(found)


def test_the_seed_is_the_experiments_unless_it_is_given():
    operator = MatrixOperator(torch.diag(torch.arange(1.0, 9.0, dtype=torch.float64)) + 0.1)
    layout = Layout(("w",), ((8,),)).grouped({f"g{i}": [2 * i, 2 * i + 1] for i in range(4)})

    def parts(of_experiment, **options):
        return (
            CoupledGroups(groups="all", method="products", draws=4, layout=layout, **options)
            .solve(operator, seed=of_experiment, progress=False)
            .parts
        )

    assert (parts(1) == parts(1)).all()
    assert (parts(1) != parts(2)).any()
    assert (parts(1, seed=2) == parts(2)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CoupledGroups(), "couplings are those of groups or units of a layer; name some"),
        (
            lambda: CoupledGroups(groups=("a",), method="dense"),
            "method must be exact, products or effects, got 'dense'",
        ),
        (lambda: CoupledGroups(groups=("a",), draws=6), "take a multiple of 4; got 6"),
        (lambda: CoupledGroups(groups=("a",), draws=0), "draws must be at least 4, got 0"),
        (lambda: solver(split="no"), "got 'normalised' and 'no'"),
        (
            lambda: solver().of_layout(Layout(("w",), ((3,),))),
            "of the groups 'all' there are none among the parameters",
        ),
        (
            lambda: solver().of_layout(Layout(("w",), ((3,),)).grouped({"a": [0]})),
            "there is one among the parameters that are analysed, and couplings need two or more",
        ),
        (
            lambda: CoupledGroups(groups="a", method="effects").try_out(MatrixOperator(torch.eye(2))),
            "such as Gauss-Newton, not of a MatrixOperator; take products",
        ),
    ],
)
def test_wrong_options_are_refused_in_one_line(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_draws_that_do_not_fit_in_memory_are_refused(monkeypatch):
    monkeypatch.setattr("hessian_dendrogram.solvers.group_trees.MEMORY_FOR_DRAWS", 1000)
    layout = Layout(("w",), ((8,),)).grouped({f"g{i}": [i] for i in range(8)})
    with pytest.raises(UserError, match="20 draws of the couplings of 8 groups need 0 GB of memory, of 0; name fewer"):
        solver().of_layout(layout).check(8)


def test_a_configuration_says_what_is_compared():
    layout = Layout(("w",), ((800,),)).grouped({f"g{i}": [i] for i in range(300)})
    made = solver(draws=8, normalised=True).of_layout(layout)
    assert made.configuration(800) == {
        "groups": ["all"],
        "method": "automatic",
        "draws": 8,
        "normalised": True,
        "laplacian": "normalised",
        "split": "sweep",
        "min_size": 3,
    }
    assert "draws" not in made.configuration(100)
    assert CoupledGroups(units="0,2", seed=3).configuration(800)["seed"] == 3


def test_products_that_cancel_are_refused_before_they_are_taken():
    model = torch.nn.Linear(3, 2)
    operator = GaussNewton(model, None, torch.randn(5, 3), metric="identity", centred=True, dtype=torch.float32)
    with pytest.raises(UserError, match=r"cancel in torch.float32"):
        CoupledGroups(groups="all", method="products").try_out(operator)
    CoupledGroups(groups="all", method="effects").try_out(operator)
