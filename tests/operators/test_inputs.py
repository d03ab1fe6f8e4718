"""Each kind of ordinary input once, with the true matrix, or the line that refuses it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inputs
from hessian_dendrogram import Hessian, exact_spectrum, lanczos_spectrum
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators.risk import Risk
from hessian_dendrogram.solvers.exact import symmetric_eigenpairs
from inputs import Input, applies, in_batches, mlp, points, radial_basis

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated:DeprecationWarning"),
]

RIGHT = [
    inputs.penalty_on_parameters, inputs.penalty_on_captured_parameters, inputs.penalty_on_a_flat_vector,
    inputs.penalty_in_a_partial, inputs.a_loss_module_that_holds_the_model, inputs.forward_through_lambdas,
    inputs.a_patched_forward, inputs.a_patched_method, inputs.derivatives_in_the_forward,
    inputs.inputs_that_require_gradients, inputs.a_transform_in_the_forward, inputs.complex_buffers,
    inputs.captured_class_weights_in_single_precision, inputs.a_loss_module_in_single_precision,
    inputs.a_constant_in_single_precision, inputs.a_model_whose_own_to_does_nothing,
    inputs.right_weights_of_many_samples, inputs.a_zero_head_with_weights, inputs.packed_sequences, inputs.memorised,
    inputs.weight_norm, inputs.a_hook_that_scales, inputs.a_hook_before, inputs.summed_squares,
    inputs.an_activation_in_place, inputs.linear_layers_on_tokens, inputs.a_first_layer_that_returns_its_input,
    inputs.outputs_of_one_axis, inputs.a_subclass_that_does_something_else, inputs.old_weight_norm,
    inputs.old_spectral_norm, inputs.pruned, inputs.kept_activations, inputs.a_lock,
    inputs.an_own_deepcopy_that_refuses, inputs.scripted,
    inputs.a_loss_that_reads_the_input, inputs.a_loss_that_empties_a_list,
    inputs.a_model_that_lists_some_of_its_parameters, inputs.a_layer_under_two_names,
    inputs.a_small_penalty_in_a_loss_module, inputs.a_loss_that_reads_an_attribute, inputs.the_mode_in_a_closure,
    inputs.a_penalty_in_some_batches, inputs.a_checkpoint_of_a_closure, inputs.a_forward_that_sets_its_inputs,
    inputs.a_large_constant, inputs.weights_divided_in_single_precision,
]  # fmt: skip


@pytest.mark.parametrize("make", RIGHT, ids=lambda make: make.__name__)
def test_the_matrix_is_the_true_one(make):
    case = make()
    H = Hessian(case.model, case.loss, case.data, **case.options)
    ours = H.to_dense()
    v = torch.randn(len(ours), 2, dtype=torch.float64)
    expected = case.true_hessian()
    assert float((ours - expected).norm()) <= 1e-6 * float(expected.norm()) + 1e-9
    assert float((ours - expected).diagonal().abs().max()) <= 1e-8 * max(1.0, float(expected.norm()))
    assert torch.allclose(H.matmat(v), ours @ v, rtol=1e-9, atol=1e-12)


def _sum(o, t):
    return F.cross_entropy(o, t, reduction="sum")


def _weighted(o, t):
    return F.cross_entropy(o, t, weight=inputs.CLASS_WEIGHTS.double())


def _contrastive(o, t):
    """InfoNCE over the batch: every sample against all others."""
    o = F.normalize(o, dim=1)
    return F.cross_entropy(o @ o.T.roll(1, 0) / 0.3, torch.arange(len(o)))


def _outside():
    model = mlp()
    transposed = model[0].weight.T
    return Input(model, lambda o, t: F.cross_entropy(o, t) + transposed.square().sum(), points())


def _complex_parameters():
    model = inputs.Rotary().double()
    model.mix = nn.Parameter(model.mix.detach().to(torch.complex128))
    return Input(model, F.cross_entropy, points())


def _ignored_in_single_sequences():
    """One sequence of tokens a batch, with different numbers of ignored ones."""
    torch.manual_seed(0)
    tokens = torch.randn(6, 5, 3).double()
    targets = torch.randint(3, (6, 5))
    for row, count in enumerate((0, 0, 0, 3, 1, 2)):
        targets[row, 5 - count :] = -100
    loss = lambda o, t: F.cross_entropy(o.flatten(0, 1), t.flatten())  # noqa: E731
    return Input(mlp(), loss, in_batches((tokens, targets), 1))


def _zero_head(loss):
    model = mlp()
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    return Input(model, loss, points())


def _detached(o, t):
    return (F.cross_entropy(o, t, reduction="none") * o.detach().square().sum(1)).mean()


class Tempered(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, o, t):
        return F.cross_entropy(o / self.temperature, t)


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.bags, self.out = nn.EmbeddingBag(7, 4, mode="max"), nn.Linear(4, 3)

    def forward(self, tokens):
        return self.out(self.bags(tokens).tanh())


class Distances(nn.Module):
    def __init__(self):
        super().__init__()
        self.centres = nn.Parameter(torch.randn(3, 3))

    def forward(self, x):
        return -torch.cdist(x, self.centres)


def _lazy():
    return Input(nn.Sequential(nn.LazyLinear(3)), F.cross_entropy, points())


REFUSED = [
    ("sums of two", lambda: Input(mlp(), _sum, in_batches(points(), 2)), "not a mean .* divide it by the number"),
    ("sums of three", lambda: Input(mlp(), _sum, in_batches(points(), 3)), "not a mean .* divide it by the number"),
    ("sums of one", lambda: Input(mlp(), _sum, in_batches(points(), 1)), "not a mean .* divide it by the number"),
    ("class weights in threes", lambda: Input(mlp(), _weighted, in_batches(points(), 3)), "not a mean .* pass weight="),
    ("class weights in ones", lambda: Input(mlp(), _weighted, in_batches(points(), 1)), "not a mean .* pass weight="),
    ("class weights on a zero head", lambda: _zero_head(_weighted), "not a mean .* pass weight="),
    ("a sum at zero", lambda: Input(nn.Linear(3, 1, bias=False).double(), lambda o, t: (o - o.detach() + o - o).sum(),
                                    points()), "not a mean"),
    ("ignored tokens", _ignored_in_single_sequences, "not a mean .* pass weight="),
    ("nothing but ignored targets in a part", lambda: Input(
        mlp(), F.cross_entropy, [(points()[0][:8], torch.tensor([0, 1, 2, 0] + 4 * [-100]))]), "not .*pass weight="),
    ("pairs", lambda: Input(mlp(), _contrastive, points()), "couples the samples .* no weight mends"),
    ("an outer value", _outside, "computed from '0.weight' before"),
    ("an own parameter of the loss", lambda: Input(mlp(), Tempered().double(), points()),
     "requires a gradient and is no parameter of the model"),
    ("complex parameters", _complex_parameters, "parameter 'mix' is complex"),
    ("half precision", lambda: Input(mlp().bfloat16(), F.cross_entropy, points()), "bfloat16, too coarse.*float64"),
    ("no shape yet", _lazy, "has no shape yet"),
    ("a wrong weight", lambda: Input(mlp(), _weighted, points(), {"weight": lambda t: (t > 0).double().mean() + 1}),
     "weight= must add up"),
    ("a lost second derivative", lambda: applies(inputs.SavesIntermediate.apply), "finite differences"),
    ("a reversed gradient", lambda: applies(inputs.Reversed.apply), "finite differences"),
    ("a stopped gradient", lambda: Input(mlp(), _detached, points()), "finite differences"),
    ("a norm at a data point", lambda: radial_basis(safe=False), "gives NaN"),
    ("a norm at one of many data points", lambda: radial_basis(safe=False, count=900, at=4), "gives NaN"),
    ("a norm at a data point, not squared", lambda: Input(
        inputs.RadialBasis(points()[0][3:5], safe=False, square=False), F.cross_entropy, points()), "gives NaN"),
    ("a function for a model", lambda: Input(lambda x: x, F.cross_entropy, points()), "must be a torch.nn.Module"),
    ("an unknown method", lambda: Input(mlp(), F.cross_entropy, points(), {"method": "columns"}), "method must be one"),
    ("an unknown device", lambda: Input(mlp(), F.cross_entropy, points(), {"device": "cuda:77"}), "cannot be used"),
    ("bags", lambda: Input(Bags().double(), F.cross_entropy, (torch.randint(7, (6, 4)), torch.randint(3, (6,)))),
     "no second derivative: .*embedding_bag"),
    ("distances", lambda: Input(Distances().double(), F.cross_entropy, points()), "no second derivative: .*cdist"),
    ("a margin", lambda: Input(mlp(), F.multi_margin_loss, points()), "no second derivative: .*multi_margin"),
    ("unreduced squares", lambda: Input(mlp(), lambda o, t: F.mse_loss(o, t, reduction="none"), points(outputs=3)),
     "must be a scalar"),
    ("summed squares", lambda: Input(mlp(), nn.MSELoss(reduction="sum"), points(outputs=3)), "divide it by the number"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), [pytest.param(*rest, id=name) for name, *rest in REFUSED])
def test_what_cannot_be_right_is_refused_in_one_line(make, message):
    case = make()
    with pytest.raises(UserError, match=message) as caught:
        Hessian(case.model, case.loss, case.data, **case.options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        inputs.many_kinks,
        inputs.zero_weights,
        inputs.layers_of_very_different_sizes,
        lambda: radial_basis(safe=True),
    ],
    ids=["kinks", "zeros", "sizes", "squares"],
)
def test_what_is_right_is_not_refused(make):
    case = make()
    H = Hessian(case.model, case.loss, case.data)
    expected = torch.autograd.functional.hessian
    parameters = {name: p for name, p in case.model.named_parameters() if p.requires_grad}

    def loss(*values):
        outputs = torch.func.functional_call(case.model, dict(zip(parameters, values, strict=True)), (case.data[0],))
        return case.loss(outputs, case.data[1])

    blocks = expected(loss, tuple(parameters.values()))
    rows = [torch.cat([block.reshape(p.numel(), -1) for block in row], 1)
            for row, p in zip(blocks, parameters.values(), strict=True)]  # fmt: skip
    v = torch.randn(H.shape[0], 1, dtype=torch.float64)
    assert torch.allclose(H.matmat(v), torch.cat(rows) @ v, rtol=1e-9, atol=1e-10)


# ── 6: arithmetic that is coarser than the operator's ────────────────────────────────────────────────────────────────


class Coarse(nn.Module):
    """A normalised layer and a softmax, each in a type of its own, as language models have them."""

    def __init__(self, dtype, where):
        super().__init__()
        self.first, self.scale, self.last = nn.Linear(3, 6), nn.Parameter(torch.ones(6)), nn.Linear(6, 3)
        self.dtype, self.where = dtype, where

    def forward(self, x):
        h = self.first(x)
        if self.where == "norm":
            wide = h.to(self.dtype)
            h = self.scale * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-6)).to(h.dtype)
        if self.where == "softmax":
            h = h * torch.softmax(h, dim=-1, dtype=self.dtype).to(h.dtype)
        outputs = self.last(torch.tanh(h))
        return outputs.to(self.dtype) if self.where == "outputs" else outputs


def test_bounds_cover_targets_that_are_rounded():
    """They are rounded in the same way whatever the parameters are."""
    torch.manual_seed(0)
    inputs_, targets = torch.randn(100, 3).double(), 1e3 * torch.randn(100, 2).double()
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    true = np.linalg.eigvalsh(Hessian(model, F.mse_loss, (inputs_, targets)).to_dense().numpy())
    coarse = Hessian(model, lambda o, t: F.mse_loss(o.float(), t.float()), (inputs_, targets))
    for spectrum, expected in (
        (exact_spectrum(coarse, vectors=1), true),
        (lanczos_spectrum(coarse, top=2, bottom=2, max_products=40), true[np.r_[:2, -2:0]]),
    ):
        found = spectrum.converged
        assert (np.abs(spectrum.eigenvalues - expected)[found] <= spectrum.error_bounds[found]).all()


@pytest.mark.parametrize("where", ["outputs", "norm", "softmax"])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_with_coarse_arithmetic_inside(where, seed, caplog):
    torch.manual_seed(seed)
    fine = Coarse(torch.float64, where).double()
    coarse = Coarse(torch.float32, where).double()
    coarse.load_state_dict(fine.state_dict())
    data = points(300)
    true = np.linalg.eigvalsh(Hessian(fine, F.cross_entropy, data).to_dense().numpy())
    H = Hessian(coarse, F.cross_entropy, data)
    whole = exact_spectrum(H, vectors=1)
    ends = lanczos_spectrum(H, top=3, bottom=3, max_products=60)
    assert (np.abs(whole.eigenvalues - true) <= whole.error_bounds).all()
    assert (np.abs(ends.eigenvalues - true[np.r_[:3, -3:0]])[ends.converged] <= ends.error_bounds[ends.converged]).all()
    without = exact_spectrum(Hessian(fine, F.cross_entropy, data), vectors=1)
    assert without.provenance["error_sources"]["arithmetic"] == 0
    assert 1e-9 < whole.provenance["error_sources"]["arithmetic"] < 1e-4
    assert "derivative" not in caplog.text
    assert whole.provenance["roundoff"] == 2**-24
    assert "roundoff" not in without.provenance


def test_coarse_arithmetic_takes_a_growing_share_of_a_matrix_that_fades_with_the_loss():
    """So it is estimated for each spectrum: that of an early checkpoint, or its ratio, would be too small later."""
    torch.manual_seed(0)
    inputs = torch.randn(200, 6).double()
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long() + (inputs[:, 2] > 0).long()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)

    def hessian(loss, first=None):
        return Hessian(model, loss, (inputs, targets), checks_of=first)

    def size(matrix):
        return float(torch.linalg.matrix_norm(matrix, 2))

    first = hessian(lambda o, t: F.cross_entropy(o.float(), t))
    early, early_size = first.arithmetic_error(), size(first.to_dense())
    for _ in range(1500):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    last, true = hessian(first.loss, first), hessian(F.cross_entropy).to_dense()
    error = size(last.to_dense() - true)
    assert early / early_size * size(true) < error <= last.arithmetic_error()


# ── what is promised beside the number ───────────────────────────────────────────────────────────────────────────────


def test_nothing_that_the_user_does_later_reaches_the_operator():
    model = mlp()
    loss = lambda o, t: F.cross_entropy(o, t) + 0.05 * sum(p.square().sum() for p in model.parameters())  # noqa: E731
    handle = model[1].register_forward_hook(lambda module, args, output: 0.3 * output)
    H = Hessian(model, loss, points())
    before = H.to_dense()
    handle.remove()
    model.train()
    model[0].register_forward_hook(lambda module, args, output: output**2)
    everywhere = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    model[2] = nn.Linear(4, 3).double()
    model[1].forward = torch.sin
    nn.utils.parametrizations.weight_norm(model[0])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert torch.equal(H.to_dense(), before)
    everywhere.remove()


@pytest.mark.parametrize(
    "make",
    [
        inputs.forward_through_lambdas,
        inputs.kept_activations,
        inputs.old_spectral_norm,
        inputs.an_own_deepcopy_that_refuses,
        inputs.a_lock,
    ],
    ids=lambda make: make.__name__,
)
def test_the_users_model_is_left_as_it_was(make):
    case = make()
    case.model.train()
    before = {name: dict(vars(module)) for name, module in case.model.named_modules()}
    state = {name: tensor.clone() for name, tensor in case.model.state_dict().items()}
    H = Hessian(case.model, case.loss, case.data)
    H.matvec(torch.ones(H.shape[0], dtype=torch.float64))
    for name, module in case.model.named_modules():
        assert vars(module).keys() == before[name].keys()
        assert all(vars(module)[key] is value for key, value in before[name].items())
    assert all(torch.equal(case.model.state_dict()[name], tensor) for name, tensor in state.items())


def test_a_copy_is_made_once_where_the_type_is_right(monkeypatch):
    copied = []
    original = torch.nn.Parameter.__new__
    monkeypatch.setattr(nn.Parameter, "__new__", lambda *args, **kw: copied.append(1) or original(*args, **kw))
    model = mlp()
    count = len(copied)
    Hessian(model, F.cross_entropy, points())
    assert len(copied) - count <= len(list(model.parameters()))


def test_the_checks_take_few_gradients(monkeypatch):
    """Counted in samples: six of a batch for the mean, four and a product for the derivatives on at most 256."""
    model, data = nn.Linear(3, 3).double(), points(2000)
    gradients, products = [], []
    gradient, product = Risk.gradient_of_batch, Hessian.product_of_batch
    monkeypatch.setattr(Risk, "gradient_of_batch",
                        lambda self, batch: gradients.append(len(batch[1])) or gradient(self, batch))  # fmt: skip
    monkeypatch.setattr(Hessian, "product_of_batch",
                        lambda self, batch, *rest, **options: products.append(len(batch[1]))
                        or product(self, batch, *rest, **options))  # fmt: skip
    first = Hessian(model, F.cross_entropy, data, batch_size=500)
    assert sum(gradients) <= 6 * 500 + 4 * 256
    assert sum(products) <= 256
    gradients.clear()
    products.clear()
    Hessian(model, F.cross_entropy, data, batch_size=500, checks_of=first)
    assert not gradients
    assert not products


def test_samples_of_different_shapes_are_not_compared_and_it_is_said(caplog):
    batches = [(torch.randn(4, length, 3).double(), torch.randint(3, (4,))) for length in (5, 7)]
    model = nn.Sequential(nn.Linear(3, 3)).double()
    loss = lambda o, t: F.cross_entropy(o.mean(1), t)  # noqa: E731
    Hessian(model, loss, batches)
    assert "could not be checked on parts of batches: batches differ in the shapes of their samples" in caplog.text


def test_a_dense_prediction_is_planned_from_shapes(monkeypatch):
    """Its second derivative at the output alone would take gigabytes."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1))
    data = torch.randn(2, 1, 96, 96), torch.randint(3, (2, 96, 96))
    monkeypatch.setattr("hessian_dendrogram.operators.layerwise.assembly.Accumulator", None)
    plan = Hessian(model, F.cross_entropy, data).plan
    assert plan.method == "products"
    assert "one sample takes 2.9 GiB" in plan.reason


