"""Operators beside those of curvlinops, where it is installed (benchmarks/requirements.txt)."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hessian_dendrogram import EmpiricalFisher, Fisher, GaussNewton, Hessian

pytestmark = pytest.mark.slow

CASES = {
    "classes": (nn.CrossEntropyLoss(), F.cross_entropy, lambda count: torch.randint(3, (count,))),
    "squares": (nn.MSELoss(), F.mse_loss, lambda count: torch.randn(count, 3, dtype=torch.float64)),
}


def case(name):
    torch.manual_seed(0)
    theirs, ours, targets = CASES[name]
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    inputs, wanted = torch.randn(11, 4, dtype=torch.float64), targets(11)
    batches = [(inputs[:5], wanted[:5]), (inputs[5:], wanted[5:])]
    return model, theirs, ours, (inputs, wanted), batches


def dense(operator):
    eye = torch.eye(operator.shape[1], dtype=torch.float64)
    return torch.as_tensor(operator @ eye).numpy()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    ("kind", "peer"),
    [
        (Hessian, "HessianLinearOperator"),
        (GaussNewton, "GGNLinearOperator"),
        (Fisher, "GGNLinearOperator"),
        (EmpiricalFisher, "EFLinearOperator"),
    ],
)
def test_the_same_matrix_as_curvlinops(name, kind, peer):
    curvlinops = pytest.importorskip("curvlinops")
    model, theirs, ours, data, batches = case(name)
    expected = dense(getattr(curvlinops, peer)(model, theirs, list(model.parameters()), batches))
    if kind is EmpiricalFisher and name == "squares":  # a sample's loss is there a sum over its 3 outputs, over 3 N
        expected /= 3
    found = kind(model, ours, data).to_dense().numpy()
    assert np.abs(found - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_draws_come_near_the_same_matrix(name):
    curvlinops = pytest.importorskip("curvlinops")
    model, theirs, ours, data, batches = case(name)
    sampled = dense(
        curvlinops.FisherMCLinearOperator(model, theirs, list(model.parameters()), batches, mc_samples=3000)
    )
    expected = Fisher(model, ours, data).to_dense().numpy()
    family = {"classes": "categorical", "squares": "gaussian"}[name]
    scale = {"classes": 1.0, "squares": 2 / 3}[name]  # of a mean over three outputs
    drawn = scale * Fisher(model, ours, data, distribution=family, draws=3000).to_dense().numpy()
    for found in (sampled, drawn):
        assert np.linalg.norm(found - expected) <= 0.05 * np.linalg.norm(expected)
