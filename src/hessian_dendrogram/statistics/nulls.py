r"""What chance gives for the purity of directions: rotations of them inside their span, and p-values.

For directions whose effects u_i have shares in groups, s_ig = ‖Π_g u_i‖² / ‖u_i‖² with orthogonal projections Π_g, the
*purity* of a direction is max_g s_ig. Two chances are compared with it:

- *Gaussian*: the purity of Gaussian directions in the space of all parameters. It says what a direction must exceed to
  be more than any other direction;
- *rotation*: the purity of w = Q û, with û_i = u_i / ‖u_i‖ and a Haar-distributed orthogonal Q. It says what a basis
  must exceed to be more than any other basis of the same space. Effects of their own lengths would not do: their
  rotations are all alike, ruled by the longest.

Both need the Gram matrices of the projected effects alone, A_g = (Π_g u_i · Π_g u_j), and the maximum over groups is
taken in the null as it is in what is observed. p = (1 + #) / (1 + B) with # of B draws at least as pure (Phipson &
Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, 39); over several directions by Holm (1979, Scand. J. Stat. 6, 65).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Floats = NDArray[np.float64]

_TIE = 1e-9  # purities that are the same but for rounding are counted as such


def rotations(count: int, size: int, random: np.random.Generator) -> Floats:
    """Haar-distributed orthogonal matrices, by the QR decomposition of Gaussian ones: shape (count, size, size).

    The signs of R's diagonal are given to Q, without which Q is not Haar-distributed (Mezzadri 2007, Notices AMS 54,
    592).
    """
    Q, R = np.linalg.qr(random.normal(size=(count, size, size)))
    signs: Floats = np.sign(np.diagonal(R, axis1=1, axis2=2))
    return np.asarray(Q * signs[:, None, :])


def rotated_purities(grams: Floats, *, num_groups: int, draws: int, seed: int) -> Floats:
    """Purities of rotated unit effects.

    Args:
        grams: A_g of every group and of what is in none, shape (parts, m, m); their sum is that of the effects. No
            diagonal entry of the sum is zero.
        num_groups: how many of the parts, the first ones, count for the maximum.
        draws: B.
        seed: of the rotations.

    Returns:
        Shape (draws, m): the purity of each of the m directions of a rotated basis.
    """
    lengths = np.sqrt(np.diagonal(grams.sum(axis=0)))
    Q = rotations(draws, len(lengths), np.random.default_rng(seed))
    largest, whole = np.zeros(Q.shape[:2]), np.zeros(Q.shape[:2])
    for number, gram in enumerate(grams / np.outer(lengths, lengths)):
        # A sum of squares: where parallel effects cancel, rounding can leave it a little below zero.
        part = np.maximum(np.einsum("bij,bij->bi", Q @ gram, Q), 0)
        whole += part
        if number < num_groups:
            np.maximum(largest, part, out=largest)
    return np.divide(largest, whole, out=np.zeros_like(whole), where=whole > 0)


def rotation_nulls(
    grams: Floats, has_effect: NDArray[np.bool_], *, counts: Sequence[int], draws: int, seed: int
) -> tuple[Floats, Floats]:
    """Purities of rotated bases of all directions that have an effect, and mean purities of the leading ones of them.

    Args:
        grams: as for `rotated_purities`, of m directions; the last part is what is in no group.
        has_effect: which directions are rotated, shape (m,).
        counts: numbers of leading directions.
        draws: B.
        seed: of the rotations.

    Returns:
        Shape (draws, m), NaN for directions without effect; and shape (draws, counts), NaN where none has one.
    """
    m = len(has_effect)
    purities, means = np.full((draws, m), np.nan), np.full((draws, len(counts)), np.nan)
    for count in {*counts, m}:
        chosen = np.flatnonzero(has_effect[:count])
        if not len(chosen):
            continue
        part = grams[:, chosen[:, None], chosen]
        found = rotated_purities(part, num_groups=len(grams) - 1, draws=draws, seed=seed + count)
        means[:, [at for at, one in enumerate(counts) if one == count]] = found.mean(axis=1, keepdims=True)
        if count == m:
            purities[:, chosen] = found
    return purities, means


def p_values(observed: Floats, null: Floats) -> Floats:
    """(1 + #) / (1 + B), # of B draws being at least as large as what is observed.

    Args:
        observed: shape (m,); NaN gives NaN.
        null: shape (B,), or (B, m) for draws of each one's own.

    Raises:
        UserError: there are no draws.
    """
    if not len(null):
        raise UserError("a p-value needs draws of its null, got none")
    draws = null[:, None] if null.ndim == 1 else null
    found = (1 + (draws >= observed - _TIE).sum(axis=0)) / (1 + len(draws))
    return np.where(np.isnan(observed), np.nan, found)


def holm(p: Floats) -> Floats:
    """p-values adjusted so that at the level α no more than a share α of all families has a false one: shape (m,).

    Those that are NaN are no part of the family, and stay.
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    ascending = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(known), 0, -1)
    adjusted[ascending] = np.minimum(1.0, np.maximum.accumulate(factors * p[ascending])) if len(known) else 0
    return adjusted