@pytest.mark.parametrize("n", [64, 128, 300])
@pytest.mark.parametrize("count", [1, 5, 50])
def test_repeated_eigenvalues_have_their_vectors(n, count):
    v = np.random.default_rng(n + count).normal(size=n)
    A = np.eye(n) + np.outer(v, v) / (v @ v)
    wanted = np.unique(np.r_[0 : min(count, n), max(n - count, 0) : n])
    values, vectors = symmetric_eigenpairs(A, wanted)
    assert values == pytest.approx(np.r_[np.ones(n - 1), 2], abs=1e-12)
    assert np.abs(vectors.T @ vectors - np.eye(len(wanted))).max() < 1e-10
    assert np.abs(A @ vectors - vectors * values[wanted]).max() < 1e-12


def test_containers_of_a_model_are_kept_apart():
    torch.manual_seed(0)
    model = inputs.Caches().double()
    H = Hessian(model, F.cross_entropy, points())
    before = H.to_dense()
    model.settings["scale"] = 4.0
    assert torch.equal(H.to_dense(), before)
    assert model.cache == {}
    for _ in range(2):  # what the operator computed would be freed after the first
        model.cache.clear()
        F.cross_entropy(model(points()[0]), points()[1]).backward()


def test_a_kernel_without_a_derivative_in_single_precision():
    torch.manual_seed(0)
    model, (x, y) = inputs.Recurrent(), points()
    H = Hessian(model, F.cross_entropy, (x.float(), y))
    expected = Hessian(model, F.cross_entropy, (x.float(), y), dtype=torch.float64).to_dense()
    assert (H.to_dense() - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize("method", ["forward-over-reverse", "double-backward"])
def test_modes_around_a_product_do_not_matter(method):
    model, (x, y) = mlp().float(), points()
    H = Hessian(model, F.cross_entropy, (x.float(), y), method=method)
    v = torch.ones(H.shape[0])
    expected = H @ v
    with torch.inference_mode():
        assert torch.allclose(H @ v, expected)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert torch.equal(H @ v, expected)
    with torch.nn.utils.parametrize.cached():
        assert torch.equal(H @ v, expected)
    assert torch.equal(H @ v, expected)


def test_a_hessian_is_not_copied():
    H = Hessian(mlp(), F.cross_entropy, points())
    for attempt in (copy.deepcopy, pickle.dumps):
        with pytest.raises(UserError, match="neither pickled nor copied"):
            attempt(H)


def test_sparse_gradients():
    data = torch.randint(5, (9, 2)), torch.randint(3, (9,))
    matrices = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(5, 3, sparse=sparse), nn.Flatten(), nn.Linear(6, 3)).double()
        matrices.append(Hessian(model, F.cross_entropy, data).to_dense())
    assert torch.allclose(*matrices, atol=1e-14)


