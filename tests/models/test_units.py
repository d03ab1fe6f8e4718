"""Groups of neurons, channels and rows; balanced networks compute the same, and have no scale of their own."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from hessian_dendrogram import (
    GaussNewton,
    Hessian,
    Layout,
    balanced,
    embedding_rows_as_groups,
    group_couplings,
    units_as_groups,
)
from hessian_dendrogram.errors import UserError


def layout_of(model):
    named = dict(model.named_parameters())
    return Layout(tuple(named), tuple(tuple(tensor.shape) for tensor in named.values()))


def marked(model, groups):
    """For each group the entries of each tensor that it has."""
    layout, found = layout_of(model), {}
    for name, at in layout.group(groups).items():
        flat = np.zeros(layout.size)
        flat[at] = 1
        found[name] = {
            one: flat[layout.slice(one)].reshape(shape) for one, shape in zip(layout.names, layout.shapes, strict=True)
        }
    return found


def cut_off(model, groups, name):
    """The model with the entries of one group at zero."""
    other = copy.deepcopy(model)
    entries = marked(model, groups)[name]
    with torch.no_grad():
        for tensor, tensor_name in zip(other.parameters(), entries, strict=True):
            tensor[torch.from_numpy(entries[tensor_name]) > 0] = 0
    return other


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2, bias=False), nn.LeakyReLU(0.1),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, 3),
    ).double()  # fmt: skip


@pytest.mark.parametrize(("layer", "reader"), [("0", "3"), ("3", "7"), ("7", "9")])
def test_a_unit_is_cut_off_by_its_outgoing_weights(layer, reader):
    # Without its parameters a unit gives 0: the next layer sees the same as with its outgoing weights at zero alone.
    model, x = convolutions(), torch.randn(6, 1, 12, 12).double()
    groups, ingoing = units_as_groups(model, layer, reader), units_as_groups(model, layer)
    count = model.get_submodule(layer).weight.shape[0]
    assert len(groups) == len(ingoing) == count
    assert layout_of(model).grouped(groups).parts[:count] == tuple(groups)
    kind = "neuron" if layer == "7" else "channel"
    moves = []
    for unit in range(count):
        name = f"{kind} {layer}.{unit}"
        assert len(layout_of(model).group(ingoing)[name]) < len(layout_of(model).group(groups)[name])
        without = cut_off(model, groups, name)(x)
        torch.testing.assert_close(cut_off(model, ingoing, name)(x), without)
        only_outgoing = {name: [part for part in groups[name] if part[0].startswith(f"{reader}.")]}
        torch.testing.assert_close(cut_off(model, only_outgoing, name)(x), without)
        moves.append(float((model(x) - without).detach().abs().max()))
    assert max(moves) > 1e-3  # one that is off for all samples moves nothing


class Conv1D(nn.Module):
    """As GPT-2 has it: the weight is (inputs, outputs)."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.zeros(outputs))


def test_units_of_transposed_layers_and_frozen_parameters():
    model = nn.ModuleDict({"into": Conv1D(4, 2), "out": Conv1D(3, 4)})
    model["into"].bias.requires_grad_(False)
    groups = units_as_groups(model, "into", "out")
    found = marked(model, groups)["neuron into.1"]
    assert found["into.weight"].tolist() == [[0, 1, 0, 0]] * 2
    assert found["out.weight"].sum(axis=1).tolist() == [0, 3, 0, 0]
    assert found["into.bias"].sum() == 0
    model.requires_grad_(False)
    with pytest.raises(UserError, match="all parameters of layer 'into' are frozen"):
        units_as_groups(model, "into", "out")


def test_rows_of_an_embedding():
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False))
    model[1].weight = model[0].weight
    assert marked(model, embedding_rows_as_groups(model, "0"))["row 0.2"]["0.weight"].sum(axis=1).tolist() == [
        0,
        0,
        3,
        0,
    ]
    with pytest.raises(UserError, match=r"must be an nn\.Embedding, got Linear"):
        embedding_rows_as_groups(model, "1")
    model.requires_grad_(False)
    with pytest.raises(UserError, match="the embedding '0' is frozen"):
        embedding_rows_as_groups(model, "0")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("5",), "there is no layer '5'; there are 0, 1, 2, 3"),
        (("1",), "layer '1' must be linear or a convolution with a weight, got ReLU"),
        (("0", "3"), "'3' does not read '0': it has 7 inputs, of 6 units"),
        (("2", "0"), "'0' does not read '2'"),
    ],
)
def test_layers_that_do_not_fit_are_refused_in_one_line(names, message):
    model = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Conv1d(6, 8, 3), nn.Linear(7, 2))
    with pytest.raises(UserError, match=message):
        units_as_groups(model, *names)


def test_a_convolution_in_groups_does_not_read_channel_by_channel():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Conv1d(4, 4, 3, groups=2))
    with pytest.raises(UserError, match="it is a convolution in 2 groups, and one group is needed"):
        units_as_groups(model, "0", "1")


