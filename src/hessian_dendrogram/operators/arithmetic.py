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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from .risk import Risk

_DRAWS = 4
_MOVE = 1.0  # coarse unit roundoffs


def arithmetic_error(risk: Risk, products: Callable[[Tensor], Tensor], seed: int) -> float:
    """A bound on ‖E‖₂ that holds with probability 0.9999, from 16 products.

    Args:
        risk: in float64, of few samples.
        products: of the operator over that risk, on graphs of their own, none of which is kept.
        seed: of the vectors and of the moves.
    """
    if risk.roundoff <= torch.finfo(torch.float64).eps:
        return 0.0
    generator = torch.Generator().manual_seed(seed)
    omega = torch.randn(risk.layout.size, _DRAWS, dtype=torch.float64, generator=generator).to(risk.device)
    here = products(omega)
    largest = 0.0
    for draw in range(_DRAWS):
        move = _MOVE * risk.roundoff * risk.random_direction(seed=seed + 1 + draw)
        vector = omega[:, draw : draw + 1]
        apart = -2 * here[:, draw : draw + 1]
        for sign in (1, -1):
            with risk.moved(sign * move):
                apart = apart + products(vector)
        largest = max(largest, float(torch.linalg.vector_norm(apart)) / math.sqrt(6))
    with suppress(Exception), risk.ruled(replace(risk.rules, widen=True, promote=True)):
        apart = products(omega) - here
        largest = max(largest, float(torch.linalg.vector_norm(apart, dim=0).max()))
    return 10 * math.sqrt(2 / math.pi) * largest
