"""Recursive bipartition on graphs whose parts are known."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage
from sklearn.metrics import adjusted_rand_score

from graphs import random_graph
from hessian_dendrogram import Layout
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.results.tree import LAPLACIANS, SPLITS
from hessian_dendrogram.solvers.graph.bipartition import coupling_picture, recursive_bipartition
from hessian_dendrogram.solvers.graph.coupling import coupling_graph


def planted(sizes, coupling, seed=0):
    """Weights of random blocks, with links between them that are weaker, and the block of each vertex; shuffled."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    H = random.standard_normal((len(truth), len(truth)))
    return coupling_graph((H + H.T) * np.where(truth[:, None] == truth, 1.0, coupling)), truth


BLOCKS = [[3] * 2, [40] * 2, [40] * 5, [25] * 8, [5, 80], [10, 100, 30, 60, 4], [2, 3, 4, 5, 6, 7, 8]]


@pytest.mark.parametrize("sizes", BLOCKS)
@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("split", SPLITS)
def test_separate_blocks_are_split_exactly_and_first(sizes, laplacian, split):
    W, truth = planted(sizes, 0.0)
    tree = recursive_bipartition(W, laplacian=laplacian, split=split)
    assert adjusted_rand_score(truth, tree.labels(len(sizes))) == 1
    assert len(tree.children[0]) == len(sizes)
    assert tree.eigenvalues[0] == tree.connectivities[0] == tree.conductances[0] == 0
    assert [tree.stops[i] - tree.starts[i] for i in tree.children[0]] == sorted(sizes, reverse=True)


@pytest.mark.parametrize("coupling", [1e-8, 1e-3, 0.03])
@pytest.mark.parametrize("sizes", [[40] * 2, [40] * 4, [10, 100, 30, 60]])
def test_weakly_coupled_blocks_are_found_by_default(sizes, coupling):
    W, truth = planted(sizes, coupling)
    tree = recursive_bipartition(W)
    assert adjusted_rand_score(truth, tree.labels(len(sizes))) == 1
    assert 0 < tree.eigenvalues[0] < 2 * tree.conductances[0]
    assert tree.conductances[0] <= np.sqrt(2 * tree.eigenvalues[0])


