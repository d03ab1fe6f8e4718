r"""Couplings between groups of parameters: the Frobenius norms ‖A_AB‖ of the blocks of a curvature matrix.

With independent draws d = 1..D, each an unbiased estimate q_d of all ‖A_AB‖²,

    c_AB = √(Σ_d q_d / D),    normalised: c_AB / √(c_AA c_BB)

For a positive semidefinite A a normalised coupling is between 0 and 1, estimates apart: A = RᵀR, and its square is
⟨K_A, K_B⟩ / (‖K_A‖ ‖K_B‖), the alignment of the kernels K_A = R_A R_Aᵀ of the groups (Cristianini et al. 2001).
Standard errors are those of the jackknife over the draws (Efron & Stein 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .html import card
from .stored import INDICES, NUMBERS, stored

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXACT, PRODUCTS, EFFECTS = "exact", "products", "effects"


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupCouplings:
    """Couplings of g groups, from D independent draws; or exact ones.

    Args:
        names: of the groups, all different.
        sizes: how many parameters each has, shape (g,).
        squared: an unbiased estimate of every ‖A_AB‖² by each draw, symmetric, shape (D, g, g); one "draw" where they
            are exact. On the diagonal are the groups' own.
        rounding: what rounding alone may make of a coupling; one that is no larger is 0. Shape (g, g).
        method: `"exact"`, `"products"` with random vectors, or `"effects"` of these on the outputs.
        directions: random vectors of each group in a draw; 0 where couplings are exact.
        cost: products with the matrix that were taken; or effects on the outputs of all samples, for `"effects"`.
        dim: number of all parameters, also of those in no group.
        provenance: where the numbers come from, as JSON-like values.

    Raises:
        UserError: names, shapes or values contradict each other.
    """

    names: list[str]
    sizes: Integers = stored(*INDICES, least=1)
    squared: Floats = stored(*NUMBERS, axes=3, least=0, finite=True)
    rounding: Floats = stored(*NUMBERS, axes=2, least=0, finite=True)
    method: str
    directions: int
    cost: int
    dim: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names: Any = self.names
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise UserError(f"couplings need a list of the names of their groups, got {names!r:.60}")
        g = len(names)
        if len({*names}) < g:
            raise UserError("couplings need names of groups that are all different")
        if self.sizes.shape != (g,) or self.rounding.shape != (g, g) or self.squared.shape[1:] != (g, g):
            raise UserError(
                f"couplings of {g} groups need sizes of shape ({g},), squared (draws, {g}, {g}) and rounding "
                f"({g}, {g}), got {self.sizes.shape}, {self.squared.shape} and {self.rounding.shape}"
            )
        if not len(self.squared) or (self.method == EXACT and len(self.squared) > 1):
            raise UserError(f"couplings need a draw, exact ones have one; got {len(self.squared)} of {self.method}")
        if not np.array_equal(self.squared, self.squared.transpose(0, 2, 1)):
            raise UserError("squared couplings must be symmetric")
        for name, least in (("directions", 0 if self.method == EXACT else 1), ("cost", 0), ("dim", 1)):
            value: Any = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f"{name} of couplings must be a whole number of at least {least}, got {value!r:.60}")
        if self.method not in (EXACT, PRODUCTS, EFFECTS) or int(self.sizes.sum()) > self.dim:
            raise UserError(
                f"couplings are exact, or by products or effects, of groups within {self.dim} parameters; got "
                f"{self.method!r:.60}, groups of {int(self.sizes.sum())}"
            )

    def __repr__(self) -> str:
        how = self.method if self.method == EXACT else f"{self.draws:,} draws, {self.cost:,} {self.method}"
        return f"GroupCouplings({len(self.names):,} groups of {int(self.sizes.sum()):,} parameters, {how})"

    def _repr_html_(self) -> str:
        return card("GroupCouplings", self.facts())

    def facts(self) -> dict[str, Any]:
        """The couplings in a few numbers, as JSON-like values: for `info`, and for whoever prints them."""
        pairs = np.triu_indices(len(self.names), 1)
        values, errors = self.values()[pairs], self.standard_errors()[pairs]
        known = values > 0
        relative = float(np.median(errors[known] / values[known])) if known.any() else 0.0
        return {
            "groups": len(self.names),
            "parameters": int(self.sizes.sum()),
            "method": self.method,
            "draws": self.draws,
            "cost": self.cost,
            "uncoupled_pairs": int((~known).sum()),
            "median_relative_error": relative if np.isfinite(relative) else None,
        }

    @property
    def draws(self) -> int:
        """How many independent estimates of every coupling there are."""
        return len(self.squared)

    @property
    def squares(self) -> Floats:
        """The estimates of ‖A_AB‖² from all draws, unbiased: shape (g, g)."""
        return np.asarray(self.squared.mean(axis=0))

    @property
    def squared_errors(self) -> Floats:
        """The standard errors of `squares`: shape (g, g); NaN where there is one draw, 0 where they are exact."""
        if self.method == EXACT:
            return np.zeros_like(self.squared[0])
        if self.draws == 1:
            return np.full_like(self.squared[0], np.nan)
        return np.asarray(self.squared.std(axis=0, ddof=1) / np.sqrt(self.draws))

    @property
    def largest_noise(self) -> float:
        """The largest standard error that an off-diagonal entry of `squares` may have in truth, relative to it.

        So large it is for a block of rank one: with D draws of m directions √(1 / (D m)) by products, and
        √(((1 + 2 / m)² - 1) / D) by effects.
        """
        if self.method == EXACT:
            return 0.0
        m, is_effects = self.directions, self.method == EFFECTS
        return float(np.sqrt(((1 + 2 / m) ** 2 - 1 if is_effects else 1 / m) / self.draws))

    def values(self, *, normalised: bool = False) -> Floats:
        """The couplings ‖A_AB‖, the groups' own norms on the diagonal: shape (g, g).

        Args:
            normalised: divide each by the root of the product of its groups' own norms.

        Raises:
            UserError: a group without any curvature of its own is coupled to another, and they are to be divided.
        """
        squares = self.squares
        if normalised:
            self._confirm_own(squares)
        return _roots(squares, normalised)

    def standard_errors(self, *, normalised: bool = False) -> Floats:
        """Those of `values`, by the jackknife: shape (g, g); NaN where there is one draw, 0 where they are exact.

        They are rough, and small where the estimate happens to be small: of 20 draws some hundredths of the entries lie
        beyond three. See `largest_noise`, which does not depend on the draws.

        Raises:
            UserError: as `values`.
        """
        self.values(normalised=normalised)
        count = self.draws
        if count == 1:
            return self.squared_errors
        without = [_roots(np.delete(self.squared, at, axis=0).mean(axis=0), normalised) for at in range(count)]
        mean = sum(without) / count
        spread = sum((one - mean) ** 2 for one in without)
        return np.asarray(np.sqrt((count - 1) / count * spread))

    def matrix(self, *, normalised: bool = False) -> Floats:
        """The couplings as weights of a graph, for `recursive_bipartition`: symmetric, with a zero diagonal, (g, g).

        Raises:
            UserError: as `values`.
        """
        weights = self.values(normalised=normalised)
        np.fill_diagonal(weights, 0.0)
        return weights

    def of_draws(self, which: Iterable[int]) -> Self:
        """The couplings from some of the draws alone.

        Args:
            which: their numbers, from 0, all different.

        Raises:
            UserError: there is none, or no such draw.
        """
        chosen = [*which]
        if not chosen or len({*chosen}) < len(chosen) or not {*chosen} <= {*range(self.draws)}:
            raise UserError(f"draws are numbered 0 to {self.draws - 1}, each taken once at most; got {chosen!r:.60}")
        cost = self.cost if self.method == EXACT else self.cost * len(chosen) // self.draws
        return replace(self, squared=self.squared[chosen], cost=cost)

    def halves(self) -> tuple[Self, Self]:
        """The couplings from the first half of the draws and from the others, independent of each other.

        Raises:
            UserError: there are fewer than two draws.
        """
        if self.draws < 2:
            raise UserError(f"{self.draws} draw has no halves; take two draws or more")
        middle = self.draws // 2
        return self.of_draws(range(middle)), self.of_draws(range(middle, self.draws))

    def _confirm_own(self, squares: Floats) -> None:
        """Refuse to divide by nothing."""
        own = np.diagonal(squares)
        wrong = np.argwhere((squares > 0) & (own == 0)[:, None])
        if len(wrong):
            one, other = (self.names[at] for at in wrong[0].tolist())
            raise UserError(
                f"group {one!r} has no curvature of its own and is coupled to {other!r}, so it has no normalised "
                "couplings; take them as they are"
            )


def _roots(squares: Floats, normalised: bool) -> Floats:
    """Couplings of their squares; symmetric to the last bit."""
    if not normalised:
        return np.sqrt(squares)
    own = np.sqrt(np.diagonal(squares))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, np.sqrt(squares) / np.sqrt(own[:, None] * own), 0.0)
