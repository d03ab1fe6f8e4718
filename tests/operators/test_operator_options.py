"""What operators refuse, and their options as an analysis and a command have them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal
from torch.nn import functional as F

from cases import CASES
from hessian_dendrogram import Analysis, GaussNewton, GivenBatches, Hessian
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators import OPERATORS
from hessian_dendrogram.operators.empirical_fisher import EmpiricalFisher
from hessian_dendrogram.operators.fisher import Fisher
from hessian_dendrogram.operators.gradient_covariance import GradientCovariance
from hessian_dendrogram.operators.option_texts import options_of_texts


def case():
    torch.manual_seed(0)
    model, loss, (inputs, targets) = CASES[0].build()
    return model.double(), loss, (inputs.double(), targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "ntk"}, "metric is one of loss, identity, softmax; got 'ntk'"),
        ({"tau": 2.0}, "option 'tau' is not one of metric 'loss'"),
        ({"metric": "identity", "tau": 2.0}, "option 'tau' is not one of metric 'identity'"),
        ({"metric": "softmax", "tau": 0.0}, "tau must be a positive temperature, got 0"),
        ({"metric": "softmax", "centre_outputs": True}, "option 'centre_outputs' is not one of metric 'softmax'"),
        ({"metric": "softmax", "centred": True}, "same for every sample: identity; got metric 'softmax'"),
        ({"centred": True}, "same for every sample: identity; got metric 'loss'"),
        ({"metric": "identity", "centred": 1}, "option 'centred' of operator 'gauss-newton' is True or False, got 1"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    model, loss, data = case()
    with pytest.raises(UserError, match=message):
        GaussNewton(model, loss, data, **options)
    with pytest.raises(UserError, match=message):
        Analysis(operator="gauss-newton", operator_options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": "poisson"}, "distribution is one of categorical, bernoulli, gaussian, or a function; got"),
        ({"draws": 3}, "draws goes with a distribution"),
        ({"distribution": "gaussian", "draws": 0}, "draws must be at least 1, got 0"),
        ({"distribution": "gaussian", "seed": 1}, "seed is that of draws"),
    ],
)
def test_options_of_fisher(options, message):
    model, loss, data = case()
    with pytest.raises(UserError, match=message):
        Fisher(model, loss, data, **options)
    with pytest.raises(UserError, match=message):
        Analysis(operator="fisher", operator_options=options)


def test_losses_that_are_no_likelihood_and_own_distributions():
    model, _, (inputs, targets) = case()

    def quartic(outputs, targets):
        return (outputs**4).sum(1).mean() + F.cross_entropy(outputs, targets)

    with pytest.raises(UserError, match="not the negative log-likelihood of a categorical, Bernoulli or Gaussian"):
        Fisher(model, quartic, (inputs, targets))
    with pytest.raises(UserError, match="is drawn; say by draws= how often"):
        Fisher(model, None, inputs, distribution=lambda z: Normal(z, 1.0))
    with pytest.raises(UserError, match="needs a loss, or the distribution of the labels"):
        Fisher(model, None, inputs)
    with pytest.raises(UserError, match="must give a torch Distribution of the outputs, gave a Tensor"):
        Fisher(model, None, inputs, distribution=lambda z: z, draws=2)
    with pytest.raises(UserError, match="keep the samples of the outputs along its first axis"):
        Fisher(model, None, inputs, distribution=lambda z: Normal(z.mean(), 1.0), draws=2)

    def wide(z):
        return Independent(Normal(z, 2.0), 1)

    own = Fisher(model, None, inputs, distribution=wide, draws=2000)
    expected = GaussNewton(model, None, inputs, metric="identity").to_dense() / 4
    assert float((own.to_dense() - expected).norm()) < 0.05 * float(expected.norm())
    assert (own.describe()["distribution"], own.describe()["draws"], own.describe()["seed"]) == ("a function", 2000, 0)


def test_data_and_outputs_that_do_not_go_with_a_metric():
    model, loss, (inputs, targets) = case()
    with pytest.raises(UserError, match="the metric of the loss needs one"):
        GaussNewton(model, None, inputs)
    with pytest.raises(UserError, match="a batch must be a pair"):
        GaussNewton(model, loss, inputs)
    with pytest.raises(UserError, match="weight= says what targets weigh"):
        GaussNewton(model, None, inputs, metric="identity", weight=len)

    class Reshaped(nn.Module):
        def __init__(self, shape):
            super().__init__()
            self.inner, self.shape = nn.Linear(4, 4), shape

        def forward(self, x):
            return self.inner(x).reshape(self.shape)

    flattened = Reshaped((-1,)).double()
    with pytest.raises(UserError, match=r"samples|mean"):
        GaussNewton(flattened, None, inputs, metric="identity")
    with pytest.raises(UserError, match=r"outputs of 9 samples have the shape \(36,\)"):
        EmpiricalFisher(flattened, lambda z, t: (z.reshape(-1, 4) - 1).square().mean(), (inputs, targets))
    deep = Reshaped((-1, 2, 2, 1)).double()
    with pytest.raises(UserError, match="say by axis= which is that of the classes"):
        GaussNewton(deep, None, inputs, metric="identity")
    expected = GaussNewton(Reshaped((-1, 4)).double(), None, inputs, metric="identity")
    flat = Reshaped((-1, 4)).double()
    flat.load_state_dict(deep.state_dict())
    expected = GaussNewton(flat, None, inputs, metric="identity").to_dense()
    assert GaussNewton(deep, None, inputs, metric="identity", axis=1).to_dense().numpy() == pytest.approx(
        expected.numpy() / 2,
        abs=1e-14,  # two places in a row's stead
    )
    with pytest.raises(UserError, match="have no axis 7 beside that of the samples"):
        GaussNewton(deep, None, inputs, metric="identity", axis=7)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 4)

        def forward(self, x):
            return self.inner(x), x

    with pytest.raises(UserError, match="needs one tensor of them, or one that is called logits; the model gives 2"):
        GaussNewton(Two().double(), None, inputs, metric="identity")


def test_padding_does_not_count_in_silence():
    class Places(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.out = nn.Embedding(5, 4), nn.Linear(4, 3)

        def forward(self, tokens, attention_mask):
            return self.out(torch.tanh(self.embedding(tokens)) * attention_mask[..., None])

    tokens, mask = torch.randint(5, (6, 4)), torch.ones(6, 4)
    GaussNewton(Places().double(), None, {"tokens": tokens, "attention_mask": mask}, metric="softmax")
    mask[2, 3] = 0
    with pytest.raises(UserError, match="attention_mask has zeros: places that are padding would count"):
        GaussNewton(Places().double(), None, {"tokens": tokens, "attention_mask": mask}, metric="softmax")


def test_models_whose_samples_see_each_other_are_refused():
    class Coupled(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            z = self.inner(x)
            return z - z.mean(0)

    _, _, (inputs, _) = case()
    with pytest.raises(UserError, match="the loss is not a mean over samples"):
        GaussNewton(Coupled().double(), None, inputs, metric="identity")


@pytest.mark.parametrize(
    "kind", [lambda *a: GaussNewton(*a, metric="identity"), EmpiricalFisher, GradientCovariance, OPERATORS["residual"]]
)
def test_outputs_that_autograd_does_not_see_as_they_are(kind):
    """A stopped gradient: products by every method agree with each other, and with no output of the live model."""
    _, loss, (inputs, targets) = case()

    class Stopped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = torch.tanh(self.first(x))
            return self.last(h + 0.5 * (h**2).detach()) + h

    with pytest.raises(UserError, match="matrix cannot be trusted"):
        kind(Stopped().double(), loss, (inputs, targets))


def test_the_loss_of_given_batches_takes_the_place_of_a_sample():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batches = [(torch.randn(4, 3).double(), torch.arange(4)) for _ in range(3)]

    def contrastive(z, labels):
        return F.cross_entropy(z @ z.T, labels)

    rows = []
    for inputs, labels in batches:
        parts = torch.autograd.grad(contrastive(model(inputs), labels), list(model.parameters()))
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    g = torch.stack(rows)
    E = EmpiricalFisher(model, contrastive, batches=batches)
    assert E.to_dense().numpy() == pytest.approx((g.T @ g / 3).numpy(), abs=1e-14)
    with pytest.raises(UserError, match="which given batches do not have"):
        Fisher(model, contrastive, GivenBatches(batches), distribution="gaussian", draws=2)


# ── texts of a command ───────────────────────────────────────────────────────────────────────────────────────────────


def test_options_as_texts():
    kind = OPERATORS["gauss-newton"]
    assert options_of_texts(kind, ["metric=identity", "centred", "centre-outputs=no"]) == {
        "metric": "identity",
        "centred": True,
        "centre_outputs": False,
    }
    assert options_of_texts(kind, ["tau=2"]) == {"tau": 2.0}
    for texts, message in (
        (["tau=hot"], "option 'tau' is a number, got 'hot'"),
        (["centred=maybe"], "option 'centred' is yes or no, got 'maybe'"),
        (["metric"], "option 'metric' of operator 'gauss-newton' needs a value"),
        (["tau=1", "tau=2"], "option 'tau' is given twice"),
        (["rank=3"], "operator 'gauss-newton' has no option 'rank'; it has metric, tau"),
    ):
        with pytest.raises(UserError, match=message):
            options_of_texts(kind, texts)
    with pytest.raises(UserError, match="operator 'hessian' has no option 'tau'; it has none"):
        options_of_texts(OPERATORS["hessian"], ["tau=1"])


def test_an_analysis_keeps_its_options_complete_and_says_them_in_its_name():
    analysis = Analysis(operator="gauss-newton", operator_options={"metric": "identity", "centred": True}, on="test")
    assert analysis.operator_options == {
        "metric": "identity",
        "centre_outputs": False,
        "divide_by_outputs": False,
        "centred": True,
    }
    assert analysis.name_for(40) == "gauss-newton-identity-centred-test-40"
    again = Analysis(operator="gauss-newton", operator_options=analysis.operator_options, on="test")
    assert again == analysis
    tau = Analysis(operator="gauss-newton", operator_options={"metric": "softmax", "tau": 2.5})
    assert tau.name_for(9) == "gauss-newton-softmax-tau2-5-9"
    assert Analysis(operator="gauss-newton").name_for(9) == "gauss-newton-9"
    assert Analysis(operator="fisher").operator_options == {}
    with pytest.raises(UserError, match="an analysis is taken on train, test, all, probe; got 'validation'"):
        Analysis(on="validation")


def test_operators_describe_what_they_are():
    model, loss, data = case()
    G = GaussNewton(model, loss, data, metric="identity", divide_by_outputs=True)
    facts = G.describe()
    assert {key: facts[key] for key in ("operator", "metric", "divide_by_outputs", "centre_outputs", "outputs")} == {
        "operator": "gauss-newton",
        "metric": "identity",
        "divide_by_outputs": True,
        "centre_outputs": False,
        "outputs": 3,
    }
    assert Fisher(model, loss, data).describe()["distribution"] == "categorical, of the loss"
    assert "metric" not in GaussNewton(model, loss, data).describe()
    for kind in OPERATORS.values():
        assert kind(model, loss, data).describe()["operator"] == kind.name


def test_checks_are_taken_over_at_another_checkpoint():
    model, loss, data = case()
    other = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    for kind in OPERATORS.values():
        first = kind(model, loss, data)
        later = kind(other, loss, data, checks_of=first)
        assert later.to_dense().numpy() == pytest.approx(kind(other, loss, data).to_dense().numpy(), abs=1e-15)
    assert np.isfinite(Hessian(model, loss, data).to_dense().numpy()).all()


def test_curvature_that_is_lost_in_rounding_is_said_so():
    """A network that is certain: p (1 - p) of its outputs is less than what p is rounded by."""
    model, _, (inputs, _) = case()
    with torch.no_grad():
        model[2].weight.mul_(20)
        model[2].bias.mul_(20)
        targets = model(inputs).argmax(1)
        model[2].weight.mul_(33 / (z := model(inputs).sort(1).values)[:, -1].sub(z[:, -2]).min())
        model[2].bias.mul_(33 / z[:, -1].sub(z[:, -2]).min())
    assert float(F.cross_entropy(model(inputs), targets).detach()) < 1e-10
    with pytest.raises(
        UserError, match=r"the gauss-newton matrix is lost in rounding: .* take a metric of the outputs"
    ):
        GaussNewton(model, F.cross_entropy, (inputs, targets))
    assert GaussNewton(model, None, inputs, metric="identity").to_dense().norm() > 1