@pytest.mark.parametrize(("small", "large"), [(2, 4), (20, 2000), pytest.param(50, 5000, marks=pytest.mark.slow)])
def test_unequal_pairs_are_split_at_their_weak_link(small, large):
    n = small + large
    W = np.zeros((n, n))
    random = np.random.default_rng(1)
    W[:small, :small], W[small:, small:] = (random.random((size, size)) + 0.1 for size in (small, large))
    W = np.triu(W, 1)
    W[0, -1] = 1e-3
    tree = recursive_bipartition(W + W.T, min_size=n // 2)
    assert [tree.members(child).tolist() for child in tree.children[0]] == [[*range(small, n)], [*range(small)]]


def test_a_pendant_parameter_is_not_cut_off_by_default():
    """The conductance of a single vertex is 1 whatever its weight; the plain Laplacian's sign cuts it off."""
    W = random_graph(10, 0)
    W[0, 2:] = W[2:, 0] = 0
    W[0, 1] = W[1, 0] = 1e-3
    tree = recursive_bipartition(W, min_size=9)
    assert tree.conductances[0] < 0.7
    assert min(tree.stops[i] - tree.starts[i] for i in tree.children[0]) > 2
    plain = recursive_bipartition(W, laplacian="plain", split="sign", min_size=9)
    assert [plain.members(i).tolist() for i in plain.children[0]] == [[*range(1, 10)], [0]]
    assert plain.conductances[0] == pytest.approx(1)


def test_two_parameters():
    tree = recursive_bipartition([[0.0, 0.3], [0.3, 0.0]])
    assert tree.connectivities[0] == pytest.approx(0.6)
    assert tree.eigenvalues[0] == pytest.approx(2)
    assert tree.conductances[0] == pytest.approx(1)
    np.testing.assert_array_equal(tree.linkage, [[0, 1, 1, 2]])


def test_isolated_parameters_are_set_aside():
    W = np.zeros((10, 10))
    W[2:6, 2:6], W[7:, 7:] = random_graph(4, 0), random_graph(3, 1)
    tree = recursive_bipartition(W)
    np.testing.assert_array_equal(tree.isolated, [0, 1, 6])
    assert sorted(tree.order) == [2, 3, 4, 5, 7, 8, 9]
    np.testing.assert_array_equal(tree.labels(2), [-1, -1, 0, 0, 0, 0, -1, 1, 1, 1])
    layout = Layout(("a", "b"), ((5,), (5,)))
    np.testing.assert_array_equal(tree.composition(layout, 2), [[3, 1], [0, 3]])
    with pytest.raises(UserError, match="the tree has 10 parameters, the layout has 3"):
        tree.composition(Layout(("a",), ((3,),)), 2)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("split", SPLITS)
def test_the_order_of_the_parameters_does_not_matter(laplacian, split):
    W = random_graph(151, 4, density=0.2, spread=0.5)
    permutation = np.random.default_rng(0).permutation(151)
    tree = recursive_bipartition(W, laplacian=laplacian, split=split, min_size=20)
    other = recursive_bipartition(W[np.ix_(permutation, permutation)], laplacian=laplacian, split=split, min_size=20)
    assert not tree.is_degenerate.any()

    def numbers(tree, names):
        columns = tree.eigenvalues, tree.connectivities, tree.conductances
        return {
            tuple(sorted(names[tree.members(node)])): np.array([column[node] for column in columns])
            for node in range(len(tree.parents))
        }

    expected, found = numbers(tree, np.arange(151)), numbers(other, permutation)
    assert expected.keys() == found.keys()
    for members, values in expected.items():
        np.testing.assert_allclose(found[members], values, rtol=1e-9)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("split", SPLITS)
def test_nor_where_two_entries_are_the_largest(laplacian, split):
    """Four and five have the same links to others of equal degrees: their entries are opposite, but no graph is."""
    W = np.zeros((5, 5))
    for i, j, weight in [(0, 1, 2), (0, 2, 2), (0, 3, 1), (1, 2, 1), (2, 4, 2)]:
        W[i, j] = W[j, i] = weight
    tree = recursive_bipartition(W, laplacian=laplacian, split=split, min_size=4)
    assert not tree.is_degenerate.any()
    expected = {frozenset(tree.members(node)) for node in tree.children[0]}
    for permutation in permutations(range(5)):
        names = np.array(permutation)
        other = recursive_bipartition(W[np.ix_(names, names)], laplacian=laplacian, split=split, min_size=4)
        assert {frozenset(names[other.members(node)]) for node in other.children[0]} == expected


@pytest.mark.parametrize("split", SPLITS)
def test_parameters_that_cannot_be_told_apart_stay_together(split):
    """Each vertex twice, with the same links: a cut between the two would be decided by rounding."""
    W = np.kron(random_graph(40, 7), np.ones((2, 2)))
    tree = recursive_bipartition(W, split=split, min_size=30)
    for node in range(len(tree.parents)):
        members = tree.members(node)
        np.testing.assert_array_equal(members[::2] + 1, members[1::2])
    assert len(tree.leaves) > 2


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-60])
def test_the_weakest_of_many_weak_links_is_cut_first(scale):
    """Its conductance keeps its digits beside those of the other cuts, which are 1e10 times as large."""
    W = np.zeros((120, 120))
    for number in range(4):
        part = slice(30 * number, 30 * number + 30)
        W[part, part] = random_graph(30, number)
    for vertex, weight in [(29, 3e-6), (59, 1e-7), (89, 2e-6)]:
        W[vertex, vertex + 1] = W[vertex + 1, vertex] = weight * scale
    tree = recursive_bipartition(W, min_size=30)
    assert [tree.members(child).tolist() for child in tree.children[0]] == [[*range(60)], [*range(60, 120)]]
    volume = min(W[:60].sum(), W[60:].sum())
    assert tree.conductances[0] == pytest.approx(1e-7 * scale / volume, rel=1e-12, abs=0)
    assert tree.cut(4).tolist() == tree.leaves.tolist()


