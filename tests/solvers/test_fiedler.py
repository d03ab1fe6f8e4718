"""The Fiedler vector against dense eigensolvers and closed forms."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.sparse import csr_array

from graphs import random_graph
from hessian_dendrogram.errors import UserError
from hessian_dendrogram.results.tree import LAPLACIANS
from hessian_dendrogram.solvers.graph.coupling import coupling_graph
from hessian_dendrogram.solvers.graph.laplacian import ConnectedGraph, components, fiedler_vector


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("n", [2, 3, 10, 100, 101, 250, 500])
@pytest.mark.parametrize(("density", "spread"), [(1.0, 0.0), (0.05, 0.0), (0.3, 1.5)])
def test_agrees_with_a_dense_eigensolver(n, density, spread, laplacian):
    W = random_graph(n, seed=n, density=density, spread=spread)
    degrees = W.sum(axis=1)
    mass = np.diag(degrees) if laplacian == "normalised" else np.eye(n)
    values, vectors = eigh(np.diag(degrees) - W, mass)
    found = fiedler_vector(W, laplacian=laplacian)
    scale = 1.0 if laplacian == "normalised" else degrees.max()
    assert found.eigenvalue == pytest.approx(values[1], abs=1e-12 * scale)
    assert found.next_eigenvalue == (pytest.approx(values[2], rel=1e-6) if n > 2 else np.inf)
    assert found.connectivity == pytest.approx(
        eigh(np.diag(degrees) - W, eigvals_only=True)[1], abs=1e-12 * scale_of(W)
    )
    expected = vectors[:, 1] / np.linalg.norm(vectors[:, 1])
    gap = 1.0 if n == 2 else (values[2] - values[1]) / values[2]
    assert abs(expected @ found.vector) == pytest.approx(1, abs=1e-12 / gap**2)
    assert not found.is_degenerate


def scale_of(W):
    return W.sum(axis=1).max()


def test_two_parameters():
    found = fiedler_vector([[0.0, 0.3], [0.3, 0.0]], laplacian="plain")
    assert found.eigenvalue == found.connectivity == pytest.approx(0.6, rel=1e-15)
    np.testing.assert_allclose(np.abs(found.vector), np.sqrt(0.5))
    assert fiedler_vector([[0.0, 0.3], [0.3, 0.0]]).eigenvalue == pytest.approx(2)


@pytest.mark.parametrize("n", [20, 300])
def test_a_path_in_closed_form(n):
    W = np.diag(np.ones(n - 1), 1)
    found = fiedler_vector(W + W.T, laplacian="plain")
    assert found.eigenvalue == pytest.approx(2 - 2 * np.cos(np.pi / n), rel=1e-11)
    cosine = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    np.testing.assert_allclose(np.abs(found.vector), np.abs(cosine) / np.linalg.norm(cosine), atol=1e-9)


def hiding_graph(random, n):
    """Well connected on the whole, with what could hide the smallest eigenvalue: pairs, low degrees, blocks."""
    W = random.random((n, n)) ** random.integers(1, 7)
    block = random.integers(0, random.integers(1, 9), n)
    W *= np.where(block[:, None] == block, 1.0, 10 ** random.uniform(-1.5, 0))
    for first, second in random.permutation(n)[: 2 * random.integers(0, 20)].reshape(-1, 2):
        W[[first, second]] *= 10 ** random.uniform(-1.5, 0)
        W[first, second] = W[second, first] = random.uniform(0.1, 3)
    lowest = random.permutation(n)[: random.integers(0, 30)]
    W[lowest] *= 10 ** (random.uniform(-9, 0) * np.ones(len(lowest)))[:, None]
    W = np.sqrt(W * W.T)
    np.fill_diagonal(W, 0.0)
    return W


def test_products_find_what_the_factorisation_finds():
    """The two ways have nothing in common but the graph; each eigenvalue to 11 digits of its own size."""
    random = np.random.default_rng(0)
    done = 0
    for _ in range(16):
        W = hiding_graph(random, int(random.integers(101, 350)))
        for laplacian in LAPLACIANS:
            pairs = ConnectedGraph(W.copy())._by_products(laplacian)
            if pairs is None:
                continue
            done += 1
            found, connectivity = pairs
            expected, expected_connectivity = ConnectedGraph(W.copy())._by_factorisation(laplacian)
            assert found.eigenvalue == pytest.approx(expected.eigenvalue, rel=1e-11)
            assert connectivity == pytest.approx(expected_connectivity, rel=1e-11)
            assert found.next_eigenvalue == pytest.approx(expected.next_eigenvalue, rel=1e-5)
            gap = 1 - expected.eigenvalue / expected.next_eigenvalue
            if gap > 1e-4:
                first, second = (pair.vector / np.linalg.norm(pair.vector) for pair in (found, expected))
                assert abs(first @ second) == pytest.approx(1, abs=1e-12 / gap**2)
    assert done > 16


def test_a_weakly_connected_graph_is_left_to_the_factorisation():
    W = np.diag(np.ones(299), 1)
    assert ConnectedGraph(W + W.T)._by_products("normalised") is None


@pytest.mark.parametrize("weight", [1e-3, 1e-6, 1e-10, 1e-14, 1e-18])
def test_a_weak_link_is_told_apart_from_none(weight):
    """To first order λ₂ is the link times 1/a + 1/b, and the normalised one the link times 1/vol A + 1/vol B."""
    a, b = 60, 240
    W = np.zeros((a + b, a + b))
    W[:a, :a], W[a:, a:] = random_graph(a, 1), random_graph(b, 2)
    assert fiedler_vector(W).eigenvalue == 0.0
    W[5, a + 7] = W[a + 7, 5] = weight
    plain, normalised = fiedler_vector(W, laplacian="plain"), fiedler_vector(W)
    volumes = W[:a].sum(), W[a:].sum()
    assert plain.eigenvalue == pytest.approx(weight * (1 / a + 1 / b), rel=max(weight, 1e-9), abs=0)
    expected = weight * (1 / volumes[0] + 1 / volumes[1])
    assert normalised.eigenvalue == pytest.approx(expected, rel=max(weight, 1e-9), abs=0)
    for found in (plain, normalised):
        assert len(set(np.sign(found.vector[:a]))) == len(set(np.sign(found.vector[a:]))) == 1
        assert np.sign(found.vector[0]) != np.sign(found.vector[-1])


@pytest.mark.parametrize("weight", [1e-9, 1e-12, 1e-18, 1e-60, 1e-200])
@pytest.mark.parametrize("size", [10, 60])
def test_several_weak_links_keep_their_digits(size, weight):
    """Four blocks in a row; to first order the eigenvalues are those of the graph whose vertices are the blocks."""
    links = np.array([3.0, 0.1, 2.0])
    W = np.kron(np.diag(np.ones(4)), random_graph(size, 1))
    for number, link in enumerate(links * weight, start=1):
        i, j = number * size - 1, number * size
        W[i, j] = W[j, i] = link
    blocks = np.diag([3.0, 3.1, 2.1, 2.0]) - np.diag(links, 1) - np.diag(links, -1)
    expected = np.linalg.eigvalsh(blocks)
    plain, normalised = fiedler_vector(W, laplacian="plain"), fiedler_vector(W)
    accuracy = {"rel": max(100 * weight, 1e-12), "abs": 0}
    assert plain.eigenvalue / weight == pytest.approx(expected[1] / size, **accuracy)
    assert plain.next_eigenvalue / weight == pytest.approx(expected[2] / size, **accuracy)
    assert normalised.eigenvalue / weight == pytest.approx(expected[1] * 4 / W.sum(), **accuracy)
    assert normalised.connectivity == plain.eigenvalue


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("n", [5, 150])
def test_the_scale_of_the_weights_does_not_matter(n, laplacian):
    W = random_graph(n, 3)
    expected = fiedler_vector(W, laplacian=laplacian)
    for exponent in (-990, -500, 500, 990):
        found = fiedler_vector(np.ldexp(W, exponent), laplacian=laplacian)
        shift = exponent if laplacian == "plain" else 0
        assert np.ldexp(found.eigenvalue, -shift) == pytest.approx(expected.eigenvalue, rel=1e-13)
        assert np.ldexp(found.connectivity, -exponent) == pytest.approx(expected.connectivity, rel=1e-13)
        np.testing.assert_allclose(found.vector, expected.vector, rtol=0, atol=1e-10)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("n", [6, 150])
@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-150, 1e150, 1e300])
def test_entries_of_any_size_have_their_eigenvalues(n, scale, laplacian):
    W = random_graph(n, 3)
    expected = fiedler_vector(W, laplacian=laplacian)
    H = -scale * W
    found = fiedler_vector(coupling_graph(H), laplacian=laplacian)
    digits = 1e-12 if scale > 1e-305 else 1e-9  # the smallest numbers have fewer
    unit = scale if laplacian == "plain" else 1.0
    assert found.eigenvalue / unit == pytest.approx(expected.eigenvalue, rel=digits)
    assert found.next_eigenvalue / unit == pytest.approx(expected.next_eigenvalue, rel=1e-6)
    assert found.connectivity / scale == pytest.approx(expected.connectivity, rel=digits)
    np.testing.assert_allclose(found.vector, expected.vector, rtol=0, atol=1e-8)


@pytest.mark.parametrize("n", [6, 150])
@pytest.mark.parametrize(
    ("strong", "weak"),
    [(1e300, 1e150), (1e300, 1e10), (1e150, 1e-140), (1.0, 1e-295), (1e-150, 1e-300), (1e-100, 1e-310)],
)
def test_strong_and_weak_links_may_be_hundreds_of_decades_apart(n, strong, weak):
    """To first order λ₂ is the links' weight times 1/a + 1/b, and the normalised one it times 1/vol A + 1/vol B."""
    block = random_graph(n, 1)
    W = np.kron(np.eye(2), strong * block) + np.kron(1 - np.eye(2), weak * np.eye(n))
    plain, normalised = fiedler_vector(W, laplacian="plain"), fiedler_vector(W)
    assert plain.eigenvalue == normalised.connectivity == pytest.approx(2 * weak, rel=1e-9, abs=0)
    assert normalised.eigenvalue / (weak / strong) == pytest.approx(2 * n / block.sum(), rel=1e-9)
    for found in (plain, normalised):
        assert (np.sign(found.vector[:n]) == -np.sign(found.vector[n:])).all()


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize(("strong", "weak"), [(1e300, 1e-10), (1e300, 1e-300), (1.0, 1e-310)])
def test_links_that_no_number_can_hold_beside_the_others_count_as_none(strong, weak, laplacian):
    block = random_graph(60, 1)
    W = np.kron(np.eye(2), strong * block) + np.kron(1 - np.eye(2), weak * np.eye(60))
    found, without = fiedler_vector(W, laplacian=laplacian), fiedler_vector(np.kron(np.eye(2), block))
    assert found.eigenvalue == found.connectivity == 0.0
    np.testing.assert_allclose(np.abs(found.vector), np.abs(without.vector))
    # They do no harm where others hold the graph together.
    held = strong * random_graph(60, 2)
    held[5, 9] = held[9, 5] = weak
    expected = fiedler_vector(held / strong, laplacian=laplacian).eigenvalue
    unit = strong if laplacian == "plain" else 1.0
    assert fiedler_vector(held, laplacian=laplacian).eigenvalue / unit == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_eigenvalues_beyond_float64_are_refused_in_one_line(laplacian):
    with pytest.raises(
        UserError, match=r"eigenvalue of the plain Laplacian is .* x 2\^10.*divide the matrix"
    ) as caught:
        fiedler_vector(1e308 * (1 - np.eye(150)), laplacian=laplacian)
    assert "\n" not in str(caught.value)
    smallest = np.finfo(float).smallest_subnormal
    path = smallest * (np.eye(9, k=1) + np.eye(9, k=-1))
    assert fiedler_vector(path, laplacian="plain").eigenvalue == smallest  # 0.12 times it, but no component
    two = np.kron(np.eye(2), 1e308 * (1 - np.eye(150)))
    found = fiedler_vector(two, laplacian=laplacian)
    assert found.eigenvalue == 0.0
    np.testing.assert_allclose(np.abs(found.vector), np.sqrt(1 / 300))


