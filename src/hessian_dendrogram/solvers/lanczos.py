"""The outermost eigenvalues and eigenvectors of an operator that is known by its products alone.

Block Lanczos with full reorthogonalisation and thick restarts (Golub & Underwood 1977; Wu & Simon 2000, SIAM J. Matrix
Anal. Appl. 22, 602): `krylov.py` has the step. When the basis is full, the Ritz vectors at both ends and some more are
kept, and the iteration goes on from there.

What is proved, and what is experience: for a unit vector v, *some* eigenvalue lies within ‖A v - θ v‖ of θ, so each
reported value has a true one within its bound, whatever the iteration did. Where a model computes in coarser arithmetic
than float64, the products are those of a matrix that is a little off; an estimate of that (`operators/arithmetic.py`)
is part of the bound, and makes it an estimate. That no eigenvalue of a converged end is
missing is experience, not a theorem: a vector that is orthogonal to every start block would not be found. So once both
ends have converged, a random block in the complement of all that was found has to find nothing that belongs there.

Longer than other files: the iteration, and what vouches for its result, stand together.
"""

from __future__ import annotations

import inspect
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InterruptedSolverError, UserError
from ..operators.operator import CurvatureOperator
from ..progress import bar
from ..results.spectrum import Spectrum
from .krylov import ROUNDING, KrylovBasis, ProductError, strips

MEMORY_BUDGET = 5 * 2**29  # bytes
_PROBE = 6  # blocks that look for what was missed
_AT_ONCE = 16  # products at the end
_FEW = 10  # rows of a matrix up to which the rounding of a product does not grow with them


def lanczos_spectrum(
    operator: CurvatureOperator,
    *,
    top: int = 200,
    bottom: int = 200,
    tolerance: float = 1e-6,
    bottom_tolerance: float | None = None,
    block_size: int | None = None,
    max_products: int = 4000,
    memory_budget: int = MEMORY_BUDGET,
    trace_probes: int = 32,
    seed: int = 0,
    progress: bool = False,
) -> Spectrum:
    """The `top` largest and the `bottom` smallest eigenvalues, with eigenvectors and error bounds.

    Args:
        operator: n x n.
        top: how many of the largest; all eigenvalues where `top` and `bottom` add up to n or more.
        bottom: how many of the smallest.
        tolerance: a pair has converged once its residual is at most this times the largest magnitude of its own end.
        bottom_tolerance: the same for the bottom; default `tolerance`.
        block_size: columns of a block, the largest multiplicity that is found; default a 25th of the wanted pairs, 4 at
            least and 16 at most. Larger blocks make the orthogonalisation cheaper and need more products.
        max_products: products with single vectors before the iteration gives up; the residuals at the end take
            top + bottom more, and the trace `trace_probes`, in float64 whatever the operator's own type is.
        memory_budget: bytes for the basis and the projected matrix; restarts keep to it. Twice the wanted vectors at
            least have to fit.
        trace_probes: random vectors that estimate the trace of what lies between the ends, by Hutchinson's method on
            the complement of the vectors found; its value and standard error go to `provenance["trace"]`. Fewer than
            2 leave it out.
        seed: of the random start.
        progress: show a bar with the number of converged pairs.

    Returns:
        A partial spectrum, or a complete one where everything was asked for. `converged` says which pairs are within
        the tolerance; where `max_products` came first, the others have error bounds that say how far they are.

    Raises:
        UserError: nothing is asked for, more than the matrix has or the memory holds, a number is out of range, the
            operator is not symmetric, or its first product fails.
        InterruptedSolverError: a later product raised or is not finite; the error's `spectrum` holds what had been
            found, with the iteration's own estimates of the residuals as bounds where the true ones were not known yet.
    """
    n = operator.shape[0]
    ends, block_size, capacity = _checked_options(
        n,
        top=top,
        bottom=bottom,
        tolerance=tolerance,
        bottom_tolerance=bottom_tolerance,
        block_size=block_size,
        max_products=max_products,
        memory_budget=memory_budget,
    )
    top, bottom = ends.top, ends.bottom
    krylov = KrylovBasis(operator, capacity, seed)
    with bar(top + bottom, "eigenpairs", "pair", shown=progress) as shown:
        verified = num_bottom = None
        try:
            num_bottom = _iterate(krylov, ends, block_size, max_products, shown)
            verified = _verified(krylov, ends, num_bottom)
            return _with_trace(_with_arithmetic(verified, operator, seed), krylov, trace_probes)
        except ProductError as error:
            cause, reason = error.__cause__, str(error)
            if not krylov.size:
                raise UserError(f"the first product failed: {reason}") from cause
            partial = _unverified(krylov, ends, num_bottom) if verified is None else verified
            partial = replace(partial, provenance={**partial.provenance, "interrupted": reason})
            with suppress(Exception):  # of an operator that fails: the bound is then that of the solver alone
                partial = _with_arithmetic(partial, operator, seed)
            found = [int(part.sum()) for part in np.split(partial.converged, [partial.num_bottom])]
            converged = (
                f"{sum(found)} of {n} eigenvalues"
                if top == n
                else f"{found[1]} of {top} largest and {found[0]} of {bottom} smallest eigenvalues"
            )
            raise InterruptedSolverError(
                f"{reason}, after {krylov.products} products; {converged} had converged"
                + (", by the iteration's own estimates" if verified is None else "; the trace was not estimated"),
                partial,
            ) from cause