def test_runs_are_the_same():
    W = random_graph(150, 4)
    first, second = recursive_bipartition(W), recursive_bipartition(W)
    for name in ("order", "parents", "eigenvalues", "connectivities", "conductances"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("min_size", [1, 7])
def test_a_tree_is_nested_and_its_linkage_valid(min_size):
    W, _ = planted([20, 30, 10], 0.0)
    W[0] = W[:, 0] = 0.0
    tree = recursive_bipartition(W, min_size=min_size)
    sizes = tree.stops - tree.starts
    for node, below in enumerate(tree.children):
        assert not below or sum(sizes[list(below)]) == sizes[node] > min_size
        assert (np.diff(sizes[list(below)]) <= 0).all()
        assert all(tree.parents[child] == node < child for child in below)
        assert below or (sizes[node] <= min_size and np.isnan(tree.eigenvalues[node]))
    assert sizes[0] == 59
    assert len(tree.linkage) == len(tree.leaves) - 1
    assert is_valid_linkage(tree.linkage)
    assert (np.diff(tree.linkage[:, 2]) >= 0).all()
    assert tree.linkage[-1, 2] == tree.levels[0]
    assert tree.linkage[-1, 3] == len(tree.leaves)


def test_cuts_are_nested_and_open_the_weakest_first():
    W, _ = planted([20, 30, 10, 15], 0.05)
    tree = recursive_bipartition(W, min_size=1)
    opened = [set(tree.cut(k).tolist()) for k in range(1, 76)]
    assert opened[0] == {0}
    for k, (before, after) in enumerate(pairwise(opened), start=2):
        assert len(after) == k
        (node,) = before - after
        assert after - before == set(tree.children[node])
        assert tree.conductances[node] == min(tree.conductances[i] for i in before if tree.children[i])
    assert opened[-1] == set(tree.leaves.tolist()) == set(tree.cut(1000).tolist())
    with pytest.raises(UserError, match="a whole number of clusters, one or more, got 0"):
        tree.cut(0)


def test_a_node_of_components_is_opened_as_a_whole():
    W, truth = planted([20, 30, 10], 0.0)
    tree = recursive_bipartition(W)
    assert len(tree.cut(1)) == 1
    assert len(tree.cut(2)) == len(tree.cut(3)) == 3
    assert adjusted_rand_score(truth, tree.labels(2)) == 1


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="got 'x' and 'sweep'"):
        recursive_bipartition(np.ones((3, 3)), laplacian="x")
    with pytest.raises(UserError, match="split one of sweep, sign, median, got 'normalised' and 'y'"):
        recursive_bipartition(np.ones((3, 3)), split="y")
    for min_size in (0, 1.5, np.nan):
        with pytest.raises(UserError, match=f"min_size must be a whole number >= 1, got {min_size}"):
            recursive_bipartition(np.ones((3, 3)), min_size=min_size)
    for bad in (np.ones((1, 1)), np.ones((2, 3)), np.zeros((3, 3)), np.full((3, 3), np.nan), np.tri(3)):
        with pytest.raises(UserError):
            recursive_bipartition(bad)


def test_a_hessian_itself_is_taken_as_its_coupling_graph():
    H = np.random.default_rng(0).standard_normal((30, 30))
    H = H + H.T
    np.testing.assert_array_equal(recursive_bipartition(H).order, recursive_bipartition(coupling_graph(H)).order)


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-150, 1e150, 1e300, 1e307])
@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("sizes", [[3] * 2, [40, 60]])
def test_entries_of_any_size_have_the_same_tree_and_picture(sizes, laplacian, scale):
    W, _ = planted(sizes, 0.01)
    W /= W.sum()  # no sum of weights times 1e307 overflows
    expected = recursive_bipartition(W, laplacian=laplacian)
    tree = recursive_bipartition(scale * W, laplacian=laplacian)
    digits = 1e-9 if scale > 1e-303 else 0.01  # the smallest numbers have fewer
    for name in ("order", "starts", "stops", "parents"):
        np.testing.assert_array_equal(getattr(tree, name), getattr(expected, name))
    np.testing.assert_allclose(tree.conductances, expected.conductances, rtol=digits)
    np.testing.assert_allclose(tree.connectivities / scale, expected.connectivities, rtol=digits)
    picture = coupling_picture(scale * W, tree, blocks=5)
    np.testing.assert_allclose(picture / scale, coupling_picture(W, expected, blocks=5), rtol=digits)


def test_a_picture_of_the_largest_numbers_is_finite():
    largest = 1.7e308
    W = np.zeros((400, 400))
    W[:200, :200] = largest
    W[200:, 200:] = 1e-300
    np.fill_diagonal(W, 0)
    tree = recursive_bipartition(np.sign(W), min_size=200)
    picture = coupling_picture(W, tree, blocks=2)
    np.testing.assert_allclose(picture, [[0.995 * largest, 0], [0, 0.995e-300]], rtol=1e-3)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_parts_that_no_number_can_hold_beside_each_other_are_components(laplacian):
    W, truth = planted([30, 20], 0.0)
    weak = np.where(truth[:, None] == truth, 1e300 * W, 1e-300)
    tree = recursive_bipartition(weak, laplacian=laplacian, min_size=30)
    assert adjusted_rand_score(truth, tree.labels(2)) == 1
    assert tree.eigenvalues[0] == tree.connectivities[0] == tree.conductances[0] == 0


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_a_connectivity_beyond_float64_is_refused_in_one_line(laplacian):
    with pytest.raises(UserError, match="more than float64 holds; divide the matrix by a constant"):
        recursive_bipartition(1e308 * (1 - np.eye(40)), laplacian=laplacian)
