"""Leading directions: shares that add up, sets that have no basis, planted truth, and inputs that would lie."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import (
    GaussNewton,
    Hessian,
    LeadingDirections,
    MatrixOperator,
    effects,
    experiment_run,
    next_token_loss,
    next_token_weight,
    token_loss,
    token_weight,
)
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.experiments.planted import planted
from hessian_dendrogram.models.built_in_readouts import by_label, by_output
from hessian_dendrogram.models.readouts import as_readout
from hessian_dendrogram.operators.effects import Effects
from hessian_dendrogram.solvers.responses import OfEffects


def taken(operator, readout="output", own=None, **options):
    options = {"top": 3, "exact": True, "rotations": 19, "gaussian": 9} | options
    return (
        LeadingDirections(readout=readout, **options).of_task("mine", own or {}).solve(operator, seed=0, progress=False)
    )


def mlp(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, outputs))


def data(classes=3, count=30):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 4, generator=generator), torch.randint(classes, (count,), generator=generator)


@pytest.mark.parametrize("case", [case for case in CASES if case.name != "one-parameter"], ids=str)
def test_shares_of_every_case_add_up(case):
    torch.manual_seed(0)
    G = GaussNewton(*case.build(), dtype=torch.float64)
    found = taken(G)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert (found.shares >= 0).all()
    np.testing.assert_allclose(found.tensor_shares.sum(axis=1), 1, rtol=0, atol=1e-12)


def test_powers_are_the_eigenvalues_of_the_identity_metric():
    """Two ways to the same number: vᵀ G v of the operator, and the mean square of J v."""
    for batch_size in (7, 512):
        G = GaussNewton(mlp(), None, data(), metric="identity", dtype=torch.float64, batch_size=batch_size)
        found = taken(G, top=6)
        np.testing.assert_allclose(found.powers, found.eigenvalues, rtol=1e-9)


def test_shares_are_those_of_the_effects():
    (inputs, labels), model = data(), mlp()
    G = GaussNewton(model, F.cross_entropy, (inputs, labels), dtype=torch.float64)
    _, V = np.linalg.eigh(G.to_dense().numpy())
    u = effects(model, inputs, V[:, ::-1][:, :3].copy())
    for readout, parts in (
        ("output", [u[..., c] for c in range(3)]),
        ("class", [u[:, labels == c] for c in range(3)]),
    ):
        expected = [part.flatten(1).square().sum(1) / u.flatten(1).square().sum(1) for part in parts]
        found = taken(G, readout)
        np.testing.assert_allclose(found.shares[:, :3], torch.stack(expected, 1), rtol=1e-8)
        assert found.groups == ["0", "1", "2", "other"]


def test_shares_of_a_set_do_not_change_under_rotation():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    risk = G.risk
    Q = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)))[0]
    V = torch.linalg.qr(torch.randn(51, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))[0]
    response = OfEffects(risk, by_output(), Effects(risk))
    one, other = (torch.stack([gram.trace() for gram in response(W).values()]) for W in (V, V @ Q))
    torch.testing.assert_close(one / one.sum(), other / other.sum(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("hidden", [[6, 6, 6], [3, 5, 8]])
def test_without_coupling_every_direction_is_of_one_subnetwork(hidden):
    experiment = planted("planted", hidden=hidden, coupling=0.0)
    (inputs, targets), _ = experiment.data(None)
    groups = {f"part {i}": f"parts.{i}.*" for i in range(len(hidden))}
    for kind in (GaussNewton, Hessian):
        operator = kind(
            experiment_run.new_model(experiment), experiment.loss, (inputs[:60], targets[:60]), dtype=torch.float64
        )
        operator.layout = operator.layout.grouped(groups)
        count = operator.shape[0]
        by_effect = taken(operator, top=count)
        by_part = taken(operator, "groups", top=count)
        gaps = np.abs(np.diff(by_effect.eigenvalues, prepend=np.inf, append=-np.inf))
        apart = np.minimum(gaps[:-1], gaps[1:]) >= 1e-9 * by_effect.eigenvalues[0]
        assert apart.sum() > 20
        for found in (by_effect, by_part):
            pure = found.purities[apart & found.has_effect]
            np.testing.assert_allclose(pure, 1, rtol=0, atol=1e-6)
            assert np.nanmean(found.rotation_purities) < 0.9  # which a rotated basis is not
        assert by_part.of == "parameters"


def test_twins_are_one_set_that_is_said_to_be_arbitrary():
    """Two outputs with layers of their own, over the same inputs: every eigenvalue comes twice."""
    model = nn.Linear(4, 2, bias=False)
    inputs = data()[0]
    G = GaussNewton(model, None, inputs, metric="identity", dtype=torch.float64)
    found = taken(G, top=4)
    assert found.is_arbitrary.all()
    assert found.sets == (slice(0, 2), slice(2, 4))
    assert not found.is_cut
    np.testing.assert_allclose(found.set_shares([0, 1])[:2], 0.5, atol=1e-12)
    cut = taken(G, top=3)
    assert cut.is_cut
    assert cut.sets == (slice(0, 2), slice(2, 3))
    assert cut.turns[2] == 1


def test_a_network_without_effect_has_no_shares():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3, bias=False))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(-1.0)  # dead
    for exact in (True, False):
        found = taken(GaussNewton(model, F.cross_entropy, data(), dtype=torch.float64), exact=exact)
        assert not found.has_effect.any()
        assert np.isnan(found.mean_purity())
        assert np.isnan(found.purities).all()
        assert found.is_arbitrary.all()


def test_directions_of_rounding_have_no_shares():
    """A dead unit's parameters move nothing, whatever rounding says."""
    model = mlp()
    with torch.no_grad():
        model[0].bias[:3] = -1e4  # tanh is -1 there, with a slope of zero
    found = taken(GaussNewton(model, None, data(), metric="identity", dtype=torch.float64), top=51)
    moves = found.eigenvalues > 1e-12 * found.eigenvalues[0]
    assert 10 < moves.sum() <= 51 - 15
    np.testing.assert_array_equal(found.has_effect, moves)
    assert found.is_arbitrary[~moves].all()


