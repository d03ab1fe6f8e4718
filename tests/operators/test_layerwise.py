"""Layerwise propagation against torch.func.hessian in float64, on random networks drawn from the layers it supports."""

from functools import partial

import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cases import CASES
from hessian_dendrogram import GaussNewton, Hessian
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.operators.layerwise.accumulator import Accumulator
from hessian_dendrogram.operators.layerwise.chain import NotAChainError, find_chain
from references import reference

ACTIVATIONS = [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Identity, lambda: nn.Dropout(0.5)]


@st.composite
def heads(draw, inputs):
    """Linear layers with activations, and perhaps batch normalisation, between them."""
    layers: list[nn.Module] = []
    for width in draw(st.lists(st.integers(1, 5), max_size=2)):
        layers.append(nn.Linear(inputs, width, bias=draw(st.booleans())))
        inputs = width
        if draw(st.integers(0, 3)) == 0:
            layers.append(nn.BatchNorm1d(width))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
    outputs = draw(st.integers(2, 4))
    return [*layers, nn.Linear(inputs, outputs, bias=draw(st.booleans()))], outputs


def output_shape(layers, shape):
    """The shape of what the layers make of an image; a draw whose kernels outgrow the image is given up."""
    try:
        return nn.Sequential(*layers).eval()(torch.zeros(2, *shape)).shape[1:]
    except RuntimeError:
        reject()


@st.composite
def bodies(draw):
    """Convolutions with activations, pooling and perhaps batch normalisation, on images of 9 x 8 pixels."""
    channels = draw(st.sampled_from([1, 2]))
    shape = (channels, 9, 8)
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 2))):
        width, groups = draw(st.sampled_from([2, 4])), draw(st.sampled_from([1, 2] if channels % 2 == 0 else [1]))
        layers.append(
            nn.Conv2d(
                channels,
                width,
                draw(st.sampled_from([1, 2, (2, 3)])),
                stride=draw(st.sampled_from([1, 2, (1, 2)])),
                padding=draw(st.sampled_from([0, 1, (1, 0)])),
                dilation=draw(st.sampled_from([1, (2, 1)])),
                groups=groups,
                bias=draw(st.booleans()),
            )
        )
        channels = width
        if draw(st.integers(0, 3)) == 0:
            layers.append(nn.BatchNorm2d(width))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
        pool = draw(st.sampled_from(["none", "max", "max padded", "average", "average padded"]))
        if pool != "none" and min(output_shape(layers, shape)[1:]) >= 2:
            padding = 1 if "padded" in pool else 0
            layers.append((nn.MaxPool2d if "max" in pool else nn.AvgPool2d)(2, padding=padding))
    if draw(st.integers(0, 4)) == 0:
        layers.append(nn.AdaptiveAvgPool2d(1))
    layers.append(nn.Flatten())
    return layers, shape, output_shape(layers, shape)[0]


@st.composite
def networks(draw):
    if draw(st.booleans()):
        layers, shape, features = draw(bodies())
    else:
        features = draw(st.integers(1, 4))
        layers, shape = [], (features,)
    head, outputs = draw(heads(features))
    layers = [*layers, *head]
    if draw(st.booleans()):  # nested
        middle = len(layers) // 2
        layers = [nn.Sequential(*layers[:middle]), nn.Sequential(*layers[middle:])] if middle else layers
    count = draw(st.integers(2, 7))
    loss = draw(st.sampled_from(["cross-entropy", "smoothed", "mse", "bce"]))
    torch.manual_seed(draw(st.integers(0, 1000)))
    inputs = torch.randn(count, *shape, dtype=torch.float64)
    if loss in ("cross-entropy", "smoothed"):
        targets = torch.randint(outputs, (count,))
        function = partial(F.cross_entropy, label_smoothing=0.1) if loss == "smoothed" else F.cross_entropy
    else:
        targets = torch.rand(count, outputs, dtype=torch.float64)
        function = F.mse_loss if loss == "mse" else F.binary_cross_entropy_with_logits
    return nn.Sequential(*layers), function, (inputs, targets)


def prepare(model):
    """Weights and statistics that are nowhere special."""
    model = model.double().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.7)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(networks())
