"""How the eigenvalues of a density are distributed: counts and curves, each with an interval.

*Between nodes* a quadrature knows the distribution of its probe only within bounds, which are sharp: with nodes θ_1 <
... < θ_m, and F(t) the weight of the eigenvalues up to t in the probe, θ_i <= t < θ_{i+1} gives

    Σ_{j < i} w_j <= F(t) <= Σ_{j <= i + 1} w_j

(Chebyshev, Markov and Stieltjes; Szegő 1939, section 3.41; for this use Chen, Trogdon & Ubaru 2021). The bounds of all
probes make an interval that holds whatever lies between the nodes.

*Counts* need no t. The weight of r eigenvalues in a probe that is uniform on the sphere has a Beta distribution, and
its sum over m probes, times the number of hidden eigenvalues, is spread no wider than χ² with m r degrees of freedom;
the quantiles of that give the numbers r that go with what was measured, even where r is 0 or 1.

Longer than other files: the bounds between nodes, and what is made of them, are read together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtr, chdtrc

from ..errors import UserError
from ..results.density import Density
from ..results.spectrum import Spectrum
from .density import LEVEL, student

Floats = NDArray[np.float64]
_NOTHING = 1e-12  # of all weight: rounding of sums
_BEYOND = 0.05  # of the range of the nodes, by which hidden eigenvalues may lie outside


@dataclass(frozen=True, kw_only=True)
class Count:
    """How many eigenvalues there are of a kind.

    Attributes:
        value: an estimate.
        low, high: the smallest and the largest number that go with what was measured.
    """

    value: float
    low: int
    high: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A function with an interval at every point; all arrays have the shape of the points.

    Attributes:
        values: estimates.
        lows, highs: between which the true value of each lies.
    """

    values: Floats
    lows: Floats
    highs: Floats


@dataclass(frozen=True, kw_only=True)
class Hole:
    """The eigenvalues between the segments of a partial spectrum.

    Attributes:
        hidden: how many: all but those of the segments, if none is missing in these.
        measured: the same, as a density counts them between the segments; `None` without a density.
    """

    hidden: int
    measured: Count | None

    @property
    def agrees(self) -> bool:
        """Whether a density, where there is one, found as many: if not, the segments lack eigenvalues."""
        return self.measured is None or self.measured.low <= self.hidden <= self.measured.high


def count_between(density: Density, low: float, high: float, *, level: float = LEVEL) -> Count:
    """How many eigenvalues lie in low < λ <= high.

    Raises:
        UserError: the ends are not in order.
    """
    if not low <= high:
        raise UserError(f"eigenvalues are counted between two numbers in order, got {low} and {high}")
    values, bounds = density.eigenvalues, density.error_bounds
    least = int(((values - bounds > low) & (values + bounds <= high)).sum())
    most = int(((values + bounds > low) & (values - bounds <= high)).sum())
    if not density.num_hidden:
        return Count(value=float(((values > low) & (values <= high)).sum()), low=least, high=most)
    below, above = _distributions(density, np.array([low, high], dtype=np.float64))
    shares = [np.clip(outer[:, 1] - inner[:, 0], 0, 1) for outer, inner in ((below, above), (above, below))]
    fewest, _ = _numbers(density, float(shares[0].sum()), level)
    _, greatest = _numbers(density, float(shares[1].sum()), level)
    value = float(np.subtract(*_up_to(density, np.array([high, low]))))
    fewest, greatest = least + fewest, most + greatest
    return Count(value=min(max(value, fewest), greatest), low=fewest, high=greatest)


def hole_of(spectrum: Spectrum, density: Density | None = None, *, level: float = LEVEL) -> Hole | None:
    """What the hole of a partial spectrum hides; `None` where there is no hole.

    Args:
        spectrum: complete, or partial.
        density: of the same matrix.
        level: of the interval.

    Raises:
        UserError: the density is one of a matrix of another size.
    """
    parts = spectrum.segments()
    known = sum(part.stop - part.start for part in parts.values())
    if known == spectrum.dim:
        return None
    if density is not None and density.dim != spectrum.dim:
        raise UserError(f"a spectrum of {spectrum.dim} eigenvalues does not go with a density of {density.dim}")
    measured = None
    if density is not None:
        values, bounds = spectrum.eigenvalues, spectrum.error_bounds
        below = parts["bottom"].stop - 1 if "bottom" in parts else None
        above = parts["top"].start if "top" in parts else None
        low, low_error = (-np.inf, 0.0) if below is None else (values[below], bounds[below])
        high, high_error = (np.inf, 0.0) if above is None else (values[above], bounds[above])
        inner = count_between(density, low + low_error, max(low + low_error, _before(high - high_error)), level=level)
        outer = count_between(density, _before(low - low_error), high + high_error, level=level)
        measured = Count(value=inner.value, low=inner.low, high=outer.high)
    return Hole(hidden=spectrum.dim - known, measured=measured)