def test_a_coupling_graph_of_the_largest_numbers():
    huge = np.finfo(float).max
    np.testing.assert_array_equal(coupling_graph([[1.0, -huge], [-huge, huge]]), [[0, huge], [huge, 0]])
    almost = coupling_graph([[1.0, huge], [huge * (1 - 1e-9), 1.0]])
    assert almost[0, 1] == almost[1, 0] == pytest.approx(huge * (1 - 0.5e-9), rel=1e-12)
    with pytest.raises(UserError, match="not symmetric"):
        coupling_graph([[1.0, huge], [-huge, 1.0]])


@pytest.mark.parametrize("laplacian", LAPLACIANS)
def test_disconnected_graphs_are_zero_exactly(laplacian):
    W = np.zeros((9, 9))
    W[:5, :5], W[5:, 5:] = random_graph(5, 0), random_graph(4, 1)
    found = fiedler_vector(W, laplacian=laplacian)
    assert found.eigenvalue == found.connectivity == 0.0
    assert not found.is_degenerate
    assert len(set(found.vector[:5])) == len(set(found.vector[5:])) == 1
    mass = W.sum(axis=1) if laplacian == "normalised" else np.ones(9)
    assert mass @ found.vector == pytest.approx(0, abs=1e-14)
    three = np.zeros((12, 12))
    three[:9, :9], three[9:, 9:] = W, random_graph(3, 2)
    assert fiedler_vector(three, laplacian=laplacian).is_degenerate