class OffByATenth(torch.autograd.Function):
    """The identity, with a second derivative of the loss that is a tenth too large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope + 0.1 * (slope - slope.detach())


def sure(wrong=False):
    """A network that is sure of its answers, to 1e-8 or so, and samples: slopes p - 1 have few digits."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 8)).double()
    x = torch.randn(40, 6, dtype=torch.float64)
    with torch.no_grad():
        targets = network(x).argmax(dim=1)
        margins = network(x).topk(2, dim=1).values
        network[2].weight *= 18 / float((margins[:, 0] - margins[:, 1]).median())
        network[2].bias *= 18 / float((margins[:, 0] - margins[:, 1]).median())

    def loss(z, y):
        return F.cross_entropy(OffByATenth.apply(z) if wrong else z, y)

    return network, loss, (x, targets)


def test_a_network_that_is_sure_of_a_sample_is_not_refused():
    """Gradients there have the rounding of numbers of size 1, so differences agree to fewer digits."""
    network, loss, (x, y) = sure()
    gaps = []
    for one in zip(x[:, None], y[:, None], strict=True):
        p = network(one[0])[0].detach().softmax(0)
        others = p.clone()
        others[one[1]] = 0
        gaps.append(float(others.sum()))  # 1 - p of the answer
        if gaps[-1] < 1e-10:
            continue
        H = Hessian(network, loss, one)
        A = torch.diag(p) - torch.outer(p, p)
        A[one[1], one[1]] = p[one[1]] * others.sum()  # without the cancellation in 1 - p
        at = H.layout.group({"bias": ["2.bias"]})["bias"]
        v = torch.zeros(H.shape[0], 8, dtype=torch.float64)
        v[at, range(8)] = 1.0
        torch.testing.assert_close((H @ v)[at], A, rtol=1e-5, atol=1e-5 * gaps[-1])
    assert sum(1e-10 < gap < 1e-5 for gap in gaps) > 10


def test_what_rounding_has_taken_of_all_samples_is_refused_and_of_some_is_not():
    network, loss, (x, y) = sure()
    p = network(x).detach().softmax(1)
    gaps = 1 - p.amax(1)
    lost = (gaps > 0) & (gaps < 1e-13)
    with torch.no_grad():
        while not lost.any():
            network[2].weight *= 1.1
            network[2].bias *= 1.1
            gaps = 1 - network(x).softmax(1).amax(1)
            lost = (gaps > 0) & (gaps < 1e-13)
    with pytest.raises(UserError, match="lost in rounding"):
        Hessian(network, loss, (x[lost], y[lost]))
    Hessian(network, loss, (x, y))


def test_a_wrong_derivative_of_a_network_that_is_sure_is_refused():
    network, loss, data = sure(wrong=True)
    with pytest.raises(UserError, match="finite differences"):
        Hessian(network, loss, data)
