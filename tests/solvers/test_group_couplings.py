"""Couplings of groups: estimates against the dense matrix, exact zeros, own norms, trees of planted networks."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch import nn

from hessian_dendrogram import (
    GaussNewton,
    GradientCovariance,
    GroupCouplings,
    Hessian,
    Layout,
    MatrixOperator,
    Preconditioned,
    Run,
    group_couplings,
    recursive_bipartition,
    units_as_groups,
)
from hessian_dendrogram.errors import DamagedRunError, UserError
from hessian_dendrogram.experiments.planted import data, loss, planted
from hessian_dendrogram.store import report

CROSS_ENTROPY = nn.functional.cross_entropy
DRAWS = 40
CENTRED = {"metric": "identity", "centred": True}


def network(seed, hidden=3):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 3)).double()
    return model, torch.randn(30, 3).double(), torch.randint(3, (30,))


def units(model):
    return units_as_groups(model, "0", "2") | {"bias": "2.bias"}


def dense_squares(operator, groups):
    """‖A_AB‖² from the matrix, entry by entry."""
    A, places = operator.to_dense().numpy(), operator.layout.group(groups).values()
    return np.array([[(A[np.ix_(one, other)] ** 2).sum() for other in places] for one in places])


def errors_of(found, truth):
    """How many standard errors off each of the different entries is."""
    pairs = np.triu_indices(len(truth))
    return ((found.squares - truth) / found.squared_errors)[pairs]


def hessian(seed):
    model, inputs, labels = network(seed)
    return model, Hessian(model, CROSS_ENTROPY, (inputs, labels))


def gauss_newton(seed):
    model, inputs, labels = network(seed)
    return model, GaussNewton(model, CROSS_ENTROPY, (inputs, labels))


# ── estimates ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "method"), [(hessian, "products"), (gauss_newton, "effects")], ids=["hessian", "gauss-newton"]
)
def test_estimates_are_within_three_standard_errors_on_twenty_networks(make, method):
    off, spread = [], []
    for seed in range(20):
        model, operator = make(seed)
        found = group_couplings(operator, units(model), method=method, draws=DRAWS, directions=6, seed=seed)
        truth = dense_squares(operator, units(model))
        pair = np.triu_indices(len(truth), 1)
        per_draw = found.squared[:, pair[0], pair[1]].sum(axis=1)
        assert abs(per_draw.mean() - truth[pair].sum()) < 3 * per_draw.std(ddof=1) / DRAWS**0.5
        off.append(errors_of(found, truth))
        spread.append((found.squared_errors / truth)[pair].max() / found.largest_noise)
    off = np.concatenate(off)
    # Of entries by themselves, of which there are 200, a few may lie beyond three where nothing is wrong.
    assert (np.abs(off) < 3).mean() > 0.98
    assert np.abs(off).max() < 4.5
    assert abs(off.mean()) < 0.2
    assert 0.8 < off.std() < 1.2
    assert max(spread) < 1.3  # the noise is no larger than is said, but for its own estimate


@pytest.mark.parametrize("options", [CENTRED, {"metric": "softmax", "tau": 2.0}, {"metric": "identity"}, {}])
@pytest.mark.parametrize("method", ["products", "effects"])
def test_both_ways_agree_with_the_matrix_for_every_metric(options, method):
    model, inputs, labels = network(3)
    samples = inputs if options else (inputs, labels)
    operator = GaussNewton(model, None if options else CROSS_ENTROPY, samples, batch_size=11, **options)
    found = group_couplings(operator, units(model), method=method, draws=100, directions=2)
    exact = group_couplings(operator, units(model), method="exact")
    np.testing.assert_allclose(exact.squares, dense_squares(operator, units(model)), rtol=1e-10, atol=1e-25)
    known = exact.squares > 0
    assert ((found.squares > 0) == known).all()
    within = 4 * found.standard_errors() + 1e-12 * exact.values()  # of one parameter nothing is uncertain
    assert (np.abs(found.values() - exact.values())[known] < within[known]).all()
    is_noisy = found.standard_errors(normalised=True) > 0
    apart = np.abs(found.values(normalised=True) - exact.values(normalised=True))
    assert (apart[is_noisy] < 4 * found.standard_errors(normalised=True)[is_noisy]).all()
    # A bias of the outputs has the same effect everywhere, so centred it has none; rounding is not taken for one.
    assert (exact.values()[-1] == 0).all() == bool(options.get("centred"))
    assert (exact.values(normalised=True) <= 1 + 1e-12).all()


def test_effects_of_parts_of_a_batch_and_of_a_block_are_those_of_the_whole(monkeypatch):
    model, inputs, labels = network(4)
    operator = GradientCovariance(model, CROSS_ENTROPY, (inputs, labels))
    some = {"a": [("0.weight", 0)], "b": "2.weight"}
    whole = group_couplings(operator, some, method="effects", draws=100, directions=6)
    monkeypatch.setattr("hessian_dendrogram.solvers.coupling_estimates._NUMBERS_AT_ONCE", 100)
    parts = group_couplings(GaussNewton(model, CROSS_ENTROPY, (inputs, labels)), some, method="effects")
    monkeypatch.undo()
    again = group_couplings(GaussNewton(model, CROSS_ENTROPY, (inputs, labels)), some, method="effects")
    np.testing.assert_allclose(parts.squared, again.squared, rtol=1e-9, atol=1e-20)
    assert (np.abs(errors_of(whole, dense_squares(operator, some))) < 4).all()
    block = operator.restricted(["0.*", "2.weight"]).restricted(["0.weight", "2.weight"])
    found = group_couplings(block, some, method="effects", draws=100, directions=6)
    assert (found.dim, found.method) == (18, "effects")
    assert (np.abs(errors_of(found, dense_squares(block, some))) < 4).all()


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 3)

    def forward(self, x):
        hidden = torch.tanh(self.body(x))
        return {"first": self.first(hidden), "second": self.second(hidden)}


def test_effects_of_a_model_with_several_outputs():
    torch.manual_seed(0)
    model, x = TwoHeads().double(), torch.randn(20, 3).double()

    def both(outputs, targets):
        return outputs["first"].pow(4).sum(1).mean() + (outputs["second"].sum(1) - targets).square().mean()

    operator = GaussNewton(model, both, (x, torch.randn(20).double()))
    groups = {"body": "body.*", "first": "first.*", "second": "second.*"}
    found = group_couplings(operator, groups, method="effects", draws=100)
    exact = group_couplings(operator, groups)
    assert exact.values()[1, 2] == found.values()[1, 2] == 0
    known = exact.squares > 0
    assert (np.abs(found.squares - exact.squares)[known] < 4 * found.squared_errors[known]).all()


def test_own_norms_need_different_directions():
    _, operator = gauss_newton(0)
    found = group_couplings(operator, {"all": "*"}, method="effects", draws=300, directions=2)
    A = operator.to_dense()
    assert abs(found.squares[0, 0] - float(A.square().sum())) < 4 * found.squared_errors[0, 0]
    z = torch.randint(0, 2, (300, len(A)), generator=torch.Generator().manual_seed(0)).double() * 2 - 1
    same = ((z @ A) * z).sum(1).square().mean()  # as it would be with the same direction on both sides
    expected = A.trace() ** 2 + 2 * A.square().sum() - 2 * A.diagonal().square().sum()
    assert abs(same / expected - 1) < 0.1
    assert expected > 2 * A.square().sum()


def test_the_noise_of_a_block_of_rank_one_is_the_largest():
    a = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    operator = MatrixOperator(torch.outer(a, a))
    groups = {"a": np.arange(200), "b": np.arange(200, 400)}
    found = group_couplings(operator, groups, method="products", draws=1500, directions=2)
    relative = found.squared_errors[0, 1] / found.squares[0, 1]
    assert relative == pytest.approx(found.largest_noise, rel=0.1)
    assert found.largest_noise == pytest.approx((1 / 3000) ** 0.5)


# ── planted networks ─────────────────────────────────────────────────────────────────────────────────────────────────

HIDDEN = [4, 3, 5]


@pytest.mark.parametrize("method", ["exact", "products", "effects"])
@pytest.mark.parametrize("normalised", [False, True])
def test_planted_sub_networks_are_found_and_uncoupled_pairs_have_exactly_zero(method, normalised):
    torch.manual_seed(0)
    model = planted("planted", hidden=HIDDEN, coupling=0.0).model().double()
    inputs, targets = (one.double() for one in data(None, parts=len(HIDDEN))[0])
    groups = {}
    for part in range(len(HIDDEN)):
        groups |= units_as_groups(model, f"parts.{part}.0", f"parts.{part}.2")
    make = GaussNewton if method == "effects" else Hessian
    found = group_couplings(make(model, loss, (inputs, targets)), groups, method=method, draws=4)
    truth = np.repeat(np.arange(len(HIDDEN)), HIDDEN)
    W = found.matrix(normalised=normalised)
    assert ((W > 0) == ((truth[:, None] == truth) & ~np.eye(len(W), dtype=bool))).all()
    assert (W.T == W).all()
    tree = recursive_bipartition(W, min_size=1)
    assert adjusted_rand_score(truth, tree.labels(len(HIDDEN))) == 1
    for one in found.halves() if method != "exact" else ():
        assert adjusted_rand_score(truth, recursive_bipartition(one.matrix()).labels(3)) == 1


# ── what is given, and what is said ──────────────────────────────────────────────────────────────────────────────────


def test_the_way_is_chosen_by_the_operator_and_recorded():
    model, inputs, labels = network(0, hidden=100)  # 703 parameters
    groups = {"first": "0.*", "second": "2.*"}
    make = partial(group_couplings, groups=groups, draws=2)
    gn, h = GaussNewton(model, CROSS_ENTROPY, (inputs, labels)), Hessian(model, CROSS_ENTROPY, (inputs, labels))
    known = [make(one) for one in (gn, h, gn + gn, Preconditioned(gn, torch.ones(703)))]
    assert [one.method for one in known] == ["effects", "products", "products", "products"]
    assert [(one.directions, one.cost) for one in known] == [(2, 8), (1, 4), (1, 4), (1, 4)]
    assert make(gn, method="products").method == "products"
    small = group_couplings(Hessian(*gauss_newton_parts()), {"first": "0.*"})
    assert (small.method, small.draws, small.squared_errors.tolist()) == ("exact", 1, [[0.0]])
    assert known[0].provenance["operator"] == "gauss-newton"
    with pytest.raises(UserError, match=r"outputs alone, such as Gauss-Newton, not of a Hessian; take products"):
        make(h, method="effects")


def gauss_newton_parts():
    model, inputs, labels = network(0)
    return model, CROSS_ENTROPY, (inputs, labels)


@pytest.mark.parametrize("method", ["products", "effects"])
def test_a_coupling_that_all_draws_miss_is_none_of_zero(method):
    # Of two classes, biases move the outputs by their difference alone: equal signs cancel in half of the draws.
    torch.manual_seed(0)
    model = nn.Linear(1, 2).double()
    operator = GaussNewton(model, CROSS_ENTROPY, (torch.tensor([[1.0], [2.0]]).double(), torch.tensor([0, 1])))
    groups, missed, found = {"weight": "weight", "bias": "bias"}, [], []
    for seed in range(12):
        try:
            found.append(group_couplings(operator, groups, method=method, draws=2, seed=seed).values())
        except UserError as error:
            missed.append(str(error))
    assert missed
    assert found
    truth = group_couplings(operator, groups, method="exact").values()
    assert all((values > 0.1 * truth).all() for values in found)  # none, and nothing that rounding left of one
    assert all(" is missed by all of 2 draws, whose random signs cancel there; take more" in one for one in missed)


def test_couplings_that_are_none_cost_one_draw_more():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).double()
    model[1].weight.data.zero_()
    operator = GaussNewton(model, CROSS_ENTROPY, (torch.ones(4, 2).double(), torch.tensor([0, 1, 1, 0])))
    groups = {"first": "0.*", "weight": "1.weight"}
    for method, directions in (("products", 1), ("effects", 2)):
        found = group_couplings(operator, groups, method=method, draws=20)
        assert found.values()[0].tolist() == [0.0, 0.0]
        assert (found.draws, found.cost) == (20, 21 * directions * 2)


def test_couplings_about_as_large_as_rounding_are_not_refused():
    random, groups = np.random.default_rng(0), {f"g{i}": [*range(4 * i, 4 * i + 4)] for i in range(10)}
    for seed in range(6):
        tiny = random.normal(size=(40, 40)) * 10 ** random.uniform(-17, -13.8, (40, 40))
        dense = torch.from_numpy(np.kron(np.eye(10), np.ones((4, 4)) + np.eye(4)) + (tiny + tiny.T))
        found = group_couplings(MatrixOperator(dense), groups, method="products", draws=4, seed=seed)
        assert (found.values() == 0).any()


@pytest.mark.parametrize("method", ["exact", "products", "effects"])
def test_awkward_groups(method):
    model, inputs, labels = network(1)
    model[0].bias.requires_grad_(False)
    operator = GaussNewton(model, CROSS_ENTROPY, (inputs, labels))
    take = partial(group_couplings, operator, method=method, draws=8, seed=5)
    one = take({"one": "2.weight"})
    assert one.matrix().tolist() == [[0.0]]
    assert one.matrix(normalised=True).tolist() == [[0.0]]
    few = take({"entry": [4], "other": [7], "rest": "2.bias"})
    A = operator.to_dense()
    assert few.values()[0, 1] == pytest.approx(abs(float(A[4, 7])), rel=1e-10)  # ±1 in one place: no noise
    assert (few.sizes.tolist(), few.dim) == ([1, 1, 3], operator.shape[0])
    again = take({"entry": [4], "other": [7], "rest": "2.bias"})
    assert (again.squared == few.squared).all()
    if method != "exact":
        assert not (
            take({"a": "0.weight", "b": "2.weight"}, seed=5 + 2**32).squared
            == take({"a": "0.weight", "b": "2.weight"}).squared
        ).all()
    assert take(units_as_groups(model, "0", "2")).sizes.tolist() == [6] * 3  # no frozen bias
    with pytest.raises(UserError, match=r"pattern '0\.bias' matches no parameter"):
        take({"frozen": "0.bias"})
    with pytest.raises(UserError, match="group 'nothing' has no parameter; leave it out"):
        take({"one": "2.weight", "nothing": []})
    with pytest.raises(UserError, match="share parameters"):
        take({"one": "2.weight", "two": "2.*"})
    with pytest.raises(UserError, match="give one at least"):
        take({})


def test_groups_of_the_layout_are_the_default():
    a = torch.arange(1.0, 7.0, dtype=torch.float64)
    layout = Layout(("w",), ((6,),)).grouped({"left": [0, 1], "right": [4, 5]})
    found = group_couplings(MatrixOperator(torch.outer(a, a), layout))
    assert found.names == ["left", "right"]
    np.testing.assert_allclose(found.values(normalised=True), np.ones((2, 2)))
    with pytest.raises(UserError, match="there are no groups of parameters to couple; give groups, by name"):
        group_couplings(MatrixOperator(torch.eye(2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dense"}, "method must be exact, products or effects, got 'dense'"),
        ({"draws": 0}, "draws must be at least 1, got 0"),
        ({"directions": 1, "method": "effects"}, "effects need 2 directions or more"),
        ({"directions": 0.5}, "directions must be a whole number"),
        ({"groups": ["0.weight"]}, "groups must be parts of the parameters by name"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, message):
    model, operator = gauss_newton(0)
    with pytest.raises(UserError, match=message):
        group_couplings(operator, **{"groups": units(model), **options})


def test_centred_products_in_float32_are_refused():
    model, inputs, _ = network(0)
    operator = GaussNewton(model, None, inputs, dtype=torch.float32, **CENTRED)
    with pytest.raises(UserError, match=r"cancel in torch.float32; make the operator with dtype=torch.float64"):
        group_couplings(operator, units(model), method="products")
    found = group_couplings(operator, units(model), method="effects", draws=2)
    assert (found.values()[-1] == 0).all()  # the bias of the outputs, to rounding in float32


def test_a_matrix_that_is_not_finite_is_refused():
    operator = MatrixOperator(torch.full((2, 2), 1e200, dtype=torch.float64))
    with pytest.raises(UserError, match="the couplings are not finite; look for overflow"):
        group_couplings(operator, {"a": [0], "b": [1]}, method="products")


# ── the result ───────────────────────────────────────────────────────────────────────────────────────────────────────


def result(**changes):
    squared = np.array([[[4.0, 1.0], [1.0, 9.0]], [[4.0, 3.0], [3.0, 9.0]]])
    given = {"names": ["a", "b"], "sizes": np.array([2, 3]), "squared": squared, "rounding": np.zeros((2, 2))}
    given |= {"method": "products", "directions": 1, "cost": 4, "dim": 6}
    return GroupCouplings.from_squares(**given | changes)


def test_numbers_of_a_result():
    found = result()
    assert found.values() == pytest.approx(np.array([[2.0, 2**0.5], [2**0.5, 3.0]]), rel=1e-15)
    assert found.matrix(normalised=True)[0, 1] == pytest.approx((2 / 6) ** 0.5)
    assert found.squared_errors == pytest.approx(np.array([[0, 1], [1, 0]]), abs=1e-15)
    # The jackknife of two numbers is half of what they differ by.
    assert found.standard_errors()[0, 1] == pytest.approx((3**0.5 - 1) / 2)
    assert found.standard_errors(normalised=True)[0, 1] == pytest.approx((3**0.5 - 1) / 2 / 6**0.5)
    first, second = found.halves()
    assert (first.draws, first.cost, second.squares[0, 1]) == (1, 2, pytest.approx(3.0))
    assert np.isnan(first.standard_errors()).all()
    assert first.facts()["median_relative_error"] is None
    assert repr(found) == "GroupCouplings(2 groups of 5 parameters, 2 draws, 4 products)"
    assert "median_relative_error" in found._repr_html_()
    with pytest.raises(UserError, match="1 draw has no halves"):
        first.halves()
    with pytest.raises(UserError, match="draws are numbered 0 to 1, each taken once at most; got"):
        found.of_draws([0, 2])


def test_a_group_without_own_curvature_has_no_normalised_couplings():
    found = result(squared=np.array([[[0.0, 1.0], [1.0, 9.0]]]))
    assert found.matrix()[0, 1] == 1
    assert np.isnan(found.errors[1]).all()
    with pytest.raises(UserError, match="group 'a' has no curvature of its own and is coupled to 'b'"):
        found.matrix(normalised=True)
    nothing = result(squared=np.array([[[0.0, 0.0], [0.0, 9.0]]]))
    assert nothing.values(normalised=True).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["a", "a"]}, "all different"),
        ({"names": "ab"}, "a list of the names"),
        ({"sizes": np.array([2])}, r"sizes of shape \(2,\)"),
        ({"squared": np.array([[[1.0, 2.0], [3.0, 1.0]]])}, "must be symmetric"),
        ({"squared": np.empty((0, 2, 2))}, "need a draw"),
        ({"method": "exact"}, "exact ones have one"),
        ({"method": "guessed"}, "exact, or by products or effects"),
        ({"dim": 4}, "within 4 parameters"),
        ({"cost": -1}, "cost of couplings"),
        ({"directions": True}, "directions of couplings"),
    ],
)
def test_a_result_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        result(**changes)


def test_a_run_stores_couplings(tmp_path):
    (tmp_path / "run").mkdir()
    run = Run.create(tmp_path / "run", configuration={}, layout=Layout(("w",), ((6,),)), provenance={})
    run.create_analysis("groups", {"configuration": {"samples": 5}, "provenance": {}}, kind="couplings")
    run.save(10, "groups", result())
    found = Run(run.path).result(10, "groups")
    assert (found.squared == result().squared).all()
    assert (found.names, found.method, found.cost) == (["a", "b"], "products", 4)
    facts = report.facts(Run(run.path))["analyses"]["groups"]["results"][10]
    assert (facts["groups"], facts["cost"]) == (2, 4)
    file = run.path / "analyses/groups/00000010/couplings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"dim": 7}))
    with pytest.raises(DamagedRunError, match="couplings within 7 parameters, where the analysis covers 6"):
        run.result(10, "groups")
