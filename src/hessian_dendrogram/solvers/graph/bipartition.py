"""Recursive bipartition: a coupling graph cut in two along its Fiedler vector, again and again.

For a set S of parameters, cut(S) adds up the weights between S and the others S̄, vol(S) the degrees in S. The
conductance of a cut is cut(S) / min(vol S, vol S̄). The vertices in the order of the Fiedler vector give n - 1 cuts; the
best of them has a conductance between μ₂ / 2 and √(2 μ₂), with the second eigenvalue μ₂ of the normalised Laplacian
(Cheeger's inequality; F. Chung 1997, Spectral Graph Theory, chapter 2).
"""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from ...errors import UserError
from ...results.tree import LAPLACIANS, SPLITS, BipartitionTree, Laplacian, Split
from .coupling import coupling_graph, real_matrix
from .laplacian import ConnectedGraph, components

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_CHUNK = 32  # rows that are copied at once, few enough for a processor's cache
_TILE = 256  # rows and columns that are compared at once
_SMALL = 1000  # vertices below which threads would wait for each other longer than they work
_HEADROOM = 64  # binary digits: more than a sum over a matrix has beyond its largest entry
_WEAK = 1e-8  # a conductance that is taken again without cancellation
_TIE = 1e-8  # relative to the range of a vector's entries, the difference that keeps two of them together
_Division = tuple[tuple[float, float, float, bool], list[Integers]]
_LEAF: _Division = (np.nan, np.nan, np.nan, False), []


def recursive_bipartition(
    W: ArrayLike, *, laplacian: Laplacian = "normalised", split: Split = "sweep", min_size: int | None = None
) -> BipartitionTree:
    """Cut a coupling graph in two, and both parts again, down to a size.

    Isolated parameters are set aside first. A part that falls into components is taken apart without a cut, where
    weights up to 1e-300 of its largest count as none. What is connected is cut along its Fiedler vector.

    Args:
        W: weights as `coupling_graph` gives them, shape (n, n).
        laplacian: whose Fiedler vector, `"normalised"` or `"plain"`.
        split: where the order of the vector's entries is cut: `"sweep"` where the conductance is smallest, `"sign"`
            between negative and positive, `"median"` in the middle. Entries that agree to 8 digits are not separated.
        min_size: parts of at most so many parameters are left as they are; default a hundredth of n, at least 1.

    Raises:
        UserError: an option is none of these, or W is no coupling graph, see `coupling_graph`, or its weights are so
            large that λ₂ is no number of float64.
    """
    checked_options(laplacian, split, min_size)
    weights = _checked(W)
    n = len(weights)
    min_size = default_min_size(n) if min_size is None else min_size
    is_isolated = ~weights.any(axis=1)
    order: list[Integers] = []
    nodes: list[tuple[int, int, int, float, float, float, bool]] = []
    stack = [(np.flatnonzero(~is_isolated), -1)]
    done = 0
    threads = ThreadpoolController()
    while stack:
        members, parent = stack.pop()
        numbers, parts = _LEAF
        if len(members) > min_size:
            with threads.limit(limits=1 if len(members) < _SMALL else None, user_api="blas"):
                numbers, parts = _divide(_among(weights, members), laplacian, split)
        nodes.append((done, done + len(members), parent, *numbers))
        if not parts:
            order.append(members)
            done += len(members)
        stack += [(members[part], len(nodes) - 1) for part in reversed(parts)]
    columns = [np.array(column) for column in zip(*nodes, strict=True)]
    return BipartitionTree(
        size=n,
        order=np.concatenate(order),
        isolated=np.flatnonzero(is_isolated),
        starts=columns[0],
        stops=columns[1],
        parents=columns[2],
        eigenvalues=columns[3],
        connectivities=columns[4],
        conductances=columns[5],
        is_degenerate=columns[6],
        laplacian=laplacian,
        split=split,
        min_size=min_size,
    )


def checked_options(laplacian: str, split: str, min_size: int | None) -> None:
    """Refuse what `recursive_bipartition` does not know.

    Raises:
        UserError: an option is none of those there are.
    """
    if laplacian not in LAPLACIANS or split not in SPLITS:
        raise UserError(
            f"laplacian must be one of {', '.join(LAPLACIANS)} and split one of {', '.join(SPLITS)}, "
            f"got {laplacian!r} and {split!r}"
        )
    if min_size is not None and not (isinstance(min_size, Integral) and min_size >= 1):
        raise UserError(f"min_size must be a whole number >= 1, got {min_size}")


