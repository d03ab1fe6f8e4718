"""The samples that directions change most: by a loop over them, in batches, of blocks, and where there are few."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from hessian_dendrogram import GaussNewton, LeadingDirections, MatrixOperator, effects, exact_spectrum
from hessian_dendrogram.results.changed_samples import MOST_CHANGED


def taken(operator, readout="output", top=3):
    solver = LeadingDirections(readout=readout, top=top, exact=True, rotations=9, gaussian=5).of_task("mine", {})
    return solver.solve(operator, seed=0, progress=False)


def network(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, outputs)).double()


def data(count=30, shape=(1, 2, 2)):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=generator).double(), torch.randint(3, (count,), generator=generator)


@pytest.mark.parametrize("batch_size", [7, 512])
@pytest.mark.parametrize("readout", ["output", "tensors"])
def test_they_are_those_of_a_loop_over_all_samples(batch_size, readout):
    model, (images, labels) = network(), data()
    G = GaussNewton(model, F.cross_entropy, (images, labels), batch_size=batch_size)
    found = taken(G, readout)
    V = torch.from_numpy(exact_spectrum(G, vectors=3).eigenvectors.copy()).flip(1)
    u = effects(model, images, V)
    for j in range(3):
        power = u[j].square().sum(1)
        order = power.argsort(descending=True)[:MOST_CHANGED]
        assert found.changed[j].tolist() == order.tolist()
        np.testing.assert_allclose(found.changes[j], (power[order] / power.sum()).numpy(), rtol=1e-8)
        sign = float(torch.sign((torch.from_numpy(found.effects_of(j)[0]) * u[j, order[0]]).sum()))
        np.testing.assert_allclose(sign * found.effects_of(j), u[j, order].numpy(), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(found.changed_labels[j], labels[order].numpy())
        np.testing.assert_array_equal(found.inputs_of(j), images[order].float().numpy())
    assert found.input_shape == [1, 2, 2]


def test_there_may_be_fewer_than_are_kept():
    found = taken(GaussNewton(network(), F.cross_entropy, data(count=2)))
    assert found.changed.shape == (3, 2)
    np.testing.assert_allclose(found.changes.sum(axis=1), 1)


def test_many_outputs_and_large_inputs_are_not_kept():
    model = nn.Sequential(nn.Linear(4, 200)).double()
    found = taken(GaussNewton(model, None, torch.randn(9, 4).double(), metric="identity"))
    assert found.changed_effects is None
    assert found.effects_of(0) is None
    assert found.changed_inputs.shape[1] == 4
    wide = nn.Sequential(nn.AdaptiveAvgPool1d(3), nn.Flatten(), nn.Linear(3, 2)).double()
    inputs = torch.randn(5, 1, 20_000, generator=torch.Generator().manual_seed(0)).double()
    found = taken(GaussNewton(wide, None, inputs, metric="identity"))
    assert found.changed_inputs is None
    assert found.inputs_of(0) is None


def test_a_block_of_the_parameters_changes_what_it_can():
    model, given = network(), data()
    whole = GaussNewton(model, F.cross_entropy, given)
    block = whole.restricted("3.*")
    found = taken(block)
    V = torch.zeros(whole.shape[0], 3, dtype=torch.float64)
    leading = torch.from_numpy(exact_spectrum(block, vectors=3).eigenvectors.copy()).flip(1)[:, :3]
    V[torch.from_numpy(block.indices)] = leading
    power = effects(model, given[0], V).square().sum(2)
    assert found.changed.tolist() == power.argsort(dim=1, descending=True)[:, :MOST_CHANGED].tolist()


def test_a_matrix_has_no_samples():
    found = taken(MatrixOperator(torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5]).double())), readout="tensors")
    assert found.changed is None
    assert found.changes is None