def test_what_did_not_converge_is_left_out():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    options = {"exact": False, "top": 10, "lanczos": {"block_size": 4, "max_products": 24, "tolerance": 1e-6}}
    found = taken(G, **options)
    count = len(found.eigenvalues)
    assert 0 < count < 10
    assert found.asked == 10
    assert found.is_cut
    whole = taken(G, top=10)
    np.testing.assert_allclose(found.eigenvalues, whole.eigenvalues[:count], rtol=1e-6)
    none = taken(G, **options | {"lanczos": {"block_size": 4, "max_products": 4, "tolerance": 1e-12}})
    assert none.eigenvalues.shape == (0,)
    assert none.shares.shape == (0, 4)
    assert np.isfinite(none.gaussian_purities).all()


def test_lanczos_and_the_exact_spectrum_agree():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    one, other = (taken(G, exact=exact, top=5, lanczos={"tolerance": 1e-10}) for exact in (True, False))
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-7)
    np.testing.assert_array_equal(one.gaussian_shares, other.gaussian_shares)
    np.testing.assert_allclose(one.rotation_means, other.rotation_means, atol=1e-6)


def test_the_gradient_and_the_update_are_seen():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    V = np.linalg.eigh(G.to_dense().numpy())[1][:, ::-1]
    changes = {
        "gradient": torch.from_numpy(V[:, :2] @ np.array([3.0, 4.0])),
        "update": torch.from_numpy(V[:, 40].copy()),
    }
    solver = LeadingDirections(top=3, exact=True, rotations=2, gaussian=2).beside(changes)
    found = solver.solve(G, seed=0, progress=False)
    np.testing.assert_allclose(found.gradient_shares, [0.36, 0.64, 0], atol=1e-9)
    np.testing.assert_allclose(found.update_shares, 0, atol=1e-9)
    assert np.isnan(taken(G).gradient_shares).all()


def test_a_block_of_the_parameters():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    block, own = (
        G.restricted("2.*"),
        GaussNewton(mlp(), F.cross_entropy, data(), parameters=["2.*"], dtype=torch.float64),
    )
    one, other = taken(block), taken(own)
    np.testing.assert_allclose(one.shares, other.shares, rtol=1e-9)
    assert one.dim == 21