@dataclass(frozen=True)
class _Ends:
    """What is wanted at both ends: how many pairs, and their residuals relative to the end's largest magnitude."""

    top: int
    bottom: int
    top_tolerance: float
    bottom_tolerance: float

    def numbers(self, krylov: KrylovBasis) -> tuple[int, int]:
        """How many of the ascending Ritz values of a basis count as the bottom's, and how many as the top's.

        Until a restart has kept vectors of both ends, each end has half of the values at most.
        """
        size, dim = krylov.rows.shape
        if size == dim or krylov.is_reduced:
            return self.bottom, self.top
        lower = size // 2 if self.top == dim else min(self.bottom, size // 2)
        return lower, min(self.top, (size + 1) // 2)

    def within_tolerance(self, values: Tensor, residuals: Tensor, norm: float) -> tuple[Tensor, Tensor]:
        """Which Ritz pairs, of ascending values, would count as converged at the bottom, and which at the top."""
        least = ROUNDING[torch.float64] * norm  # an end at zero has no scale of its own
        scales = self.bottom_tolerance * float(values[0].abs()), self.top_tolerance * float(values[-1].abs())
        return residuals <= max(scales[0], least), residuals <= max(scales[1], least)


def check_options(n: int, **options: Any) -> None:
    """Refuse options that `lanczos_spectrum` would refuse for a matrix of n rows, before there is one.

    Raises:
        UserError: an option is unknown, or its value cannot be used.
    """
    known = {
        name: parameter.default
        for name, parameter in inspect.signature(lanczos_spectrum).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in ("seed", "progress")
    }
    if unknown := sorted(set(options) - set(known)):
        raise UserError(f"lanczos has no option {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = known | options
    probes = chosen.pop("trace_probes")
    if not (isinstance(probes, Integral) and int(probes) >= 0):
        raise UserError(f"trace_probes must be a whole number >= 0, got {probes!r}")
    try:
        _checked_options(n, **chosen)
    except TypeError:
        raise UserError(f"the options of lanczos are numbers, got {options}") from None


def _checked_options(
    n: int,
    *,
    top: int,
    bottom: int,
    tolerance: float,
    bottom_tolerance: float | None,
    block_size: int | None,
    max_products: int,
    memory_budget: int,
) -> tuple[_Ends, int, int]:
    """What is wanted at the ends, the columns of a block, and the vectors that the basis can hold."""
    if not all(isinstance(number, Integral) for number in (top, bottom, max_products, block_size or 1)):
        raise UserError(
            f"top, bottom, max_products and block_size must be whole numbers, got {top}, {bottom}, {max_products} and "
            f"{block_size}"
        )
    bottom_tolerance = tolerance if bottom_tolerance is None else bottom_tolerance
    if min(top, bottom) < 0 or top + bottom == 0:
        raise UserError(f"top and bottom must be >= 0 and one of them > 0, got {top} and {bottom}")
    if max(top, bottom) > n:
        raise UserError(f"top and bottom must be at most {n}, the size of the matrix, got {top} and {bottom}")
    block_size = min(16, max(4, (top + bottom) // 25)) if block_size is None else block_size
    if min(block_size, max_products) < 1 or not min(tolerance, bottom_tolerance) > 0:
        raise UserError(
            f"block_size and max_products must be >= 1 and the tolerances > 0, got {block_size}, {max_products}, "
            f"{tolerance} and {bottom_tolerance}"
        )
    if top + bottom >= n:
        top, bottom = n, 0
    ends = _Ends(top, bottom, tolerance, bottom_tolerance)
    block_size = min(block_size, n)
    return ends, block_size, _capacity(n, ends, block_size, memory_budget)


def _capacity(n: int, ends: _Ends, block_size: int, memory_budget: int) -> int:
    """How many basis vectors a budget holds, with the projected matrix and the work space of its eigensolver."""

    def size(count: int) -> int:
        return 8 * (n * count + 4 * count**2)

    least = min(n, 2 * (ends.top + ends.bottom) + 4 * block_size)
    if size(least) > memory_budget:
        raise UserError(
            f"{ends.top} + {ends.bottom} pairs of size {n} need a basis of {least} vectors and a memory_budget of "
            f"{size(least)} bytes, got {memory_budget}; ask for fewer pairs or give more memory"
        )
    return min(n, int((math.sqrt(n**2 + 2 * memory_budget) - n) / 8))


def _iterate(krylov: KrylovBasis, ends: _Ends, block_size: int, max_products: int, bar: Any) -> int:
    """Expand and restart until both ends have converged and a probe finds nothing more.

    Leaves the wanted Ritz pairs in the basis, and returns how many of them belong to the bottom.
    """
    krylov.start(block_size)
    check, is_probed = 0, False
    while True:
        krylov.expand()
        is_last = krylov.size == krylov.all_rows.shape[1] or krylov.products >= max_products
        if not (krylov.is_full or is_last or krylov.size >= check):
            continue
        values, S, residuals = krylov.ritz()
        bottom, top = ends.numbers(krylov)
        low, high = ends.within_tolerance(values, residuals, krylov.norm)
        found = int(low[:bottom].sum()), int(high[len(values) - top :].sum())
        is_done = found[0] == ends.bottom, found[1] == ends.top
        bar.set_postfix({"top": found[1], "bottom": found[0]}, refresh=False)
        bar.update(sum(found) - bar.n)
        if is_last or (all(is_done) and is_probed):
            krylov.restart(_both_ends(S, bottom, top), _both_ends(values, bottom, top))
            krylov.shrink()
            return bottom
        if is_probed := all(is_done):
            krylov.restart(_both_ends(S, bottom, top), _both_ends(values, bottom, top))
            krylov.start(block_size)
            check = min(krylov.size + _PROBE * block_size, krylov.capacity)
            continue
        if krylov.is_full:
            bottom, top = _kept(is_done, (bottom, top), (low, high), krylov.capacity * 7 // 10)
            krylov.restart(_both_ends(S, bottom, top), _both_ends(values, bottom, top))
            krylov.restarts += 1
        check = krylov.size + max(2 * block_size, krylov.size // 8)


def _kept(
    is_done: tuple[bool, bool], numbers: tuple[int, int], converged: tuple[Tensor, Tensor], most: int
) -> tuple[int, int]:
    """How many Ritz vectors of the bottom and of the top to keep in a restart, `most` in all.

    An end that has converged keeps what has converged beyond the wanted pairs: without its vectors these outliers would
    have to be found again, and the other end would wait for them. The rest goes to the ends that have not converged,
    where more vectors speed up the wanted ones.
    """
    low, high = converged
    beyond = int(low.int().cumprod(0).sum()), int(high.flip(0).int().cumprod(0).sum())
    spare = most - sum(numbers)
    kept = list(numbers)
    for end in (0, 1):
        if is_done[end] and not is_done[1 - end]:
            kept[end] += min(max(0, beyond[end] - numbers[end]), 9 * spare // 10)
    spare = most - sum(kept)
    for end in (0, 1):
        if not is_done[end]:
            kept[end] += spare // (2 - sum(is_done))
    return kept[0], kept[1]


def _both_ends(ascending: Tensor, bottom: int, top: int) -> Tensor:
    """The first `bottom` and the last `top` along the last axis."""
    count = ascending.shape[-1]
    return torch.cat([ascending[..., :bottom], ascending[..., count - top :]], dim=-1)


def _verified(krylov: KrylovBasis, ends: _Ends, num_bottom: int) -> Spectrum:
    """The Ritz pairs, alone in the basis by now, with residuals of the true operator in float64.

    In place as far as it goes: beside the vectors only their products are held.
    """
    operator, X = krylov.operator.with_dtype(torch.float64), krylov.rows
    lower = torch.linalg.cholesky(X @ X.T)  # orthonormal to more digits than many restarts have left
    for columns in strips(X):
        columns[:] = torch.linalg.solve_triangular(lower, columns, upper=False)
    AX = torch.empty_like(X)
    for start in range(0, len(X), _AT_ONCE):
        AX[start : start + _AT_ONCE] = krylov.product(operator, X[start : start + _AT_ONCE])
    projected = AX @ X.T
    values, rotation = torch.linalg.eigh((projected + projected.T) / 2)
    for rows in (X, AX):
        for columns in strips(rows):
            columns[:] = rotation.T @ columns
    for residual, row, value in zip(AX, X, values, strict=True):
        residual -= value * row
    return _spectrum(krylov, ends, values, X, torch.linalg.vector_norm(AX, dim=1), num_bottom)


def _with_arithmetic(spectrum: Spectrum, operator: CurvatureOperator, seed: int) -> Spectrum:
    """The same, with what coarse arithmetic inside the operator may have done added to every bound."""
    error = operator.arithmetic_error(seed)
    sources = {**spectrum.provenance["error_sources"], "arithmetic": error}
    return replace(
        spectrum,
        error_bounds=spectrum.error_bounds + error,
        provenance={**spectrum.provenance, "error_sources": sources},
    )


def _with_trace(spectrum: Spectrum, krylov: KrylovBasis, probes: int) -> Spectrum:
    """The same, with an estimate of the trace: tr A = tr Xᵀ A X + E zᵀ P A P z, P = 1 - X Xᵀ for the eigenvectors X.

    Hutchinson 1989; deflation as in Meyer et al. 2021 (Hutch++).
    """
    if probes < 2 or spectrum.is_complete:
        return spectrum
    X = torch.from_numpy(spectrum.eigenvectors).to(krylov.all_rows.device)
    Z = torch.randint(2, (probes, len(X)), generator=krylov.generator).to(X) * 2 - 1
    Z -= (Z @ X) @ X.T
    samples = (krylov.product(krylov.operator.with_dtype(torch.float64), Z) * Z).sum(dim=1)
    trace = {
        "value": float(spectrum.eigenvalues.sum() + float(samples.mean())),
        "standard_error": float(samples.std()) / math.sqrt(probes),
        "probes": probes,
    }
    return replace(spectrum, provenance={**spectrum.provenance, "products": krylov.products, "trace": trace})


def _unverified(krylov: KrylovBasis, ends: _Ends, num_bottom: int | None) -> Spectrum:
    """The Ritz pairs with the residuals that the iteration estimates, where no more products can be had.

    Where the iteration had ended they are alone in the basis, and `num_bottom` of them belong to the bottom.
    """
    values, S, residuals = krylov.ritz()
    bottom, top = ends.numbers(krylov) if num_bottom is None else (num_bottom, krylov.size - num_bottom)
    values, S, residuals = (_both_ends(part, bottom, top) for part in (values, S, residuals))
    return _spectrum(krylov, ends, values, S.T @ krylov.rows, residuals + krylov.rounding * krylov.norm, bottom)


def _spectrum(
    krylov: KrylovBasis, ends: _Ends, values: Tensor, X: Tensor, residuals: Tensor, num_bottom: int
) -> Spectrum:
    """Of eigenvectors as rows, which it may overwrite."""
    n = X.shape[1]
    low, high = ends.within_tolerance(values, residuals, krylov.norm)
    rounding = max(n, _FEW) * np.finfo(np.float64).eps / 2 * krylov.norm
    for row in X:
        row *= -1 if float(row[row.abs().argmax()]) < 0 else 1
    return Spectrum(
        eigenvalues=values.cpu().numpy(),
        error_bounds=residuals.cpu().numpy() + rounding,
        dim=n,
        num_bottom=n if len(values) == n else num_bottom,
        num_top=n if len(values) == n else len(values) - num_bottom,
        converged=torch.cat([low[:num_bottom], high[num_bottom:]]).cpu().numpy(),
        eigenvectors=X.cpu().numpy().T,
        vector_indices=np.arange(len(values)),
        provenance={
            **krylov.operator.describe(),
            "solver": "lanczos",
            "products": krylov.products,
            "tolerances": {"top": ends.top_tolerance, "bottom": ends.bottom_tolerance},
            "restarts": krylov.restarts,
            "seed": krylov.seed,
            "error_sources": {"largest_residual": float(residuals.max()), "rounding": float(rounding)},
        },
    )
