r"""The covariance of the gradients of single samples, which is that of the noise of stochastic gradients.

    C = Σ_n w_n (g_n - ḡ)(g_n - ḡ)ᵀ / Σ_n w_n,      ḡ = Σ_n w_n g_n / Σ_n w_n

with g_n as in `empirical_fisher.py`: the empirical Fisher matrix without ḡ ḡᵀ. A mean over batches of B samples drawn
with replacement has the covariance C / B.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .empirical_fisher import EmpiricalFisher


class GradientCovariance(EmpiricalFisher):
    """The covariance of the gradients of the samples in `data`, centred at their mean.

    Arguments, attributes and errors are those of `EmpiricalFisher`.
    """

    name = "gradient-covariance"
    is_centred = True

    def centre(self) -> Tensor:
        """The gradient of the mean loss: shape (n, 1), float64."""
        total = torch.zeros(self.shape[0], dtype=torch.float64, device=self.device)
        for inputs, targets, share in self.risk.data.weighted():
            total += self.risk.gradient_of_batch((inputs, targets)) * share
        return total[:, None]
