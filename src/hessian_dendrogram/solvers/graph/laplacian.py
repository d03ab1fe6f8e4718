"""The coupling graph of a Hessian H has the parameters as its vertices and W_ij = |H_ij| as the weights of its edges.
With the degrees d_i = Σ_j W_ij and D = diag(d), its plain Laplacian is L = D - W, its normalised one D^-1/2 L D^-1/2.
Both are positive semidefinite, with one eigenvalue zero per component of the graph. The second smallest eigenvalue of L
is the algebraic connectivity λ₂, its eigenvector the Fiedler vector (M. Fiedler 1973, Czech. Math. J. 23, 298). Of the
normalised Laplacian one takes v = D^-1/2 y, which solves L v = μ D v (J. Shi & J. Malik 2000, IEEE PAMI 22, 888).

For a well connected graph both come from products with W, see `davidson.py`.

A weakly connected graph is factorised. L with the row and the column of one vertex taken out is a positive definite
M-matrix; its Cholesky factor gives the pseudoinverse of L, and the smallest eigenvalues but zero are the largest of
M^1/2 L⁺ M^1/2 with M = 1 or D, found in a few steps of a block Krylov method.

Rounding hides a link that is weaker than it in the diagonal of that matrix. So where λ₂ is small the factor is made
without the diagonal: what is left when a vertex is eliminated is a graph again, whose weights are sums of positive
terms, and each pivot is the sum of the weights that its vertex has by then (W. Grassmann, M. Taksar & D. Heyman 1985,
Oper. Res. 33, 1107). Nothing is subtracted, so every link keeps its digits.

Longer than other files: both Laplacians, and both ways to their Fiedler vectors, share a graph's degrees and factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from ...errors import UserError
from ...results.tree import LAPLACIANS, Laplacian
from .coupling import coupling_graph
from .davidson import Pair, well_connected_pairs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DEGENERATE = 1e-6
"""Two eigenvalues whose relative difference is smaller count as one."""

_CHUNK = 256  # rows that are handled at once
_PANEL = 64  # vertices that are eliminated before the other weights follow
_FEW = 32  # rows that are copied at once, few enough for a processor's cache
_BLOCK = 3  # vectors of a Krylov block: two eigenvectors are wanted
_STEPS = 40  # blocks at most; each gains digits geometrically
_ACCURACY = 1e-12  # of an eigenpair: residual relative to the eigenvalue, of the inverse where that is used
_WEAK = 1e-8  # relative to the largest degree, an eigenvalue that is taken again from a factor without subtractions
_HIDDEN = 1e-7  # of the first eigenvalue of the inverse, a second one that rounding may hide
_EQUAL = 1e-8  # relative difference up to which rounding decides which of two magnitudes is the larger
_SCALES = (1.0, 1e100)  # of the largest degree, between which no square overflows, and no weight that counts vanishes
_RANGE = 1e-300  # of the largest weight: up to which another one counts as none, see `components`
_DENSE = 100  # vertices up to which the inverse is written out


@dataclass(frozen=True, kw_only=True)
class FiedlerVector:
    """The smallest eigenpair but the constant one, of a graph's Laplacian.

    Attributes:
        laplacian: which one.
        eigenvalue: of the vector; zero, exactly, where the graph falls into components.
        next_eigenvalue: the one after, to six digits; infinite where there are but two vertices, or where it is more
            than 1e7 times as large.
        vector: shape (n,), of unit length, its entry of largest magnitude positive, or Σ v_i³ where two such differ in
            their signs; of the normalised Laplacian it is D^-1/2 y.
        connectivity: λ₂, the eigenvalue of the plain Laplacian, whichever the vector belongs to.
    """

    laplacian: Laplacian
    eigenvalue: float
    next_eigenvalue: float
    vector: Floats
    connectivity: float

    @property
    def is_degenerate(self) -> bool:
        """Whether the two eigenvalues agree to `DEGENERATE`, so that the vector is one of many."""
        return self.eigenvalue >= (1 - DEGENERATE) * self.next_eigenvalue


def fiedler_vector(W: ArrayLike, *, laplacian: Laplacian = "normalised") -> FiedlerVector:
    """The Fiedler vector of a graph.

    Args:
        W: weights as `coupling_graph` gives them, shape (n, n).
        laplacian: `"normalised"` or `"plain"`.

    Returns:
        The vector with its eigenvalue. Where the graph falls into components, the eigenvalue is zero and the vector has
        one value on the largest component and another one elsewhere. Weights up to 1e-300 of the largest count as none.

    Raises:
        UserError: no such Laplacian, the graph is not a graph, see `coupling_graph`, or its weights are so large that
            an eigenvalue is no number of float64.
    """
    if laplacian not in LAPLACIANS:
        raise UserError(f"laplacian must be one of {', '.join(LAPLACIANS)}, got {laplacian!r}")
    A = coupling_graph(W)
    parts = components(A)
    if len(parts) > 1:
        scale_to_one(A)
        mass = A.sum(axis=1) if laplacian == "normalised" else np.ones(len(A))
        inside = np.zeros(len(A))
        inside[parts[0]] = 1.0
        vector = inside - mass @ inside / mass.sum()
        return FiedlerVector(
            laplacian=laplacian,
            eigenvalue=0.0,
            next_eigenvalue=0.0 if len(parts) > 2 else np.inf,
            vector=_signed(vector),
            connectivity=0.0,
        )
    return ConnectedGraph(A).fiedler_vector(laplacian)


def scale_to_one(W: Floats) -> int:
    """Divide weights, in place, by the power of two that makes the largest one at least 1/2 and below 1.

    Returns:
        The exponent of that power.
    """
    exponent = int(np.frexp(W.max())[1])
    np.ldexp(W, -exponent, out=W)
    return exponent


def components(W: Floats) -> list[Integers]:
    """The vertices of each component of a graph, ascending; the largest first, equal ones by their first vertex.

    Weights up to 1e-300 of the largest one are no edges: beside it, float64 could not hold the eigenvalues they give.
    """
    above = _RANGE * float(W.max())
    unseen = np.ones(len(W), dtype=bool)
    found = []
    while unseen.any():
        frontier = np.array([unseen.argmax()])
        members = [frontier]
        unseen[frontier] = False
        while len(frontier):
            reached = np.zeros(len(W), dtype=bool)
            for vertex in frontier:
                reached |= W[vertex] > above
            frontier = np.flatnonzero(reached & unseen)
            unseen[frontier] = False
            members.append(frontier)
            if not unseen.any():
                break
        found.append(np.sort(np.concatenate(members)))
    return sorted(found, key=lambda part: (-len(part), part[0]))


class ConnectedGraph:
    """A connected graph, in the memory of its weights.

    Where it is factorised, the factor takes the lower triangle of the matrix for as long as it is needed.

    Args:
        W: weights, shape (n, n) with n >= 2, connected; not to be used by anyone else.

    Attributes:
        degrees: shape (n,), those of scaled weights where the given ones are very large or small.
    """

    def __init__(self, W: Floats) -> None:
        self._weights, self._exponent = W, 0
        with np.errstate(over="ignore"):
            self.degrees = W.sum(axis=1)
        if not _SCALES[0] < float(self.degrees.max()) < _SCALES[1]:
            self._exponent = scale_to_one(W)  # exact, but for weights that count as none
            self.degrees = W.sum(axis=1)

    def fiedler_vector(self, laplacian: Laplacian) -> FiedlerVector:
        """The eigenpair of this graph, see the function of that name."""
        pairs = self._by_products(laplacian) if len(self.degrees) > _DENSE else None
        chosen, connectivity = pairs or self._by_factorisation(laplacian)
        return FiedlerVector(
            laplacian=laplacian,
            eigenvalue=self._rescaled(chosen.eigenvalue, laplacian),
            next_eigenvalue=self._rescaled(chosen.next_eigenvalue, laplacian),
            vector=_signed(chosen.vector),
            connectivity=self._rescaled(connectivity, "plain"),
        )

    def _rescaled(self, eigenvalue: float, laplacian: Laplacian) -> float:
        if laplacian != "plain" or not np.isfinite(eigenvalue):
            return eigenvalue
        with np.errstate(over="ignore", under="ignore"):
            rescaled = float(np.ldexp(eigenvalue, self._exponent))
        if np.isinf(rescaled):
            raise UserError(
                f"an eigenvalue of the plain Laplacian is {eigenvalue:.3g} x 2^{self._exponent}, more than float64 "
                "holds; divide the matrix by a constant, which changes no cut"
            )
        return max(rescaled, float(np.finfo(np.float64).smallest_subnormal))  # zero would be said of components

    def conductances(self, order: Integers) -> Floats:
        """Of the cut after each of the first n - 1 vertices of an order: shape (n - 1,).

        Both sums are taken over the side that has less, so that it keeps its digits beside one that has far more.

        Args:
            order: the vertices, shape (n,).
        """
        degrees = self.degrees[order]
        outward = degrees - 2 * self._weight_before(order)  # what a cut gains as it moves past each vertex
        below, above = np.cumsum(degrees)[:-1], np.cumsum(degrees[:0:-1])[::-1]
        cuts = np.where(below <= above, np.cumsum(outward)[:-1], -np.cumsum(outward[:0:-1])[::-1])
        return np.asarray(np.maximum(cuts, 0) / np.minimum(below, above))

    def exact_conductances(self, order: Integers, places: Integers) -> Floats:
        """Of the cuts after some places of an order, from sums of positive terms: every digit of a small one counts.

        Args:
            order: the vertices, shape (n,).
            places: ascending, shape (m,); n numbers are held for each.

        Returns:
            Shape (m,).
        """
        starts = np.concatenate([[0], places + 1])
        is_inside = np.zeros((len(starts), len(order)))
        is_inside[np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order))), order] = 1.0
        between = np.add.reduceat((is_inside @ self._weights)[:, order], starts, axis=1)
        volumes = np.add.reduceat(self.degrees[order], starts)
        return np.array(
            [between[:i, i:].sum() / min(volumes[:i].sum(), volumes[i:].sum()) for i in range(1, len(starts))]
        )

    def _weight_before(self, order: Integers) -> Floats:
        """The weight between each vertex of an order and those before it, shape (n,)."""
        weight, is_before = np.empty(len(order)), np.zeros(len(order))
        for start in range(0, len(order), _FEW):
            some = order[start : start + _FEW]
            rows = self._weights[some]
            weight[start : start + _FEW] = rows @ is_before + np.tril(rows[:, some], -1).sum(axis=1)
            is_before[some] = 1.0
        return weight

    def _by_products(self, laplacian: Laplacian) -> tuple[Pair, float] | None:
        """From products with the weights; None where the graph is weakly connected or they do not converge."""
        pairs = well_connected_pairs(
            self._weights,
            self.degrees,
            accuracy=_ACCURACY,
            next_accuracy=DEGENERATE,
            plain_vector=laplacian == "plain",
        )
        if pairs is None:
            return None
        normalised, plain = pairs
        return normalised if laplacian == "normalised" else plain, plain.eigenvalue

    def _by_factorisation(self, laplacian: Laplacian) -> tuple[Pair, float]:
        """From the inverse of the Laplacian."""
        ones = np.ones(len(self.degrees))
        factor = self._grounded_factor()
        plain = None if factor is None else self._smallest(factor, ones)
        if factor is None or plain is None or plain.eigenvalue < _WEAK * float(self.degrees.max()):
            self._restore_weights()
            factor = self._factor_without_subtractions()
            plain = self._smallest(factor, ones)
        chosen = self._smallest(factor, self.degrees) if laplacian == "normalised" else plain
        self._restore_weights()
        return chosen, plain.eigenvalue

    @property
    def _ground(self) -> int:
        return int(self.degrees.argmax())

    def _grounded_factor(self) -> Floats | None:
        """The Cholesky factor of the Laplacian, one vertex taken out, in the lower triangle of the weights.

        None where rounding has made that matrix singular.
        """
        W, n = self._weights, len(self._weights)
        for start in range(0, n, _CHUNK):
            part = slice(start, start + _CHUNK)
            W[part, : start + _CHUNK] *= -1  # above the diagonal, too; those are put back below
            W[part, part] = np.tril(W[part, part]) - np.triu(W[part, part], 1)
        W[self._ground, : self._ground] = W[self._ground + 1 :, self._ground] = 0.0
        W.flat[:: n + 1] = self.degrees
        # Its transpose is the matrix in LAPACK's order of memory: there the upper triangle is the lower one here.
        factor, info = dpotrf(W.T, lower=0, overwrite_a=1, clean=0)
        return None if info else np.asarray(factor)

    def _factor_without_subtractions(self) -> Floats:
        """The same factor, by eliminating vertices from the graph."""
        W, n, ground = self._weights, len(self._weights), self._ground
        to_ground = W[ground].copy()
        W[ground, :ground] = W[ground + 1 :, ground] = 0.0
        for start in range(0, n, _PANEL):
            width = min(_PANEL, n - start)
            rows = np.column_stack([W[start:, start : start + width].T, to_ground[start : start + width]])
            pivots = np.empty(width)
            for i, row in enumerate(rows):
                row[: i + 1] = 0.0
                pivots[i] = max(row.sum(), np.finfo(np.float64).tiny) if start + i != ground else 1.0
                rows[i + 1 :] += np.outer(row[i + 1 : width] / pivots[i], row)
            left = rows[:, width:-1]
            to_ground[start + width :] += (rows[:, -1] / pivots) @ left
            for first in range(0, left.shape[1], _CHUNK):
                last = min(first + _CHUNK, left.shape[1])
                update = (left[:, first:last] / pivots[:, None]).T @ left[:, :last]
                target = W[start + width + first : start + width + last, start + width : start + width + last]
                target[:, :first] += update[:, :first]
                target[:, first:] += np.tril(update[:, first:], -1)
            below = np.tri(n - start, width, -1, dtype=bool)
            W[start:, start : start + width][below] = -(rows[:, :-1] / np.sqrt(pivots)[:, None]).T[below]
            W.flat[start * (n + 1) : (start + width) * n : n + 1] = np.sqrt(pivots)
        return W.T

    def _restore_weights(self) -> None:
        """The lower triangle from the upper one, in place of the factor."""
        W = self._weights
        for start in range(0, len(W), _CHUNK):
            part = slice(start, start + _CHUNK)
            W[part, :start] = W[:start, part].T
            upper = np.triu(W[part, part], 1)
            W[part, part] = upper + upper.T

    def _smallest(self, factor: Floats, mass: Floats) -> Pair:
        """The two smallest eigenvalues of L v = λ diag(mass) v but zero, and the vector of the first."""
        root = np.sqrt(mass)
        constant = root / np.linalg.norm(root)
        unit = float(factor.diagonal().min())  # the inverse is taken in units of its square

        def inverse(Y: Floats) -> Floats:
            right = unit * root[:, None] * (Y - constant[:, None] * (constant @ Y))
            right[self._ground] = 0.0
            X = unit * root[:, None] * dpotrs(factor, np.asfortranarray(right), lower=0)[0]
            return np.asarray(X - constant[:, None] * (constant @ X))

        (first, second), y = _two_largest(inverse, constant)
        return Pair(unit**2 / first, unit**2 / second if second > _HIDDEN * first else np.inf, y / root)


def _two_largest(operator: Callable[[Floats], Floats], null: Floats) -> tuple[tuple[float, float], Floats]:
    """The two largest eigenvalues of a positive operator with a known null vector, and the vector of the first."""
    n = len(null)
    if n <= _DENSE:
        T = operator(np.eye(n))
        values, vectors = np.linalg.eigh((T + T.T) / 2)
        return (float(values[-1]), float(values[-2]) if n > 2 else 0.0), vectors[:, -1]
    start = np.random.default_rng(0).standard_normal((n, _BLOCK))
    Q = np.linalg.qr(start - null[:, None] * (null @ start))[0]
    V, TV = np.empty((n, 0)), np.empty((n, 0))
    for _ in range(_STEPS):
        V, TV = np.hstack([V, Q]), np.hstack([TV, operator(Q)])
        projected = V.T @ TV
        values, S = np.linalg.eigh((projected + projected.T) / 2)
        vectors = V @ S[:, -2:]
        residuals = np.linalg.norm(TV @ S[:, -2:] - vectors * values[-2:], axis=0)
        if residuals[1] <= _ACCURACY * values[-1] and residuals[0] <= DEGENERATE * max(
            values[-2], _HIDDEN * values[-1]
        ):
            break
        W = TV[:, -_BLOCK:]
        for _ in range(2):
            W = W - V @ (V.T @ W)
            W = np.linalg.qr(W - null[:, None] * (null @ W))[0]
        Q = W
    return (float(values[-1]), float(values[-2])), vectors[:, 1]


def _signed(vector: Floats) -> Floats:
    """Of unit length, with the sign that `FiedlerVector` describes."""
    magnitude = np.abs(vector)
    leading = vector[magnitude >= (1 - _EQUAL) * magnitude.max()]
    scaled = vector / magnitude.max()
    skewness = float((scaled**3).sum())
    is_decided = bool((leading * leading[0] > 0).all()) or abs(skewness) <= _EQUAL * len(vector)
    sign = np.sign(leading[0] if is_decided else skewness)
    return np.asarray(scaled / np.linalg.norm(scaled) * sign)
