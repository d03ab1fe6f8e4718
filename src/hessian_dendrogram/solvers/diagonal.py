"""The diagonal of an operator, by random signs, what is known of its eigenpairs taken as it is.

With eigenpairs (θ_j, x_j) and B = A - Σ_j θ_j x_j x_jᵀ, for a vector z of random signs

    a_ii = Σ_j θ_j x_ij² + E z_i (B z)_i,

with the variance Σ_{k ≠ i} B_ik² of one z (Hutchinson 1989; Bekas, Kokiopoulou & Saad 2007, Appl. Numer. Math. 57,
1214). The mean over all z has the standard error of independent samples. No eigenpair has to be exact for that.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ..operators.operator import CurvatureOperator
from ..results.density import Density
from .random_streams import generator_for

_AT_ONCE = 16


def with_diagonal(operator: CurvatureOperator, density: Density, X: Tensor, probes: int, seed: int) -> Density:
    """The same with an estimate of the diagonal and its standard errors, from products in float64.

    Args:
        operator: A.
        density: of A.
        X: the eigenvectors of its known eigenvalues as rows, shape (k, n).
        probes: vectors of random signs, 2 or more.
        seed: of these.
    """
    exact = operator.with_dtype(torch.float64)
    values = torch.from_numpy(density.eigenvalues).to(X.device)
    generator = generator_for("signs of a diagonal", seed)
    mean = squares = X.new_zeros(X.shape[1])  # Welford's update, which does not cancel
    for start in range(0, probes, _AT_ONCE):
        signs = torch.randint(2, (X.shape[1], min(_AT_ONCE, probes - start)), generator=generator).to(X) * 2 - 1
        samples = signs * (exact.matmat(signs) - X.T @ (values[:, None] * (X @ signs)))
        for number, sample in enumerate(samples.T, start=start + 1):
            apart = sample - mean
            mean = mean + apart / number
            squares = squares + apart * (sample - mean)
    return replace(
        density,
        diagonal=(mean + (values[:, None] * X.square()).sum(dim=0)).cpu().numpy(),
        diagonal_errors=(squares / (probes - 1)).sqrt().cpu().numpy() / math.sqrt(probes),
        provenance={**density.provenance, "products": int(density.provenance["products"]) + probes},
    )
