"""Moments of a density, each with an interval that counts the probes' spread and all other errors.

With k known eigenvalues λ_i, and quadratures Q_z of the probes z in the complement of their eigenvectors,

    tr f(A) = Σ_i f(λ_i) + (n - k) · mean_z Q_z(f),

and the mean has the error of independent samples: Student's t with one degree of freedom less than there are probes.

What is no sampling error is added to the interval as it is. The block-diagonal matrix D that the quadratures are of
differs from A by the residuals R of the known eigenvectors, off the diagonal blocks, so terms of first order have no
trace: |tr A^p - tr D^p| <= Σ_{k >= 2} C(p, k) ‖A‖^(p - k) (√2 ‖R‖_F)^k. An error δ of products moves tr A^p by at most
p δ ‖A‖^(p - 1) for each eigenvalue.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.special import stdtrit

from ..errors import UserError
from ..results.density import Density

LEVEL = 0.997
"""Of intervals, where no other is named."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number from independent samples.

    Attributes:
        value: their mean, and what is known without them.
        standard_error: estimated standard deviation of `value`; 0 where nothing was sampled.
        degrees: of freedom of `standard_error`; 0 where nothing was sampled.
        bias: a bound on the error that is no sampling error.
    """

    value: float
    standard_error: float
    degrees: int
    bias: float

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Where the true value lies, with the probability `level`."""
        half = student(level, self.degrees) * self.standard_error + self.bias
        return self.value - half, self.value + half


def moments(density: Density, count: int = 4) -> list[Estimate]:
    """The first moments tr A^p / n, p = 1, ..., `count`.

    Raises:
        UserError: the quadratures are not exact for so high a power.
    """
    return [_scaled(_power_sum(density, power), density.dim) for power in range(1, count + 1)]


def trace(density: Density) -> Estimate:
    """The trace of A."""
    return _power_sum(density, 1)


def squared_frobenius_norm(density: Density) -> Estimate:
    """‖A‖_F² = tr A², the sum of all squared entries.

    Raises:
        UserError: a probe has one step alone.
    """
    return _power_sum(density, 2)


def student(level: float, degrees: int) -> float:
    """How many standard errors on either side an interval has; 0 without degrees of freedom.

    Raises:
        UserError: the level is no probability.
    """
    if not 0 < level < 1:
        raise UserError(f"the level of an interval lies between 0 and 1, got {level}")
    return float(stdtrit(degrees, (1 + level) / 2)) if degrees > 0 else 0.0


def _scaled(estimate: Estimate, by: int) -> Estimate:
    return Estimate(
        value=estimate.value / by,
        standard_error=estimate.standard_error / by,
        degrees=estimate.degrees,
        bias=estimate.bias / by,
    )


def _power_sum(density: Density, power: int) -> Estimate:
    """The trace of A^p."""
    hidden, probes, steps = density.num_hidden, len(density.nodes), density.nodes.shape[1]
    if hidden and not density.is_exact.all() and power > (most := 2 * steps - 1):
        raise UserError(f"quadratures of {steps} steps give moments up to the power {most}, got {power}")
    with np.errstate(over="ignore", invalid="ignore"):  # of matrices of enormous numbers: infinite, not wrong
        known = float((density.eigenvalues**power).sum())
        bias = _bias(density, power)
        if not hidden:
            return Estimate(value=known, standard_error=0.0, degrees=0, bias=bias)
        samples = hidden * (density.weights * density.nodes**power).sum(axis=1)
        spread = float(samples.std(ddof=1)) / float(np.sqrt(probes))
        return Estimate(value=known + float(samples.mean()), standard_error=spread, degrees=probes - 1, bias=bias)


def _bias(density: Density, power: int) -> float:
    """What may be wrong with tr A^p beside the sampling (module docstring)."""
    values, bounds = np.abs(density.eigenvalues), density.error_bounds
    total = float((power * (values + bounds) ** (power - 1) * bounds).sum())
    if density.num_hidden:
        coupling = float(np.sqrt((bounds**2).sum()))
        products = max(0.0, float(density.node_bounds.max()) - coupling)
        inner = float(np.abs(density.nodes).max()) + products
        outer = max(inner, float((values + bounds).max(initial=0)))
        total += density.num_hidden * power * inner ** (power - 1) * products
        apart = np.sqrt(2) * coupling
        total += sum(comb(power, k) * outer ** (power - k) * apart**k for k in range(2, power + 1))
    return float(total)
