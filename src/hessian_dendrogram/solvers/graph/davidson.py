"""The smallest eigenvalues of both Laplacians of a well connected graph, from products with its weights alone.

With the degrees D of weights W, the normalised Laplacian is N = 1 - D^-1/2 W D^-1/2. In y = D^1/2 v the problem of the
plain Laplacian, (D - W) v = λ v, becomes

    N y = λ B y,    B = D^-1/2 (1 - 11ᵀ/n) D^-1/2,    y orthogonal to D^1/2 1,

where N has no eigenvalue below μ₂. So where μ₂ is not small, a residual r of a unit vector y bounds the relative
distance to an eigenvalue λ by r / μ₂, however small λ is beside the degrees.

The smallest μ of N y = μ y come from a block Krylov space. The smallest λ are sought in the same space, and in
Davidson steps from the vertices of the lowest degrees, where their vectors live: a residual is divided by the diagonal
of N - λ B and taken into the basis (E. Davidson 1975, J. Comput. Phys. 17, 87). That no smaller one is missed is
experience.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_KRYLOV = 2  # vectors of a Krylov step: two eigenvectors are wanted
_BLOCK = 3  # vectors of a Davidson step
_STEPS = 40  # at most
_WELL_CONNECTED = 0.01  # μ₂ from which N counts as well conditioned
_SMALLEST_PIVOT = 0.01  # of the diagonal that a residual is divided by


@dataclass(frozen=True)
class Pair:
    """The smallest eigenvalue but zero, the one after it, and the first one's vector v, shape (n,)."""

    eigenvalue: float
    next_eigenvalue: float
    vector: Floats


def well_connected_pairs(
    W: Floats, degrees: Floats, *, accuracy: float, next_accuracy: float, plain_vector: bool
) -> tuple[Pair, Pair] | None:
    """The pairs of the normalised Laplacian and of the plain one.

    Args:
        W: weights of a connected graph, shape (n, n); n well above the two dozen vectors that are usual.
        degrees: their sums, shape (n,).
        accuracy: residual of the first eigenvector, relative error of the first λ.
        next_accuracy: the same of the second ones.
        plain_vector: whether the plain Laplacian's vector must be as accurate as its eigenvalue.

    Returns:
        None where the graph is weakly connected, or something does not converge.
    """
    graph = _Graph(W, degrees)
    found = _normalised(graph, accuracy, next_accuracy)
    if found is None or found[0].eigenvalue < _WELL_CONNECTED:
        return None
    normalised, V, NV = found
    plain = _plain(graph, V, NV, normalised.eigenvalue, accuracy, next_accuracy, plain_vector)
    return None if plain is None else (normalised, plain)


class _Graph:
    """Products with N and B, B in units of 1 / `unit`, for blocks of vectors y as rows."""

    def __init__(self, W: Floats, degrees: Floats) -> None:
        self.W, self.degrees, self.root = W, degrees, np.sqrt(degrees)
        self.constant = self.root / np.linalg.norm(self.root)
        self.unit = float(degrees.min())  # of λ

    def normalised(self, block: Floats) -> Floats:
        # One by one: for so few vectors BLAS has a faster product of a matrix and a vector than of two matrices.
        products = np.stack([self.W @ v for v in block / self.root])
        return np.asarray(block - products / self.root)

    def mass(self, block: Floats) -> Floats:
        v = block / self.root
        return np.asarray((v - v.mean(axis=1, keepdims=True)) * (self.unit / self.root))

    def orthonormal(self, block: Floats, basis: Floats) -> Floats:
        """Rows that span the block's part orthogonal to the constant vector and the basis."""
        for _ in range(2):
            block = block - np.outer(block @ self.constant, self.constant) - (block @ basis.T) @ basis
            block = np.linalg.qr(block.T)[0].T
        return block


def _normalised(graph: _Graph, accuracy: float, next_accuracy: float) -> tuple[Pair, Floats, Floats] | None:
    """The pair of N, the basis V and N V."""
    n = len(graph.degrees)
    V, NV = np.empty((0, n)), np.empty((0, n))
    block = np.random.default_rng(0).standard_normal((_KRYLOV, n))
    for step in range(min(_STEPS, (n - 1) // _KRYLOV)):
        block = graph.orthonormal(block, V)
        V, NV = np.vstack([V, block]), np.vstack([NV, graph.normalised(block)])
        block = NV[-_KRYLOV:]
        if step % 2 and step > 3:  # to look costs as much as a step of a small graph
            values, S = np.linalg.eigh(_symmetric(V @ NV.T))
            values, S = values[:2], S[:, :2]
            y = S.T @ V
            first, second = np.linalg.norm(S.T @ NV - values[:, None] * y, axis=1)
            if first <= accuracy and second <= next_accuracy * values[1]:
                return Pair(float(values[0]), float(values[1]), y[0] / graph.root), V, NV
    return None


def _plain(
    graph: _Graph, V: Floats, NV: Floats, mu: float, accuracy: float, next_accuracy: float, needs_vector: bool
) -> Pair | None:
    """The pair of N y = λ B y, from a basis V, N V, and the smallest eigenvalue of N."""
    n, BV = len(graph.degrees), graph.mass(V)
    block = np.zeros((_BLOCK, n))
    block[np.arange(_BLOCK), np.argsort(graph.degrees, kind="stable")[:_BLOCK]] = 1.0
    for _ in range(min(_STEPS, (n - 1 - len(V)) // _BLOCK)):
        block = graph.orthonormal(block, V)
        V, NV, BV = np.vstack([V, block]), np.vstack([NV, graph.normalised(block)]), np.vstack([BV, graph.mass(block)])
        smallest = _smallest_of_pencil(_symmetric(V @ NV.T), _symmetric(V @ BV.T))
        if smallest is None:
            return None
        values, S = smallest
        residuals = S.T @ NV - values[:, None] * (S.T @ BV)
        first, second, *_ = np.linalg.norm(residuals, axis=1) / mu
        gap = 1 - values[0] / values[1] - second
        error = first if needs_vector or gap <= first else first**2 / gap
        if error <= accuracy and second <= next_accuracy:
            v = (S[:, 0] @ V) / graph.root
            return Pair(float(values[0]) * graph.unit, float(values[1]) * graph.unit, v - v.mean())
        diagonal = 1 - values[:, None] * (graph.unit / graph.degrees)
        block = residuals / np.where(np.abs(diagonal) < _SMALLEST_PIVOT, _SMALLEST_PIVOT, diagonal)
    return None


def _smallest_of_pencil(P: Floats, Q: Floats) -> tuple[Floats, Floats] | None:
    """The smallest eigenvalues of P s = λ Q s, P positive definite and well conditioned, and their unit vectors.

    None where degrees over hundreds of decades have made P something else.
    """
    values, U = np.linalg.eigh(P)
    if values[0] <= 0:
        return None
    T = U / np.sqrt(values)
    ratios, S = np.linalg.eigh(_symmetric(T.T @ Q @ T))
    S = T @ S[:, : -_BLOCK - 1 : -1]
    return 1 / ratios[: -_BLOCK - 1 : -1], S / np.linalg.norm(S, axis=0)


def _symmetric(A: Floats) -> Floats:
    return np.asarray((A + A.T) / 2)
