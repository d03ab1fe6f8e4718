"""Effects J V: against Jacobians that are taken in another way, and inputs that would make them lie."""

import pytest
import torch
from torch import nn

from cases import CASES
from hessian_dendrogram import effects
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.models import samples


def jacobian(model, inputs, names):
    """∂outputs/∂θ by plain backward passes, one output after another, in float64: shape (samples, outputs, n)."""
    model = model.double().eval()
    outputs = samples.call(model, samples.map_inputs(lambda x: x.double() if x.is_floating_point() else x, inputs))
    tensors = [dict(model.named_parameters())[name] for name in names]
    rows = [torch.autograd.grad(z, tensors, retain_graph=True, materialize_grads=True) for z in outputs.flatten()]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).view(*outputs.shape, -1)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equal_to_the_jacobian_of_every_case(case):
    torch.manual_seed(0)
    model, _, data = case.build()
    inputs = data[0][0] if isinstance(data, list) else data[0]
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    n = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    V = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = effects(model, inputs, V)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    expected = torch.einsum("bon,nm->mbo", jacobian(model, inputs, names), V)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_blocks_of_vectors_and_of_samples_change_nothing():
    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), torch.randn(23, 4)
    V = torch.randn(51, 19, dtype=torch.float64)
    whole = effects(model, inputs, V)
    assert whole.shape == (19, 23, 3)
    torch.testing.assert_close(effects(model, inputs, V, batch_size=5), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(effects(model, inputs, V[:, 7])[0], whole[7], rtol=1e-12, atol=1e-12)


class Output(dict):
    """As those of transformers: a dictionary whose entries are attributes, too."""

    __getattr__ = dict.__getitem__


class Several(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(3, 2)

    def forward(self, x):
        logits = self.linear(x)
        given = {"logits": logits, "hidden": logits.tanh()}
        return {
            "mapping": given,
            "object": Output(given),
            "tuple": (logits, logits.tanh()),
            "one": [logits, torch.arange(len(x))],
        }[self.kind]


@pytest.mark.parametrize("kind", ["mapping", "object", "one"])
def test_the_logits_among_several_outputs_are_meant(kind):
    model, inputs, V = Several(kind), torch.randn(5, 3), torch.eye(8, dtype=torch.float64)
    torch.testing.assert_close(effects(model, inputs, V), effects(model.linear, inputs, V))


def test_of_several_nameless_outputs_none_is_taken():
    model, inputs, V = Several("tuple"), torch.randn(5, 3), torch.eye(8, dtype=torch.float64)
    with pytest.raises(UserError, match="have 2 floating-point tensors"):
        effects(model, inputs, V)
    chosen = effects(model, inputs, V, outputs=lambda given: given[0])
    torch.testing.assert_close(chosen, effects(model.linear, inputs, V))


class Wild(nn.Module):
    """What an evaluation must not do."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.linear = kind, nn.Linear(3, 2)

    def forward(self, x):
        x = nn.functional.dropout(x) if self.kind == "random" else x  # whatever the mode
        z = self.linear(x)
        if self.kind == "coupled":
            return z - z.mean(0)
        return z.sum() if self.kind == "scalar" else z.int() if self.kind == "whole" else z


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("random", "not deterministic"),
        ("coupled", "depend on the samples beside it"),
        ("scalar", "5 samples along the first axis"),
        ("whole", "real floating-point"),
    ],
)
def test_outputs_that_have_no_effects(kind, message):
    with pytest.raises(UserError, match=message):
        effects(Wild(kind), torch.randn(5, 3), torch.zeros(8))


@pytest.mark.parametrize(
    ("V", "message"),
    [(torch.zeros(7), r"shape \(8, m\)"), (torch.full((8,), torch.nan), "finite"), (torch.zeros(8, 2, 2), "shape")],
)
def test_directions_that_do_not_fit(V, message):
    with pytest.raises(UserError, match=message):
        effects(nn.Linear(3, 2), torch.randn(5, 3), V)


def test_no_samples_have_no_effects():
    with pytest.raises(UserError, match="no samples"):
        effects(nn.Linear(3, 2), torch.randn(0, 3), torch.zeros(8))


def test_one_number_for_each_sample_is_one_output():
    model = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    assert effects(model, torch.randn(5, 3), torch.ones(4)).shape == (1, 5, 1)


def test_parameters_can_be_chosen():
    torch.manual_seed(0)
    model, inputs = nn.Linear(3, 2), torch.randn(5, 3)
    found = effects(model, inputs, torch.eye(2), parameters=["bias"])
    assert torch.equal(found, torch.eye(2, dtype=torch.float64)[:, None].expand(2, 5, 2))