def test_equal_to_autograd_on_random_networks(case):
    model, loss, data = case
    prepare(model)
    H = Hessian(model, loss, data)
    dense = H.to_dense(method="layerwise")
    expected = reference(model, loss, data, H.layout)
    # Where a network is sure, what rounding leaves of 1 - p is multiplied by squared derivatives of the outputs.
    squares = GaussNewton(model, None, data[0], metric="identity").to_dense(method="products").norm()
    assert (dense - expected).norm() <= 1e-12 * expected.norm() + 1e-15 * max(squares, 1)
    assert torch.equal(dense, dense.T)


def small(model, shape, outputs=3, loss=F.cross_entropy):
    torch.manual_seed(1)
    return Hessian(prepare(model), loss, (torch.randn(7, *shape).double(), torch.randint(outputs, (7,))))


class WrittenOut(nn.Module):
    """A forward in the usual style, with functions and a view."""

    def __init__(self, flatten):
        super().__init__()
        self.conv, self.hidden, self.out = nn.Conv2d(1, 3, 3), nn.Linear(12, 5), nn.Linear(5, 3)
        self.dropout, self.flatten = nn.Dropout(), flatten

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = self.flatten(x)
        x = F.dropout(torch.tanh(self.hidden(x)), 0.3, training=self.training)
        return self.out(self.dropout(x))


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.view(x.size(0), -1),
        lambda x: x.view(-1, 12),
        lambda x: torch.flatten(x, 1),
        lambda x: x.flatten(1),
        lambda x: x.flatten(start_dim=1),
        lambda x: x.reshape(x.size(0), -1),
    ],
)
def test_a_forward_with_functions_is_traced(flatten):
    H = small(WrittenOut(flatten), (1, 6, 6))
    assert H.plan.method == "layerwise", H.plan.reason
    expected = H.to_dense(method="products")
    assert H.to_dense().numpy() == pytest.approx(expected.numpy(), abs=1e-13)
    assert H.describe()["assembled_by"] == "layerwise"


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)

    def forward(self, x):
        return x + self.first(x)


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)

    def forward(self, x):
        return self.first(x) if x.sum() > 0 else self.first(-x)


class Transposing(nn.Module):
    """A view that is no flattening: seen when the chain is compared with the module."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(2, 3)

    def forward(self, x):
        return self.out(x.view(-1, 2))[:7]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)

    def forward(self, x):
        return self.first(torch.tanh(self.first(x)))


@pytest.mark.parametrize(
    ("model", "shape", "reason"),
    [
        (Residual(), (3,), "no plain chain at 'add'"),
        (Branching(), (3,), "cannot be traced"),
        (Twice(), (3,), "a parameter is used by two layers"),
        (nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)), (3,), "LayerNorm has no rule"),
        (nn.Sequential(nn.Linear(3, 3), nn.Softmax(1)), (3,), "Softmax has no rule"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding="same"), nn.Flatten()), (1, 2, 2), "Conv2d has no rule"),
    ],
)
def test_whatever_has_no_rule_takes_products(model, shape, reason):
    H = small(model, shape)
    assert H.plan.method == "products"
    assert reason in H.plan.reason
    with pytest.raises(UserError, match="cannot be assembled layerwise"):
        H.to_dense(method="layerwise")
    dense = H.to_dense()
    assert dense.numpy() == pytest.approx(reference(model, H.loss, H.risk.data.source, H.layout).numpy(), abs=1e-12)
    assert H.describe()["assembled_by"] == "products"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_chosen_way_agrees_with_products_on_every_case(case):
    torch.manual_seed(0)
    H = Hessian(*case.build(), dtype=torch.float64)
    expected = H.to_dense(method="products")
    assert (H.to_dense() - expected).norm() <= 1e-12 * expected.norm()
    if H.plan.chain:
        assert (H.to_dense(method="layerwise") - expected).norm() <= 1e-12 * expected.norm()


def test_a_subset_of_the_parameters():
    layers = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 3))
    data = torch.randn(7, 3).double(), torch.randint(3, (7,))
    for chosen in (["0.*"], ["2.weight"], ["2.bias", "4.*"], ["0.bias", "2.*"], ["4.weight"]):
        H = Hessian(prepare(layers), F.cross_entropy, data, parameters=chosen)
        expected = H.to_dense(method="products").numpy()
        assert H.to_dense(method="layerwise").numpy() == pytest.approx(expected, abs=1e-13), chosen


def test_chunks_of_any_size_give_the_same_matrix():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    H = small(model, (1, 6, 6))
    whole = H.to_dense(method="layerwise")
    for budget in (1, 5000, 50000):
        assert H.to_dense(method="layerwise", memory_budget=budget).numpy() == pytest.approx(whole.numpy(), abs=1e-14)


def test_the_way_is_chosen_by_counted_operations():
    convolutional = small(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 3)), (1, 12, 12)
    )
    assert convolutional.plan.method == "layerwise"
    assert convolutional.plan.operations["layerwise"] * 10 < convolutional.plan.operations["products"]
    smooth = small(nn.Sequential(nn.Linear(40, 30), nn.Tanh(), nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 3)), (40,))
    counted = smooth.plan.operations
    assert smooth.plan.method == min(counted, key=counted.get)
    assert smooth.with_dtype(torch.float32).plan.operations == counted
    deep = small(nn.Sequential(*[layer for _ in range(14) for layer in (nn.Linear(12, 12), nn.Tanh())]), (12,))
    for dtype in (torch.float32, torch.float64):
        plan = deep.with_dtype(dtype).plan
        assert plan.method == "products"
        assert plan.operations["products"] < plan.operations["layerwise"] / 3


@pytest.mark.parametrize("inner", [3, 6])
def test_a_frozen_layer_at_the_end(inner):
    """Its output is no compact group of its own parameters: columns of the layer before, dense, come to the loss."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, inner), nn.Flatten())
    model[1].requires_grad_(False)
    H = small(model, (2, 6, 6))
    assert H.plan.chain is not None
    expected = H.to_dense(method="products").numpy()
    assert H.to_dense(method="layerwise").numpy() == pytest.approx(expected, abs=1e-13)


