r"""How far arithmetic inside a model that is coarser than float64 puts the matrix off.

A loss that takes `logits.float()`, a norm or a softmax that is always computed in float32: the products of a float64
operator are then those of H + E, with an E that has the size of float32 rounding. Rounding is another one at parameters
that are a little different. In the second difference

    H(θ + δ) ω + H(θ - δ) ω - 2 H(θ) ω

what is smooth in θ cancels to the order δ², and three independent roundings remain, √6 times as large as one. δ is
the coarse roundoff, relative to the parameters: enough to change most of the roundings (a relative 1e-10 changes one in
a thousand of those in float32, and shows a thirtieth of the error), too little for many units to pass a kink. With
Gaussian ω, for the error E of one rounding,

    ‖E‖₂ <= 10 √(2/π) max_i ‖E ω_i‖₂   with probability 1 - 10^{-r} for r vectors

(Halko, Martinsson & Tropp 2011, lemma 4.1). What is rounded in the same way whatever θ is (targets, a factor of 0.1,
1/N) does not show there. It does in products that are taken with every conversion to a coarser type left out, as far as
Python calls them; the larger of the two estimates counts. Where all arithmetic is in float64 the error is that of the
solver's own rounding, and this one is zero.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .hessian import Hessian

_DRAWS = 4
_MOVE = 1.0  # coarse unit roundoffs


def arithmetic_error(hessian: Hessian, seed: int) -> float:
    """A bound on ‖E‖₂ that holds with probability 0.9999, from 16 products on at most 256 samples.

    Args:
        hessian: in float64.
        seed: of the vectors and of the moves.
    """
    if hessian.roundoff <= torch.finfo(torch.float64).eps:
        return 0.0
    checked = hessian.for_error_check()
    generator = torch.Generator().manual_seed(seed)
    omega = torch.randn(hessian.shape[0], _DRAWS, dtype=torch.float64, generator=generator).to(hessian.device)
    here = _products(checked, omega)
    largest = 0.0
    for draw in range(_DRAWS):
        move = _MOVE * hessian.roundoff * hessian.random_direction(seed=seed + 1 + draw)
        vector = omega[:, draw : draw + 1]
        apart = -2 * here[:, draw : draw + 1]
        for sign in (1, -1):
            with checked.moved(sign * move):
                apart = apart + _products(checked, vector)
        largest = max(largest, float(torch.linalg.vector_norm(apart)) / math.sqrt(6))
    with suppress(Exception), checked.ruled(replace(checked.rules, widen=True, promote=True)):
        apart = _products(checked, omega) - here
        largest = max(largest, float(torch.linalg.vector_norm(apart, dim=0).max()))
    return 10 * math.sqrt(2 / math.pi) * largest


def _products(hessian: Hessian, vectors: Tensor) -> Tensor:
    """Products on graphs of their own, none of which is kept."""
    total = torch.zeros_like(vectors)
    for inputs, targets, share in hessian.weighted_batches():
        total += hessian.product_of_batch((inputs, targets), vectors) * share
    return total
