r"""Couplings between groups of parameters: the Frobenius norms ‖A_AB‖ of the blocks of a curvature matrix.

With independent draws d = 1..D, each an unbiased estimate q_d of all ‖A_AB‖²,

    c_AB = √(Σ_d q_d / D),    normalised: c_AB / √(c_AA c_BB)

For a positive semidefinite A a normalised coupling is between 0 and 1, estimates apart: A = RᵀR, and its square is
⟨K_A, K_B⟩ / (‖K_A‖ ‖K_B‖), the alignment of the kernels K_A = R_A R_Aᵀ of the groups (Cristianini et al. 2001).
Standard errors are those of the jackknife over the draws (Efron & Stein 1981). What is stored is half of every
symmetric matrix, and of many draws the means of a few equal parts, with the standard errors of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .coupling_checks import confirm_counts, confirm_names, confirm_own, confirm_shapes, confirm_squares
from .coupling_norms import jackknife, roots
from .html import card
from .stored import INDICES, stored
from .triangles import symmetric_from, triangle_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EXACT, PRODUCTS, EFFECTS = "exact", "products", "effects"
_NUMBERS = "f8", "f4"


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupCouplings:
    """Couplings of g groups, from D independent draws; or exact ones. `from_squares` makes them.

    Args:
        names: of the groups, all different.
        sizes: how many parameters each has, shape (g,).
        parts: every coupling from each of P equal parts of the draws, with those of other parts independent; the first
            ones of the draws first. Shape (P, g (g + 1) / 2), the upper triangles row after row, with the groups' own
            norms on the diagonals. One part where couplings are exact.
        errors: standard errors of the couplings from all draws, as they are and normalised: shape (2, g (g + 1) / 2);
            NaN where not known.
        roundings: what rounding alone may make of a coupling; one that is no larger is 0. Shape (g (g + 1) / 2,).
        method: `"exact"`, `"products"` with random vectors, or `"effects"` of these on the outputs.
        draws: D, how many independent estimates of every coupling there are; 1 where they are exact.
        directions: random vectors of each group in a draw; 0 where couplings are exact.
        cost: products with the matrix that were taken; or effects on the outputs of all samples, for `"effects"`.
        dim: number of all parameters, also of those in no group.
        provenance: where the numbers come from, as JSON-like values.

    Raises:
        UserError: names, shapes or values contradict each other.
    """

    names: list[str]
    sizes: Integers = stored(*INDICES, least=1)
    parts: Floats = stored(*_NUMBERS, axes=2, least=0, finite=True)
    errors: Floats = stored(*_NUMBERS, axes=2)
    roundings: Floats = stored(*_NUMBERS, least=0, finite=True)
    method: str
    draws: int
    directions: int
    cost: int
    dim: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        confirm_names(self.names)
        confirm_shapes(len(self.names), self.sizes, self.errors, self.roundings, self.parts)
        is_exact, parts, size = self.method == EXACT, len(self.parts), int(self.sizes.sum())
        if not parts or (is_exact and parts > 1):
            raise UserError(f"couplings need a draw, exact ones have one; got {parts} of {self.method}")
        least = {"draws": parts, "directions": 0 if is_exact else 1, "cost": 0, "dim": 1}
        confirm_counts({name: (getattr(self, name), smallest) for name, smallest in least.items()})
        if self.draws % parts or (is_exact and self.draws > 1):
            raise UserError(f"{parts} equal parts of {self.draws} draws, of {self.method} couplings, cannot be")
        if self.method not in (EXACT, PRODUCTS, EFFECTS) or size > self.dim:
            raise UserError(
                f"couplings are exact, or by products or effects, of groups within {self.dim} parameters; got "
                f"{self.method!r:.60}, groups of {size}"
            )

    @classmethod
    def from_squares(cls, *, squared: Floats, rounding: Floats, draws: int | None = None, **facts: Any) -> Self:
        """The couplings of estimates of their squares.

        Args:
            squared: an unbiased estimate of every ‖A_AB‖² by each draw, symmetric, shape (D, g, g); exact ones are one
                "draw". On the diagonal are the groups' own.
            rounding: as `roundings`, shape (g, g).
            draws: how many there are, where each of `squared` is the mean of several; default one each.
            facts: names, sizes, method, directions, cost, dim, provenance.

        Raises:
            UserError: shapes or values contradict each other.
        """
        confirm_squares(squared, rounding)
        errors = jackknife(squared, is_exact=facts.get("method") == EXACT)
        return cls(
            parts=triangle_of(np.sqrt(squared)),
            errors=triangle_of(errors),
            roundings=triangle_of(rounding),
            draws=len(squared) if draws is None else draws,
            **facts,
        )

    def __repr__(self) -> str:
        how = self.method if self.method == EXACT else f"{self.draws:,} draws, {self.cost:,} {self.method}"
        return f"GroupCouplings({len(self.names):,} groups of {int(self.sizes.sum()):,} parameters, {how})"

    def _repr_html_(self) -> str:
        return card("GroupCouplings", self.facts())

    def facts(self) -> dict[str, Any]:
        """The couplings in a few numbers, as JSON-like values: for `info`, and for whoever prints them."""
        coupled = np.triu(self.squares > 0, 1).sum()
        return {
            "groups": len(self.names),
            "parameters": int(self.sizes.sum()),
            "method": self.method,
            "draws": self.draws,
            "cost": self.cost,
            "uncoupled_pairs": len(self.names) * (len(self.names) - 1) // 2 - int(coupled),
            "median_relative_error": self.median_relative_error(),
        }

    def median_relative_error(self, *, normalised: bool = False) -> float | None:
        """The median standard error of a coupling between groups relative to it; `None` where it is not known.

        Raises:
            UserError: as `values`.
        """
        pairs = np.triu_indices(len(self.names), 1)
        values = self.values(normalised=normalised)[pairs]
        errors, known = self.standard_errors(normalised=normalised)[pairs], values > 0
        relative = float(np.median(errors[known] / values[known])) if known.any() else 0.0
        return relative if np.isfinite(relative) else None

    @cached_property
    def squared(self) -> Floats:
        """Unbiased estimates of every ‖A_AB‖² from the parts of the draws: shape (P, g, g)."""
        return symmetric_from(self.parts, len(self.names)) ** 2

    @property
    def rounding(self) -> Floats:
        """What rounding alone may make of a coupling: shape (g, g)."""
        return symmetric_from(self.roundings, len(self.names))

    @cached_property
    def squares(self) -> Floats:
        """The estimates of ‖A_AB‖² from all draws, unbiased: shape (g, g)."""
        return np.asarray(self.squared.mean(axis=0))

    @property
    def squared_errors(self) -> Floats:
        """The standard errors of `squares`: shape (g, g); NaN where there is one draw, 0 where they are exact.

        Raises:
            UserError: draws have been merged.
        """
        if self.draws > len(self.parts):
            raise UserError(f"{self.draws} draws were merged into {len(self.parts)} parts; take standard_errors()")
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
            confirm_own(self.names, squares)
        return roots(squares, normalised)

    def standard_errors(self, *, normalised: bool = False) -> Floats:
        """Those of `values`, by the jackknife: shape (g, g); NaN where there is one draw, 0 where they are exact.

        They are rough, and small where the estimate happens to be small: of 20 draws some hundredths of the entries lie
        beyond three. See `largest_noise`, which does not depend on the draws.

        Raises:
            UserError: as `values`.
        """
        if normalised:
            confirm_own(self.names, self.squares)
        return symmetric_from(self.errors[int(normalised)], len(self.names))

    def matrix(self, *, normalised: bool = False) -> Floats:
        """The couplings as weights of a graph, for `recursive_bipartition`: symmetric, with a zero diagonal, (g, g).

        Raises:
            UserError: as `values`.
        """
        weights = self.values(normalised=normalised)
        np.fill_diagonal(weights, 0.0)
        return weights

    def of_draws(self, which: Iterable[int]) -> Self:
        """The couplings from some of the draws alone, or of the parts into which they were merged.

        Args:
            which: their numbers, from 0, all different.

        Raises:
            UserError: there is none, or no such draw.
        """
        chosen, there = [*which], len(self.parts)
        if not chosen or len({*chosen}) < len(chosen) or not {*chosen} <= {*range(there)}:
            raise UserError(f"draws are numbered 0 to {there - 1}, each taken once at most; got {chosen!r:.60}")
        draws, cost = (number * len(chosen) // there for number in (self.draws, self.cost))
        facts = {name: getattr(self, name) for name in ("names", "sizes", "method", "directions", "dim", "provenance")}
        return self.from_squares(
            squared=self.squared[chosen], rounding=self.rounding, draws=draws, **facts | {"cost": cost}
        )

    def halves(self) -> tuple[Self, Self]:
        """The couplings from the first half of the draws and from the others, independent of each other.

        Raises:
            UserError: there are fewer than two draws.
        """
        if (there := len(self.parts)) < 2:
            raise UserError(f"{there} draw has no halves; take two draws or more")
        return self.of_draws(range(there // 2)), self.of_draws(range(there // 2, there))