def cumulative(density: Density, points: ArrayLike, *, level: float = LEVEL) -> Curve:
    """The share of eigenvalues up to each point.

    Args:
        density: a density.
        points: in units of the eigenvalues, shape (p,).
        level: of the interval at each point.
    """
    at = np.asarray(points, dtype=np.float64)
    values, bounds, hidden = density.eigenvalues[:, None], density.error_bounds[:, None], density.num_hidden
    least, most = ((values + shift <= at).sum(axis=0) for shift in (bounds, -bounds))
    estimates = _up_to(density, at)
    if not hidden:
        return Curve(values=estimates / density.dim, lows=least / density.dim, highs=most / density.dim)
    below, above = _distributions(density, at)
    half = student(level, len(below) - 1)
    low = least + hidden * np.clip(below.mean(axis=0) - half * _error(below), 0, 1)
    high = most + hidden * np.clip(above.mean(axis=0) + half * _error(above), 0, 1)
    return Curve(values=np.clip(estimates, low, high) / density.dim, lows=low / density.dim, highs=high / density.dim)


def smoothed(density: Density, points: ArrayLike, *, width: float | None = None, level: float = LEVEL) -> Curve:
    """The density of the eigenvalues, blurred by a Gaussian: mean_i exp(-(t - λ_i)² / 2σ²) / (√(2π) σ).

    The error of a quadrature of m nodes for a function that is at most M on an ellipse ρ > 1 around all eigenvalues is
    at most 4 M ρ^(1 - 2m) / (ρ - 1) (Trefethen 2013, theorems 8.2 and 19.3; Ubaru, Chen & Saad 2017). The smallest of
    these over ρ is in the interval, so one that is too narrow for the steps is seen. Hidden eigenvalues are taken to
    lie between the known ones, and where an end has none at most a twentieth of the nodes' range outside of the nodes.

    Args:
        density: a density.
        points: t, in units of the eigenvalues, shape (p,).
        width: σ, in units of the eigenvalues; default `default_width`.
        level: of the interval at each point.

    Raises:
        UserError: the width is not a positive number.
    """
    at, sigma = np.asarray(points, dtype=np.float64), default_width(density) if width is None else float(width)
    if not 0 < sigma < np.inf:
        raise UserError(f"a density is blurred by a width > 0, got {sigma}")
    peak = 1 / (np.sqrt(2 * np.pi) * sigma)

    def blurred(values: Floats) -> Floats:
        found: Floats = peak * np.exp(-(((at - values[:, None]) / sigma) ** 2) / 2)
        return found

    steepest = peak / (np.sqrt(np.e) * sigma)
    total, half = blurred(density.eigenvalues).sum(axis=0), np.zeros(at.shape)
    bias = steepest * float(density.error_bounds.sum())
    if density.num_hidden:
        pairs = zip(density.nodes, density.weights, strict=True)
        samples = density.num_hidden * np.stack([row @ blurred(nodes) for nodes, row in pairs])
        bias += density.num_hidden * (_quadrature_error(density, sigma) + steepest * float(density.node_bounds.max()))
        total, half = total + samples.mean(axis=0), student(level, len(samples) - 1) * _error(samples)
    values, half = total / density.dim, half / density.dim + min(bias / density.dim, peak)
    return Curve(values=values, lows=np.maximum(values - half, 0), highs=values + half)


def default_width(density: Density) -> float:
    """A width σ at which quadratures have hardly an error: 1.5 ranges of hidden eigenvalues, over the steps."""
    values, steps = np.concatenate([density.eigenvalues, density.nodes.ravel()]), density.nodes.shape[1]
    hidden = float(np.subtract(*_hidden_range(density)[::-1])) if density.num_hidden else 0.0
    least = float(np.ptp(values)) / 200 or max(1.0, float(np.abs(values).max())) / 200
    return max(least, 0.0 if density.is_exact.all() else 1.5 * hidden / steps)


