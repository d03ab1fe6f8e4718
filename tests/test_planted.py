"""The planted network: blocks that are exact at zero coupling, and found there by the defaults."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from hessian_dendrogram import Hessian, coupling_graph, experiment_run, recursive_bipartition
from hessian_dendrogram.experiments.planted import loss, planted


def hessian(hidden, coupling):
    experiment = planted("planted", hidden=hidden, coupling=coupling)
    model = experiment_run.new_model(experiment)
    (inputs, targets), _ = experiment.data(None)
    H = Hessian(model, experiment.loss, (inputs[:50], targets[:50]), dtype=torch.float64)
    blocks = np.array([int(name.split(".")[1]) for name in H.layout.names])[H.layout.owners()]
    return H.to_dense().numpy(), blocks


@pytest.mark.parametrize("hidden", [[4] * 2, [4] * 8, [2, 5, 9]])
def test_without_coupling_the_blocks_are_exact_and_found(hidden):
    H, blocks = hessian(hidden, 0.0)
    assert not H[blocks[:, None] != blocks].any()
    tree = recursive_bipartition(coupling_graph(H))
    assert adjusted_rand_score(blocks, tree.labels(len(hidden))) == 1
    assert tree.connectivities[0] == 0


def test_coupling_links_the_blocks_weakly():
    H, blocks = hessian([6, 6], 1e-3)
    between = np.abs(H[blocks[:, None] != blocks])
    assert 0 < between.max() < 1e-2 * np.abs(H).max()
    tree = recursive_bipartition(coupling_graph(H))
    assert adjusted_rand_score(blocks, tree.labels(2)) == 1
    assert tree.connectivities[0] > 0


def test_outputs_are_mixed_by_the_dial():
    model = planted("planted", hidden=[3, 3, 3], coupling=0.25).model()
    inputs = torch.randn(7, 9)
    mixed = model(inputs)
    model.coupling = 0.0
    own = model(inputs)
    others = own.sum(dim=1, keepdim=True) - own
    torch.testing.assert_close(mixed, own + 0.25 * others)
    torch.testing.assert_close(loss(own, mixed), torch.stack([((own - mixed)[i] ** 2).sum() for i in range(7)]).mean())
