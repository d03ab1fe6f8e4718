"""The number of clusters by rule: that of planted blocks, one of noise without blocks, and what is refused."""

import numpy as np
import pytest

from hessian_dendrogram import number_of_clusters, recursive_bipartition
from hessian_dendrogram.errors import UserError

RULES = ["eigengap", "conductance"]


def blocks(sizes, coupling, seed=0):
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    W = random.random((len(truth), len(truth))) * np.where(truth[:, None] == truth, 1.0, coupling)
    W = np.triu(W, 1)
    return W + W.T


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("split", ["sweep", "sign"])
@pytest.mark.parametrize("sizes", [[20, 20, 20], [30, 20, 10, 15, 12], [25, 25]])
@pytest.mark.parametrize("coupling", [0.0, 0.02])
def test_planted_blocks_are_counted(rule, split, sizes, coupling):
    W = blocks(sizes, coupling)
    tree = recursive_bipartition(W, split=split, min_size=1)
    assert number_of_clusters(W, tree, rule=rule) == len(sizes)


@pytest.mark.parametrize("rule", RULES)
def test_noise_without_blocks_is_one_cluster(rule):
    for seed in range(5):
        W = blocks([60], 0.0, seed)
        assert number_of_clusters(W, recursive_bipartition(W, min_size=1), rule=rule) == 1


@pytest.mark.parametrize("rule", RULES)
def test_isolated_vertices_and_scale_change_nothing(rule):
    W = blocks([20, 20, 20], 0.02)
    larger = np.zeros((65, 65))
    larger[2:62, 2:62] = 1e-200 * W
    assert number_of_clusters(larger, recursive_bipartition(larger, min_size=1), rule=rule) == 3


@pytest.mark.parametrize("rule", RULES)
def test_two_or_more_where_there_are_parts_at_all(rule):
    W = blocks([20, 20, 20], 0.7)
    tree = recursive_bipartition(W, min_size=1)
    assert number_of_clusters(W, tree, rule=rule) == 1
    assert number_of_clusters(W, tree, rule=rule, least=2) >= 2
    pair = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert number_of_clusters(pair, recursive_bipartition(pair, min_size=1), rule=rule, least=7) <= 2


def test_eigengap_agrees_with_all_eigenvalues():
    W = blocks([12, 9, 14], 0.05, 3)
    degrees = W.sum(axis=1)
    eigenvalues = np.linalg.eigvalsh(np.eye(len(W)) - W / np.sqrt(np.outer(degrees, degrees)))
    expected = 1 + int(np.diff(eigenvalues)[:20].argmax())
    assert number_of_clusters(W, recursive_bipartition(W), rule="eigengap") == expected == 3


def test_no_more_than_the_most():
    W = blocks([10] * 6, 0.0)
    tree = recursive_bipartition(W, min_size=1)
    assert number_of_clusters(W, tree, rule="eigengap", most=3) <= 3
    W = blocks([10] * 6, 0.01)
    assert number_of_clusters(W, recursive_bipartition(W, min_size=1), rule="conductance", most=4) <= 4
    pair = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert {number_of_clusters(pair, recursive_bipartition(pair), rule=rule) for rule in RULES} <= {1, 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "elbow"}, "rule must be"),
        ({"most": 0}, "1 <= least <= most"),
        ({"least": 3, "most": 2}, "got 3 and 2"),
        ({"most": True}, "got 1 and True"),
    ],
)
def test_what_is_no_rule_is_refused(options, message):
    W = blocks([5, 5], 0.1)
    tree = recursive_bipartition(W)
    with pytest.raises(UserError, match=message):
        number_of_clusters(W, tree, **options)


def test_another_graph_is_refused():
    tree = recursive_bipartition(blocks([5, 5], 0.1))
    with pytest.raises(UserError, match="10 vertices"):
        number_of_clusters(blocks([5, 6], 0.1), tree)