def default_min_size(n: int) -> int:
    """A hundredth of the parameters, at least one."""
    return max(1, n // 100)


def coupling_picture(W: Floats, tree: BipartitionTree, blocks: int = 128) -> Floats:
    """Means of a graph's weights over blocks of parameters in the order of a tree, the isolated ones last.

    Args:
        W: weights, shape (n, n).
        tree: of that graph.
        blocks: how many in a row; n where that is less.

    Returns:
        Shape (blocks, blocks). Blocks differ by at most one parameter in size.
    """
    exponent = _HEADROOM if W.max() > np.ldexp(1.0, 1023 - _HEADROOM) else 0  # for sums that would overflow
    order = np.concatenate([tree.order, tree.isolated])
    edges = np.linspace(0, len(order), min(blocks, len(order)) + 1).astype(np.int64)
    rows = np.stack([np.ldexp(W[order[start:stop]], -exponent).sum(axis=0)[order] for start, stop in pairwise(edges)])
    sizes = np.diff(edges)
    means = np.add.reduceat(rows, edges[:-1], axis=1) / np.outer(sizes, sizes)
    return np.asarray(np.ldexp(means, exponent))


def _checked(W: ArrayLike) -> Floats:
    """The weights of a coupling graph, without a copy where they are one."""
    weights = real_matrix(W)
    return weights if _is_coupling_graph(weights) else coupling_graph(weights)


def _is_coupling_graph(W: Floats) -> bool:
    if W.ndim != 2 or W.shape[0] != W.shape[1] or len(W) < 2 or W.diagonal().any():
        return False
    if not (W.min() >= 0 and 0 < W.max() < np.inf):
        return False
    tiles = [slice(start, start + _TILE) for start in range(0, len(W), _TILE)]
    return all(
        np.array_equal(W[rows, columns], W[columns, rows].T)
        for rows, columns in combinations_with_replacement(tiles, 2)
    )


def _among(W: Floats, members: Integers) -> Floats:
    """The weights among some vertices, a copy."""
    if len(members) == len(W):
        return W.copy()
    A = np.empty((len(members), len(members)))
    for start in range(0, len(members), _CHUNK):
        # Any mode but the default writes to `out` without a buffer; no member is out of range.
        W[members[start : start + _CHUNK]].take(members, axis=1, out=A[start : start + _CHUNK], mode="clip")
    return A


def _divide(W: Floats, laplacian: Laplacian, split: Split) -> tuple[tuple[float, float, float, bool], list[Integers]]:
    """The cut's eigenvalue, λ₂, conductance and whether it is degenerate, and the parts, the larger first."""
    if len(W) == 1:
        return _LEAF
    parts = components(W)
    if len(parts) > 1:
        return (0.0, 0.0, 0.0, False), parts
    graph = ConnectedGraph(W)
    fiedler = graph.fiedler_vector(laplacian)
    order = np.argsort(fiedler.vector, kind="stable")
    conductances = graph.conductances(order)
    sorted_entries = fiedler.vector[order]
    tie = _TIE * (sorted_entries[-1] - sorted_entries[0])
    places = np.flatnonzero(np.diff(sorted_entries) > tie)  # a cut there puts places + 1 vertices below
    if split == "sweep":
        score = conductances[places]
    elif split == "sign":
        score = np.abs(places + 1 - np.searchsorted(sorted_entries, -tie))
    else:
        score = np.abs(places + 1 - len(order) / 2)
    # Of mirror images, which rounding would choose from, the first.
    rounding = len(order) * np.finfo(np.float64).eps
    places = places[score <= (1 + _TIE) * score.min() + rounding]
    score = conductances[places]
    if len(places) > 1 or score[0] < _WEAK:
        score = graph.exact_conductances(order, places)
    chosen = np.flatnonzero(score <= (1 + _TIE) * score.min())[0] if split == "sweep" else 0
    first = 1 + int(places[chosen])
    parts = sorted((np.sort(order[:first]), np.sort(order[first:])), key=lambda part: (-len(part), part[0]))
    return (fiedler.eigenvalue, fiedler.connectivity, float(score[chosen]), fiedler.is_degenerate), parts