class PlaceByPlace(nn.Module):
    """Each place of a sequence for itself, so that padding changes nothing before it."""

    def __init__(self):
        super().__init__()
        self.embedding, self.out = nn.Embedding(7, 5), nn.Linear(5, 7)

    def forward(self, tokens):
        return {"logits": self.out(torch.tanh(self.embedding(tokens)))}


@pytest.mark.parametrize(
    ("loss", "weight", "readout"),
    [(token_loss, token_weight, "token"), (next_token_loss, next_token_weight, "next-token")],
)
def test_padding_changes_no_share(loss, weight, readout):
    torch.manual_seed(0)
    model, tokens = PlaceByPlace(), torch.randint(7, (6, 4))
    padded = torch.cat([tokens, torch.zeros(6, 3, dtype=torch.long)], dim=1)
    labels = torch.cat([tokens, torch.full((6, 3), -100)], dim=1)
    one, other = (
        taken(GaussNewton(model, loss, pair, weight=weight, dtype=torch.float64), readout, top=4)
        for pair in ((tokens, tokens), (padded, labels))
    )
    np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(one.powers, other.powers, rtol=1e-9)
    np.testing.assert_allclose(one.shares, other.shares, atol=1e-9)
    assert not one.shares[:, -1].any()  # every place that counts has a token


def test_inputs_without_labels_have_no_classes():
    G = GaussNewton(mlp(), None, data()[0], metric="identity", dtype=torch.float64)
    with pytest.raises(UserError, match="by label, and the data has none"):
        taken(G, "class")
    assert taken(G).groups == ["0", "1", "2", "other"]


@pytest.mark.parametrize(
    ("operator", "readout", "message"),
    [
        (lambda: MatrixOperator(torch.eye(5)), "output", "need an operator over a model, not MatrixOperator"),
        (lambda: GaussNewton(mlp(), F.cross_entropy, data()), "groups", "no groups of parameters"),
        (lambda: GaussNewton(mlp(), F.cross_entropy, data()), "other outputs", "of 2 outputs, the model has 3"),
        (lambda: GaussNewton(mlp(), F.mse_loss, (data()[0], torch.rand(30, 3))), "class", "whole numbers"),
    ],
)
def test_readouts_that_do_not_go_with_the_operator(operator, readout, message):
    own = {"other outputs": as_readout({"a": [1.0, 0.0]})}
    with pytest.raises(UserError, match=message):
        taken(operator(), readout, own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "top must be at least 1"),
        ({"gaussian": 0}, "gaussian must be"),
        ({"rotations": 1.5}, "rotations must be a whole number"),
        ({"lanczos": {"bottom": 3}}, "lanczos has no bottom"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(UserError, match=message):
        LeadingDirections(**options)


def test_options_that_do_not_go_with_the_matrix():
    with pytest.raises(UserError, match="24 directions of 5 parameters"):
        LeadingDirections().check(5)
    with pytest.raises(UserError, match="lanczos has no option colour"):
        LeadingDirections(lanczos={"colour": 1}).check(500)
    with pytest.raises(UserError, match="no readout 'classes'"):
        LeadingDirections(readout="classes").of_task("mnist", {})


def test_parameters_of_a_matrix_have_shares_of_tensors():
    found = taken(MatrixOperator(torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))), "tensors", top=2)
    assert found.groups == ["matrix", "other"]
    np.testing.assert_allclose(found.purities, 1)


def test_leading_pairs_of_a_whole_spectrum_end_where_it_does():
    spectrum_of = MatrixOperator(torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)))
    found = taken(spectrum_of, "tensors", top=3)
    assert not found.is_cut
    assert (found.turns < 1e-9).all()


def test_labels_put_together_are_a_readout_of_a_task():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    found = taken(G, "pair", {"pair": by_label({"first two": [0, 1]})})
    apart = taken(G, "class")
    np.testing.assert_allclose(found.shares[:, 0], apart.shares[:, :2].sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.shares[:, 1], apart.shares[:, 2], rtol=1e-9)


def test_mean_purities_are_of_ten_of_thirty_two_and_of_all():
    G = GaussNewton(mlp(), F.cross_entropy, data(), dtype=torch.float64)
    assert taken(G, top=40).counts == [10, 32, 40]
    assert taken(G, top=24).counts == [10, 24]
    assert taken(G, top=4).counts == [4]
