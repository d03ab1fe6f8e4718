"""Level statistics: do neighbouring eigenvalues repel each other, as those of one coupled matrix do?

With spacings s_i = λ_{i+1} - λ_i, the mean gap ratio is r = mean of min(s_i, s_{i+1}) / max(s_i, s_{i+1}) (Oganesyan &
Huse 2007, Phys. Rev. B 75, 155111). It needs no unfolding: a density of eigenvalues that varies slowly cancels in each
ratio. One random symmetric matrix (the Gaussian orthogonal ensemble, GOE) has r = `GOE`; levels that know nothing of
each other have r = `INDEPENDENT_LEVELS` (Atas et al. 2013, Phys. Rev. Lett. 110, 084101). The eigenvalues of a matrix
that falls into m independent blocks are m superposed sequences and lie between (Giraud et al. 2022, Phys. Rev. X 12,
011006): r = 0.423 for two equal blocks, 0.403 for three. `reference_gap_ratio` computes r for blocks of any sizes.

Rounding noise is a random symmetric matrix too, with r near 0.53. So a ratio counts only where the mean spacing around
it is well above the error bounds. Its own two spacings have no say in that: leaving out small ones would raise r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.linalg import eigvalsh_tridiagonal

from ..errors import UserError
from ..results.spectrum import Spectrum
from .dendrogram import Dendrogram, single_linkage

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

GOE = 0.5307  # one large block: Atas et al. 2013, from simulated matrices
GOE_SURMISE = 4 - 2 * 3**0.5  # 0.5359, the closed form for 3 x 3 matrices: ibid.
INDEPENDENT_LEVELS = 2 * float(np.log(2)) - 1  # 0.3863, the closed form for uncorrelated (Poisson) levels: ibid.
MIN_RATIOS = 20  # fewer give no standard error worth the name
_SIDE = 10  # spacings on either side of a ratio that decide whether its surroundings are resolved
_BLOCK = 5  # neighbouring ratios that are summed for the standard error
_QUANTILE = (-0.5324, 0.416, 2.9694, 1.96)  # of 97.5 %, a polynomial in _BLOCK / n: see `gap_ratio`


@dataclass(frozen=True, kw_only=True)
class GapRatio:
    """Mean gap ratio r, and which ratios it is the mean of.

    Attributes:
        mean: r, between 0 and 1.
        standard_error: estimated standard deviation of `mean`, made wider for few ratios so that 1.96 of it on either
            side cover the true r in 95 % of cases; see `gap_ratio`.
        num_ratios: how many ratios were used.
        num_ties: used ratios with one spacing not larger than its error: exact ties, and eigenvalues that may be equal.
            They are near 0 and pull r down.
        num_undefined: left out, since neither of the two spacings is larger than its error.
        num_unresolved: left out, since the mean spacing around them is not well above the error bounds.
    """

    mean: float
    standard_error: float
    num_ratios: int
    num_ties: int
    num_undefined: int
    num_unresolved: int


@dataclass(frozen=True, kw_only=True)
class GapRatioWindow:
    """Gap ratio of one window of neighbouring eigenvalues.

    Attributes:
        low: the smallest eigenvalue of the window.
        high: the largest.
        gap_ratio: `None` where fewer than half of the window's ratios can be used: the window is not resolved.
    """

    low: float
    high: float
    gap_ratio: GapRatio | None


def gap_ratio(
    spectrum: Spectrum,
    *,
    segment: str | None = None,
    window: tuple[float, float] = (-np.inf, np.inf),
    spacing_over_error: float = 10.0,
) -> GapRatio:
    """Compute the mean gap ratio of a complete spectrum, or of one segment of a partial one.

    A ratio is used where the mean of the 10 spacings below its own two, and the mean of the 10 above (fewer at the ends
    of the segment), are more than `spacing_over_error` times the means of their errors, the sums of the error bounds
    of their ends. At 10 times, errors as large as the bounds and independent of each other lower r by about 0.001.

    Neighbouring ratios share a spacing and are correlated (0.15 to 0.25), others hardly are. With d the deviations of
    the n ratios from r, and 0 for those left out, the squared standard error is Σ_j (d_j + ... + d_{j+4})² / (5 n²):
    autocovariances up to lag 4 with Bartlett's weights, which cannot be negative (Newey & West 1987, Econometrica 55,
    703). Few ratios make this too small, since d is taken from their own mean, and uncertain: normal quantiles would
    cover 85 % instead of 95 % of cases at 22 ratios. So it is multiplied by q(5 / n) / q(0), with the quantile
    q(b) = 1.96 + 2.9694 b + 0.416 b² - 0.5324 b³ of this estimate (Kiefer & Vogelsang 2005, Econometric Theory 21,
    1130, table 1): 1.36 at 22 ratios, 1.07 at 100. It is the scatter among random matrices of the same kind.

    Args:
        spectrum: eigenvalues with error bounds.
        segment: a key of `spectrum.segments()`; needed where there are several.
        window: (low, high), in units of the eigenvalues: only ratios whose three eigenvalues lie in there.
        spacing_over_error: how far the mean spacing must be above the errors, at least 1.

    Raises:
        UserError: fewer than 20 ratios can be used; there is no such segment; `spacing_over_error` is below 1.
    """
    tree = single_linkage(spectrum, segment)
    ratios = _Ratios.of(tree, spacing_over_error)
    inside = (tree.eigenvalues[:-2] >= window[0]) & (tree.eigenvalues[2:] <= window[1])
    if (count := (inside & ratios.used).sum()) < MIN_RATIOS:
        raise UserError(
            f"the gap ratio needs at least {MIN_RATIOS} ratios of spacings, got {count} of {inside.sum()}; where "
            f"{(inside & ~ratios.resolved).sum()} lie, the mean spacing is not above {spacing_over_error:g} x its error"
        )
    return ratios.mean_over(inside)


def gap_ratio_along(
    spectrum: Spectrum, *, count: int = 200, segment: str | None = None, spacing_over_error: float = 10.0
) -> tuple[GapRatioWindow, ...]:
    """Compute the mean gap ratio in windows along the spectrum, in ascending order.

    The segment is cut into as many windows of at least `count` eigenvalues as it holds, whose sizes differ by at most
    one. No ratio reaches across a cut. `segment` and `spacing_over_error` are as for `gap_ratio`.

    Raises:
        UserError: `count` is above the number of eigenvalues, or below 42, so that half of the ratios would be too few
            for a gap ratio; there is no such segment; `spacing_over_error` is below 1.
    """
    tree = single_linkage(spectrum, segment)
    ratios, values = _Ratios.of(tree, spacing_over_error), tree.eigenvalues
    if not 2 * MIN_RATIOS + 2 <= count <= len(values):
        raise UserError(f"count must be {2 * MIN_RATIOS + 2} to {len(values)}, the number of eigenvalues, got {count}")
    windows = []
    for indices in np.array_split(np.arange(len(values)), len(values) // count):
        inside = np.isin(np.arange(len(values) - 2), indices[:-2])
        enough = 2 * (inside & ratios.used).sum() >= inside.sum()
        result = ratios.mean_over(inside) if enough else None
        windows.append(GapRatioWindow(low=float(values[indices[0]]), high=float(values[indices[-1]]), gap_ratio=result))
    return tuple(windows)


@dataclass(frozen=True, eq=False)
class _Ratios:
    """Every ratio of k eigenvalues: arrays of shape (k - 2,), in ascending order."""

    values: Floats  # 0 where both spacings are, which never enters a mean
    resolved: Booleans  # the spacings around are well above their errors
    used: Booleans  # resolved, and one of the two spacings at least is larger than its error
    tied: Booleans  # one of the two spacings at least is not

    @classmethod
    def of(cls, tree: Dendrogram, spacing_over_error: float) -> _Ratios:
        if not spacing_over_error >= 1:
            raise UserError(f"spacing_over_error must be at least 1, got {spacing_over_error}")
        spacings, errors, count = tree.gap_sizes, tree.gap_errors, max(len(tree.eigenvalues) - 2, 0)
        smaller, larger = np.minimum(spacings[:-1], spacings[1:]), np.maximum(spacings[:-1], spacings[1:])
        tied = spacings <= errors
        clear = _sums_before(spacings) > spacing_over_error * _sums_before(errors)
        clear_above = (_sums_before(spacings[::-1]) > spacing_over_error * _sums_before(errors[::-1]))[::-1]
        first, last = np.arange(count) == 0, np.arange(count) == count - 1  # these have spacings on one side only
        resolved = (clear[:count] | first) & (clear_above[1:] | last)
        values = np.divide(smaller, larger, out=np.zeros(count), where=larger > 0)
        return cls(values, resolved, resolved & ~(tied[:-1] & tied[1:]), tied[:-1] | tied[1:])

    def mean_over(self, inside: Booleans) -> GapRatio:
        """Average the usable ratios among `inside`, of which there must be some."""
        used = inside & self.used
        mean, count = float(self.values[used].mean()), int(used.sum())
        widening = np.polyval(_QUANTILE, _BLOCK / count) / _QUANTILE[-1]
        block_sums = np.convolve(np.where(used, self.values - mean, 0.0), np.ones(_BLOCK))
        return GapRatio(
            mean=mean,
            standard_error=float(widening * np.sqrt((block_sums**2).sum() / _BLOCK)) / count,
            num_ratios=count,
            num_ties=int((used & self.tied).sum()),
            num_undefined=int((inside & self.resolved & ~self.used).sum()),
            num_unresolved=int((inside & ~self.resolved).sum()),
        )


def _sums_before(numbers: Floats) -> Floats:
    """Sum the up to 10 numbers before each; differences of running sums would cancel where spacings span decades."""
    return np.asarray(sliding_window_view(np.pad(numbers, (_SIDE, 0)), _SIDE)[:-1].sum(axis=1))


def reference_gap_ratio(block_sizes: Sequence[int], *, seed: int, matrices: int = 20) -> tuple[float, float]:
    """Simulate r for independent GOE blocks whose eigenvalues are superposed; return its mean and standard error.

    A block is drawn as the tridiagonal matrix with the eigenvalues of an n x n GOE matrix (Dumitriu & Edelman 2002, J.
    Math. Phys. 43, 5830) and divided by √n, so that all blocks have the same semicircle for their density. All ratios
    count, those at its edges too. The standard error is the scatter of the `matrices` independent draws over √matrices.

    Raises:
        UserError: a block size below 1, fewer than three eigenvalues in all, or fewer than 2 matrices.
    """
    if min(block_sizes, default=0) < 1 or sum(block_sizes) < 3 or matrices < 2:
        raise UserError(f"blocks must be >= 1, 3 in sum, and matrices >= 2, got {list(block_sizes)} and {matrices}")
    random = np.random.default_rng(seed)
    means = np.empty(matrices)
    for draw in range(matrices):
        spacings = np.diff(np.sort(np.concatenate([_goe_eigenvalues(size, random) for size in block_sizes])))
        means[draw] = (np.minimum(spacings[:-1], spacings[1:]) / np.maximum(spacings[:-1], spacings[1:])).mean()
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(matrices))


def _goe_eigenvalues(size: int, random: np.random.Generator) -> Floats:
    diagonal = random.normal(scale=np.sqrt(2), size=size)
    beside = np.sqrt(random.chisquare(np.arange(size - 1, 0, -1)))
    return np.asarray(eigvalsh_tridiagonal(diagonal, beside) / np.sqrt(size))
