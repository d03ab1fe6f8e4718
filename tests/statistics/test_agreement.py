"""The agreement of partitions and of trees from independent draws."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from hessian_dendrogram import recursive_bipartition
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.statistics.agreement import adjusted_rand_index, agreement


@pytest.mark.parametrize("seed", range(20))
def test_the_index_is_that_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(3, 60))
    one, other = random.integers(-1, 5, n), random.integers(0, int(random.integers(1, 9)), n)
    other = np.where(random.random(n) < 0.5, one, other)
    assert adjusted_rand_index(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)


def test_partitions_that_cannot_disagree_have_no_index():
    assert np.isnan(adjusted_rand_index([0, 0, 0], [5, 5, 5]))
    assert np.isnan(adjusted_rand_index([0, 1, 2], [2, 0, 1]))
    assert np.isnan(adjusted_rand_index([0], [0]))
    assert adjusted_rand_index([0, 0, 0, 0], [0, 0, 1, 1]) == 0
    with pytest.raises(UserError, match="of the same things, got labels of 2 and of 1"):
        adjusted_rand_index([0, 1], [0])


def blocks(sizes, seed):
    """Strong and weak couplings, with noise of their own."""
    random, owner = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    W = np.where(owner[:, None] == owner, 1.0, 0.01) * random.uniform(0.8, 1.2, (len(owner), len(owner)))
    return np.triu(W, 1) + np.triu(W, 1).T


def noise(n, seed):
    W = np.triu(np.random.default_rng(seed).random((n, n)), 1)
    return W + W.T


def cut(W):
    return recursive_bipartition(W, min_size=1)


def test_planted_blocks_agree_and_noise_does_not():
    whole, pairs = cut(blocks([4, 6, 5], 0)), [(cut(blocks([4, 6, 5], 1)), cut(blocks([4, 6, 5], 2)))]
    assert agreement(whole, pairs)[0][:2] == [1.0, 1.0]
    found = [
        agreement(cut(noise(60, 0)), [(cut(noise(60, 2 * i + 1)), cut(noise(60, 2 * i + 2)))])[0] for i in range(4)
    ]
    assert abs(np.mean([row[:10] for row in found])) < 0.03
    assert np.abs([row[:10] for row in found]).max() < 0.3


def test_isolated_vertices_and_too_many_clusters_are_not_counted():
    W = np.zeros((9, 9))
    W[:6, :6] = blocks([3, 3], 0)
    tree = cut(W)
    (row,) = agreement(tree, [(cut(W), cut(W))])
    assert row[0] == 1
    assert row[4:] == [None] * 15  # six leaves: all vertices by themselves, or fewer than k
    other = W.copy()
    other[0] = other[:, 0] = 0
    assert agreement(tree, [(tree, cut(other))])[0][0] < 1  # isolated in a half alone