def test_a_convolution_without_bias_before_pooling():
    model = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 3))
    H = small(model, (1, 6, 6))
    expected = H.to_dense(method="products").numpy()
    assert H.to_dense(method="layerwise").numpy() == pytest.approx(expected, abs=1e-13)


def test_weights_and_ragged_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    inputs, targets = torch.randn(10, 4).double(), torch.tensor([0, 1, -100, 2, -100, -100, 1, 0, -100, -100])
    batches = [(inputs[:4], targets[:4]), (inputs[4:8], targets[4:8]), (inputs[8:], targets[8:])]
    H = Hessian(model, F.cross_entropy, batches, weight=lambda targets: (targets >= 0).sum())
    kept = targets >= 0
    expected = Hessian(model, F.cross_entropy, (inputs[kept], targets[kept])).to_dense(method="products")
    for budget in (1, 2**20):
        dense = H.to_dense(method="layerwise", memory_budget=budget)
        assert dense.numpy() == pytest.approx(expected.numpy(), abs=1e-14)


def test_a_missing_rule_names_the_layer():
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    H = Hessian(model, F.mse_loss, (torch.randn(4, 3), torch.randn(4, 3)))
    with pytest.raises(NotAChainError, match="LayerNorm has no rule"):
        find_chain(H.model, H.layout)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 5)), (20,)),
        (
            nn.Sequential(
                nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(96, 10)
            ),
            (1, 16, 16),
        ),
        (
            nn.Sequential(
                nn.Conv2d(2, 4, 3, groups=2),
                nn.BatchNorm2d(4),
                nn.GELU(),
                nn.AvgPool2d(2),
                nn.Flatten(),
                nn.Linear(36, 4),
            ),
            (2, 8, 8),
        ),
    ],
    ids=["mlp", "convolutions", "groups"],
)
def test_operations_from_shapes_are_those_that_are_done(model, shape):
    """Counted by torch around one pass through the layers, which takes no forward-mode derivative."""
    data = torch.randn(4, *shape), torch.randint(4, (4,))
    H = Hessian(model, F.cross_entropy, data)
    chain = H.plan.chain
    accumulator = Accumulator(H.shape[0], H.device)
    with H.risk.session(), FlopCounterMode(display=False) as counter:
        chain.propagate(data[0], lambda output: H.risk.output_loss(output, data[1]), accumulator)
        accumulator.finish(chain.indices)
    assert 0.7 < 4 * H.plan.operations["layerwise"] / counter.get_total_flops() < 1.4