# ── balanced ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rescaled(model, seed):
    """Another network with the same function: the units of all hidden layers rescaled by up to 30."""
    other = copy.deepcopy(model)
    layers = [one for one in other if hasattr(one, "weight")]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer, reader in pairwise(layers):
            count = layer.weight.shape[0]
            factors = torch.exp(3.4 * (2 * torch.rand(count, generator=generator, dtype=torch.float64) - 1))
            layer.weight *= factors.view(-1, *[1] * (layer.weight.ndim - 1))
            if layer.bias is not None:
                layer.bias *= factors
            each = reader.weight.shape[1] // count
            reader.weight /= factors.repeat_interleave(each).view(1, -1, *[1] * (reader.weight.ndim - 2))
    return other


def perceptron():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()


@pytest.mark.parametrize(("make", "shape"), [(convolutions, (8, 1, 12, 12)), (perceptron, (8, 4))])
def test_a_balanced_network_computes_the_same_and_is_that_of_every_rescaled_one(make, shape):
    model, x = make(), torch.randn(*shape, generator=torch.Generator().manual_seed(0)).double()
    before = [tensor.clone() for tensor in model.parameters()]
    even = balanced(model)
    assert all((a == b).all() for a, b in zip(before, model.parameters(), strict=True))
    assert torch.allclose(even(x), model(x), rtol=0, atol=1e-12 * float(model(x).detach().abs().max()))
    layers = [one for one in even if hasattr(one, "weight")]
    for layer, reader in pairwise(layers):
        count = layer.weight.shape[0]
        bias = 0 if layer.bias is None else layer.bias.square()
        ingoing = layer.weight.flatten(1).square().sum(1) + bias
        outgoing = reader.weight.flatten(2).square().sum(2) if reader.weight.ndim > 2 else reader.weight.square()
        torch.testing.assert_close(ingoing, outgoing.sum(0).view(count, -1).sum(1), rtol=1e-11, atol=0)
    for seed in range(3):
        other = rescaled(model, seed)
        assert torch.allclose(other(x), model(x), rtol=0, atol=1e-10)
        for one, two in zip(balanced(other).parameters(), even.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-13)


def test_which_couplings_the_scale_of_units_changes():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    x, labels = torch.randn(40, 4).double(), torch.randint(3, (40,))
    other = rescaled(model, 0)

    def apart(first, second, groups, *, normalised):
        found = []
        for one in (first, second):
            for make in (Hessian, GaussNewton):
                operator = make(one, nn.functional.cross_entropy, (x, labels))
                found.append(group_couplings(operator, groups).matrix(normalised=normalised))
        return max(np.abs(a - b).max() / a.max() for a, b in zip(found[:2], found[2:], strict=True))

    whole, ingoing = units_as_groups(model, "0", "2"), units_as_groups(model, "0")
    assert apart(model, other, ingoing, normalised=True) < 1e-9  # one factor for all of a group
    assert apart(model, other, ingoing, normalised=False) > 0.1
    assert apart(model, other, whole, normalised=True) > 0.1  # two factors, c and 1/c
    assert apart(model, other, whole, normalised=False) > 0.1
    for normalised in (False, True):
        assert apart(balanced(model), balanced(other), whole, normalised=normalised) < 1e-9


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Linear(2, 3)], "needs an nn.Sequential with a hidden layer, got Sequential"),
        ([nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)], "units of a Linear cannot be rescaled across a Tanh"),
        ([nn.Linear(2, 3), nn.MaxPool1d(1), nn.Linear(3, 2)], "cannot be rescaled across a MaxPool1d"),
        ([nn.Conv2d(1, 2, 3), nn.MaxPool3d(1), nn.Conv2d(2, 2, 3)], "cannot be rescaled across a MaxPool3d"),
        ([nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.Conv1d(3, 2, 1)], "across a BatchNorm1d"),
        ([nn.Conv1d(2, 3, 1), nn.ReLU(), nn.Linear(3, 2)], "needs an nn.Flatten between them"),
        (
            [nn.Linear(2, 3), nn.ReLU(), nn.Conv1d(3, 2, 1)],
            "a convolution cannot be balanced that reads a linear layer",
        ),
        ([nn.Linear(2, 3), nn.ReLU(), nn.Linear(4, 2)], "layer 2 does not read layer 1: it has 4 inputs, of 3 units"),
    ],
)
def test_networks_that_cannot_be_balanced_are_refused_in_one_line(layers, message):
    with pytest.raises(UserError, match=message):
        balanced(nn.Sequential(*layers))


def test_units_without_weights_and_shared_weights_are_refused():
    model = perceptron()
    with torch.no_grad():
        model[4].weight[:, 2] = 0
    with pytest.raises(UserError, match="a unit of hidden layer 2 has no ingoing or no outgoing weights"):
        balanced(model)
    shared = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    shared[2].weight = shared[0].weight
    with pytest.raises(UserError, match="layers that share their weights"):
        balanced(shared)
    with pytest.raises(UserError, match="got Linear"):
        balanced(nn.Linear(2, 2))


def test_a_tail_after_the_last_layer_and_chains_of_chains_are_fine():
    torch.manual_seed(3)
    body = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.1))
    model = nn.Sequential(body, nn.Linear(6, 3), nn.LogSoftmax(dim=1)).double().eval()
    x = torch.randn(5, 4).double()
    torch.testing.assert_close(balanced(model)(x), model(x), rtol=1e-12, atol=1e-12)
