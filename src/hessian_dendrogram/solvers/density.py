"""The density of the eigenvalues of an operator that is known by its products: stochastic Lanczos quadrature.

For a function f, tr f(A) / n is the mean of zᵀ f(A) z over unit vectors z. Lanczos from z gives a tridiagonal T; with
its eigenvalues θ_j and the first entries τ_j of its eigenvectors,

    zᵀ f(A) z ≈ Σ_j τ_j² f(θ_j),

a Gauss quadrature, exact for polynomials of degree up to 2 · steps - 1 (Golub & Meurant 1994; Ubaru, Chen & Saad 2017,
SIAM J. Matrix Anal. Appl. 38, 1075). Full reorthogonalisation keeps it one (`krylov.py`, with blocks of one vector).

*Deflation.* A few eigenvalues of a Hessian are larger than all others by orders of magnitude; the weight of such a one
in a random vector is χ²-distributed with one degree of freedom, so few probes say little about it, and the spread of
these says little about their error. So the outermost eigenpairs (Θ, X) are computed first, to a tolerance, and count
as they are. The probes are drawn from the complement of X, uniformly from its sphere, and only P A P with P = 1 - X Xᵀ
is estimated: as in Hutch++ (Meyer, Musco, Musco & Woodruff 2021), with eigenvectors in place of a sketch. The probes
know nothing of how X was found, so they are independent, and Student's t applies. (In XTrace, Epperly, Tropp & Webber
2024, SIAM J. Matrix Anal. Appl. 45, 1, each test vector is used for both, which makes the trace more accurate per
product; but its samples depend on each other, and it gives no quadrature.)

*Errors.* A and X Θ Xᵀ + P A P differ by the residuals R = A X - X Θ, which moves no eigenvalue by more than ‖R‖, and
powers of it only in second order. Rounding of products, and coarse arithmetic inside the model, are added to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InterruptedSolverError, UserError
from ..operators.operator import CurvatureOperator
from ..progress import bar
from ..results.density import Density
from ..results.spectrum import Spectrum
from .density_ends import eigenvectors_of, known_ends
from .diagonal import with_diagonal
from .krylov import KrylovBasis, ProductError
from .lanczos import MEMORY_BUDGET, check_options
from .random_streams import generator_for

LEAST_PROBES = 10


def spectral_density(
    operator: CurvatureOperator,
    *,
    probes: int = 16,
    steps: int = 100,
    ends: int = 10,
    diagonal_probes: int = 0,
    memory_budget: int = MEMORY_BUDGET,
    seed: int = 0,
    progress: bool = False,
) -> Density:
    """How the eigenvalues are spread; `statistics.density` makes moments, counts and curves of it.

    Args:
        operator: n x n.
        probes: random vectors, `LEAST_PROBES` or more; the errors fall with the root of their number.
        steps: of Lanczos for each of them: details finer than about the range over `steps` are not seen.
        ends: eigenvalues looked for at each end before, with at most probes · steps / 2 products; those that converge
            are known one by one, and the probes are orthogonal to their eigenvectors. 0 leaves that out; the errors of
            a spectrum with few large eigenvalues are then too small.
        diagonal_probes: random vectors more that estimate the diagonal; 0 leaves it out.
        memory_budget: bytes for the bases of the probes, which go through the steps together as far as they fit.
        seed: of all random vectors.
        progress: show a bar.

    Returns:
        The density. Where all eigenvalues converged it consists of them.

    Raises:
        UserError: a number is out of range, the basis of a single probe does not fit, the operator is not symmetric,
            or its first product fails.
        InterruptedSolverError: a later product failed; the error's `spectrum` is the density of the steps until then.
    """
    n = operator.shape[0]
    check_density_options(n, probes, steps, ends, diagonal_probes, memory_budget)
    known, products = known_ends(operator, ends, probes * steps // 2, memory_budget, seed, progress)
    X = eigenvectors_of(operator, known)
    hidden = n - len(X)
    reason, cause = "", None
    bases: list[KrylovBasis] = []
    if hidden:
        at_once = max(1, min(probes, memory_budget // (8 * n * min(steps, hidden))))
        generator = generator_for("probes of a density", seed)  # which know nothing of how X was found
        largest = 0.0 if known is None else float(np.abs(known.eigenvalues).max())
        with bar(probes * min(steps, hidden), "density", "product", shown=progress) as shown:
            try:
                for start in range(0, probes, at_once):
                    count = min(at_once, probes - start)
                    several = _started(operator, X, count, min(steps, hidden), generator, largest)
                    bases += several
                    for done in _expanded(operator, X, several):
                        shown.update(done)
            except ProductError as error:
                cause, reason = error.__cause__, str(error)
                bases = [basis for basis in bases if basis.size]
                if len(bases) < 2:
                    raise UserError(f"the first product failed: {reason}") from cause
    products += sum(basis.products for basis in bases)
    facts = {"products": products, "seed": seed} | ({"interrupted": reason} if reason else {})
    found = _density(operator, known, bases, hidden, facts, seed)
    if reason:
        kept = f"the density of {found.nodes.shape[1]} steps was kept"
        raise InterruptedSolverError(f"{reason}, after {products} products; {kept}", found) from cause
    return with_diagonal(operator, found, X, diagonal_probes, seed) if diagonal_probes else found


def check_density_options(n: int, probes: int, steps: int, ends: int, diagonal_probes: int, memory_budget: int) -> None:
    """Refuse options that `spectral_density` cannot use for a matrix of n rows.

    Raises:
        UserError: a number is no whole one or out of range, or the basis of a single probe does not fit in memory.
    """
    least = {"probes": LEAST_PROBES, "steps": 1, "ends": 0, "diagonal_probes": 0, "memory_budget": 1}
    given = dict(zip(least, (probes, steps, ends, diagonal_probes, memory_budget), strict=True))
    for name, value in given.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least[name]:
            raise UserError(f"{name} of a density must be a whole number >= {least[name]}, got {value!r}")
    if diagonal_probes == 1:
        raise UserError("diagonal_probes of a density must be 0, or 2 or more for an error; got 1")
    if (needed := 8 * n * min(steps, n)) > memory_budget:
        raise UserError(
            f"a density by {steps} steps on {n} parameters needs a memory_budget of {needed} bytes, got "
            f"{memory_budget}; take fewer steps or give more memory"
        )
    if ends:
        check_options(n, top=min(ends, n), bottom=min(ends, n), memory_budget=memory_budget)


def _started(
    operator: CurvatureOperator, X: Tensor, count: int, steps: int, generator: torch.Generator, largest: float
) -> list[KrylovBasis]:
    """Bases that begin with random unit vectors, uniform on the sphere of the complement of X."""
    bases = []
    for _ in range(count):
        basis = KrylovBasis(operator, steps, 0)
        basis.norm = largest  # below its rounding, what is left of a product means nothing
        z = torch.randn(1, X.shape[1], dtype=torch.float64, generator=generator).to(X.device)
        basis.start_at(_in_complement(z, X))
        bases.append(basis)
    return bases


def _in_complement(rows: Tensor, X: Tensor) -> Tensor:
    """The same rows, orthogonal to X, twice for what rounding leaves, and of unit length."""
    for _ in range(2 if len(X) else 0):
        rows = rows - (rows @ X.T) @ X
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / lengths


def _expanded(operator: CurvatureOperator, X: Tensor, bases: list[KrylovBasis]) -> Iterator[int]:
    """Take all steps of some bases together; yields the number of products after each."""
    going = bases
    while going:
        Q = _in_complement(torch.cat([basis.Q for basis in going]), X)
        W = going[0].product(operator, Q)
        W -= (W @ X.T) @ X
        for basis, own, product in zip(going, Q, W, strict=True):
            basis.Q = own[None]
            basis.take(product[None])
        yield len(going)
        going = [basis for basis in going if basis.size < basis.capacity and not _is_closed(basis)]


def _is_closed(basis: KrylovBasis) -> bool:
    """Whether the basis spans an invariant subspace, so that it is coupled to nothing more."""
    return not len(basis.Q) or float(basis.B.abs().max()) == 0


def _density(
    operator: CurvatureOperator,
    known: Spectrum | None,
    bases: list[KrylovBasis],
    hidden: int,
    facts: dict[str, Any],
    seed: int,
) -> Density:
    """Of what the bases hold."""
    is_interrupted = "interrupted" in facts
    pairs = [torch.linalg.eigh(basis.projection.cpu()) for basis in bases]
    steps = max((len(values) for values, _ in pairs), default=0)
    nodes, weights = np.empty((len(bases), steps)), np.zeros((len(bases), steps))
    for row, (values, S) in enumerate(pairs):
        nodes[row] = np.pad(values.numpy(), (0, steps - len(values)), mode="edge")
        weights[row, : len(values)] = S[0].square().numpy() / float(S[0].square().sum())
    values = np.empty(0) if known is None else known.eigenvalues
    bounds = np.empty(0) if known is None else known.error_bounds
    coupling = float(np.sqrt((bounds**2).sum()))
    arithmetic = 0.0
    if known is not None:
        arithmetic = float(known.provenance["error_sources"]["arithmetic"])
    else:
        with suppress(Exception) if is_interrupted else nullcontext():  # of an operator that fails
            arithmetic = operator.arithmetic_error(seed)
    finest = float(np.finfo(np.float64).eps) * float(np.abs(values).max(initial=0))
    rounding = max([finest, *(basis.rounding * float(np.abs(nodes).max()) for basis in bases[:1])])
    return Density(
        dim=operator.shape[0],
        nodes=nodes,
        weights=weights,
        is_exact=np.array([basis.size == hidden or _is_closed(basis) for basis in bases], dtype=bool),
        node_bounds=np.full(len(bases), coupling + rounding + arithmetic),
        eigenvalues=values,
        error_bounds=bounds,
        num_bottom=0 if known is None else known.num_bottom,
        num_top=0 if known is None else known.num_top,
        provenance={
            **operator.describe(),
            "solver": "density",
            **facts,
            "error_sources": {"coupling": coupling, "rounding": rounding, "arithmetic": arithmetic},
        },
    )