@pytest.mark.parametrize("laplacian", LAPLACIANS)
@pytest.mark.parametrize("weight", [1e-3, 1e-7, 1e-10, 1e-15])
def test_equal_blocks_are_degenerate_and_said_to_be(weight, laplacian):
    """Three equal blocks, each vertex linked to its copies: the second eigenvalue is double."""
    block = random_graph(50, 3)
    W = np.kron(np.eye(3), block) + np.kron(np.ones((3, 3)) - np.eye(3), weight * np.eye(50))
    assert fiedler_vector(W, laplacian=laplacian).is_degenerate
    assert not fiedler_vector(W[:100, :100], laplacian=laplacian).is_degenerate


def test_components_are_in_order():
    W = np.zeros((8, 8))
    for i, j in [(0, 3), (3, 6), (1, 7), (2, 4)]:
        W[i, j] = W[j, i] = 1e-300
    assert [part.tolist() for part in components(W)] == [[0, 3, 6], [1, 7], [2, 4], [5]]


@pytest.mark.parametrize("spread", [0.0, 6.0])
@pytest.mark.parametrize("is_factorised", [False, True])
def test_conductances_of_every_cut(spread, is_factorised):
    """Also where a few vertices have 1e-13 of the degrees of the others, at either end of the order."""
    W = random_graph(300, 5, density=0.3, spread=spread)
    degrees = W.sum(axis=1)
    if spread:
        assert degrees.min() < 1e-13 * degrees.max()
    graph = ConnectedGraph(W.copy())
    if is_factorised:
        graph._by_factorisation("plain")
        np.testing.assert_array_equal(graph._weights, W)
    for order in (np.random.default_rng(0).permutation(300), np.argsort(degrees), np.argsort(-degrees)):
        sides = [(order[:k], order[k:]) for k in range(1, 300)]
        direct = [W[np.ix_(*side)].sum() / min(degrees[part].sum() for part in side) for side in sides]
        np.testing.assert_allclose(graph.conductances(order), direct, rtol=0, atol=300 * np.finfo(float).eps)
        places = np.array([0, 9, 10, 200, 298])
        exact = graph.exact_conductances(order, places)
        np.testing.assert_allclose(exact, np.array(direct)[places], rtol=1e-13)