def _up_to(density: Density, points: Floats) -> Floats:
    """An estimate of how many eigenvalues lie up to each point: those known, and the quadratures' own weights.

    These lie within the bounds between nodes. The middle of the bounds would have half of many equal eigenvalues below
    the lowest node.
    """
    order = np.argsort(density.nodes, axis=None, kind="stable")
    sums = np.append(0.0, np.cumsum(density.weights.ravel()[order])) / max(1, len(density.nodes))
    hidden = density.num_hidden * sums[np.searchsorted(density.nodes.ravel()[order], points, side="right")]
    return np.asarray(np.searchsorted(density.eigenvalues, points, side="right") + hidden)


def _before(number: float) -> float:
    return float(np.nextafter(number, -np.inf))


def _error(samples: Floats) -> Floats:
    """The standard error of the mean over the first axis."""
    error: Floats = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return error


def _distributions(density: Density, points: Floats) -> tuple[Floats, Floats]:
    """Bounds on the weight of the hidden eigenvalues up to each point, for each probe: shape (probes, p) each."""
    below, above = (np.empty((len(density.nodes), len(points))) for _ in range(2))
    columns = density.nodes, density.weights, density.is_exact, density.node_bounds
    for row, (nodes, weights, is_exact, bound) in enumerate(zip(*columns, strict=True)):
        count = int(np.flatnonzero(weights)[-1]) + 1
        sums = np.concatenate([[0.0], np.cumsum(weights[:count])])
        sums[-1] = 1.0
        step = 0 if is_exact else 1
        low, high = (np.searchsorted(nodes[:count], points + shift, side="right") for shift in (-bound, bound))
        below[row], above[row] = sums[np.maximum(low - step, 0)], sums[np.minimum(high + step, count)]
    return below, above


def _numbers(density: Density, weight: float, level: float) -> tuple[int, int]:
    """The smallest and the largest number of hidden eigenvalues that go with their summed weight in all probes."""
    hidden, probes = density.num_hidden, len(density.nodes)
    if weight > probes / 2:
        low, high = _numbers_of(hidden * (probes - weight), probes, hidden, (1 - level) / 2)
        return hidden - high, hidden - low
    return _numbers_of(hidden * weight, probes, hidden, (1 - level) / 2)


def _numbers_of(total: float, probes: int, hidden: int, tail: float) -> tuple[int, int]:
    slack = _NOTHING * hidden * probes
    low = _first(lambda r: chdtrc(probes * r, total - slack) >= tail, hidden) if total > slack else 0
    high = _first(lambda r: chdtr(probes * r, total + slack) < tail, hidden + 1) - 1
    return low, max(high, 0)


def _first(holds: Callable[[int], bool], most: int) -> int:
    """The smallest number from 1 to `most` for which something holds that goes on holding; `most` where none does."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _hidden_range(density: Density) -> tuple[float, float]:
    """Between which numbers the hidden eigenvalues are taken to lie."""
    low, high, values = float(density.nodes.min()), float(density.nodes.max()), density.eigenvalues
    beyond = _BEYOND * (high - low)
    bottom = float(values[density.num_bottom - 1]) if density.num_bottom else low - beyond
    top = float(values[len(values) - density.num_top]) if density.num_top else high + beyond
    return min(low, bottom), max(high, top)


def _quadrature_error(density: Density, sigma: float) -> float:
    """A bound on the error of a probe's quadrature of the blurring Gaussian, the mean over the probes."""
    low, high = _hidden_range(density)
    half = (high - low) / 2
    rho = 1 + np.geomspace(1e-6, 1e3, 400)
    height = half * (rho - 1 / rho) / 2
    errors = []
    for weights in density.weights[~density.is_exact]:
        nodes = int(np.flatnonzero(weights)[-1]) + 1
        log = (height / sigma) ** 2 / 2 + np.log(4) - (2 * nodes - 1) * np.log(rho) - np.log(rho - 1)
        errors.append(np.exp(min(float(log.min()), 0.0)) / (np.sqrt(2 * np.pi) * sigma))
    return float(np.sum(errors)) / len(density.nodes)