def test_a_coupling_graph_is_magnitudes_off_the_diagonal():
    H = np.array([[5.0, -2.0, 1e-9], [-2.0, 1.0, 0.5], [1e-9, 0.5, -3.0]])
    W = coupling_graph(H)
    np.testing.assert_array_equal(W, [[0, 2, 1e-9], [2, 0, 0.5], [1e-9, 0.5, 0]])
    assert coupling_graph(H, threshold=1e-8)[0, 2] == 0
    assert H[0, 1] == -2
    nearly = coupling_graph(H + 1e-9 * np.triu(np.ones((3, 3)), 1))
    np.testing.assert_array_equal(nearly, nearly.T)


@pytest.mark.parametrize(
    ("H", "message"),
    [
        (np.ones((2, 3)), r"got shape \(2, 3\)"),
        (np.ones((1, 1)), r"two or more parameters, got shape \(1, 1\)"),
        (np.ones(4), r"got shape \(4,\)"),
        ([[1.0, np.nan], [np.nan, 1.0]], "2 of 4 entries of the matrix are not finite"),
        ([[1.0, np.inf], [1.0, 1.0]], "1 of 4 entries"),
        ([[1.0, 2.0], [2.5, 1.0]], "not symmetric: entries differ by up to 0.5 from their mirror images.* 2.5"),
        (np.zeros((3, 3)), "no two of the 3 parameters are coupled"),
        (np.eye(3), "nothing to cut"),
        (np.full((2, 2), 1j), "a dense matrix of real numbers, got ndarray: its entries are complex"),
        (csr_array(np.ones((2, 2))), "a dense matrix of real numbers, got csr_array"),
        ([[1.0, 2.0], [3.0]], "a dense matrix of real numbers, got list"),
        ([["a", "b"], ["c", "d"]], "a dense matrix of real numbers, got list"),
    ],
)
def test_bad_matrices_are_refused(H, message):
    with pytest.raises(UserError, match=message):
        coupling_graph(H)
    with pytest.raises(UserError, match=message):
        fiedler_vector(H)


def test_bad_options_are_refused():
    with pytest.raises(UserError, match="one of normalised, plain, got 'random'"):
        fiedler_vector(np.ones((2, 2)), laplacian="random")
    with pytest.raises(UserError, match="threshold must be >= 0, got -1"):
        coupling_graph(np.ones((2, 2)), threshold=-1)
