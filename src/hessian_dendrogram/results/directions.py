"""Directions: what the leading eigenvectors of a curvature matrix do to the outputs, and what chance would give.

The effect of a unit eigenvector v is u = J v, with J the Jacobian of the outputs with respect to the parameters, over
all samples. Its *share* of a group of output directions is ‖Π u‖² / ‖u‖², with the group's projection Π; what no group
has is the group `other`, the last one. Its *purity* is the largest share of a named group. A direction without effect
has no share: its row is NaN.

Eigenvectors of eigenvalues that cannot be told apart are one basis of their space among many, and so are their shares;
that of a *set*, ‖Π J V‖²_F / ‖J V‖²_F, is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UserError
from .changed_samples import ChangedSamples
from .html import card
from .stored import NUMBERS, stored

Floats = NDArray[np.float64]

OF_EFFECTS, OF_PARAMETERS = "effects", "parameters"
WHOLE = 1e-9
"""How far the shares of a direction may be from 1 in all."""
ARBITRARY = 0.1
"""A direction that may turn further than this, as the sine of an angle, is called arbitrary."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Directions(ChangedSamples):
    """The leading eigenvectors' shares, with their nulls; m directions, the one of the largest eigenvalue first.

    What else is known of the samples that they change most stands in `ChangedSamples`.

    Args:
        eigenvalues: shape (m,), descending.
        error_bounds: shape (m,), as of a spectrum.
        turns: shape (m,): the computed vector is within this of the true one, as the sine of an angle, 0 to 1: residual
            over the distance of the neighbouring eigenvalues (Davis & Kahan 1970). 1 where these cannot be told apart.
        powers: shape (m,): mean square of the effect, over samples (or places of a sequence), summed over outputs; per
            squared unit of the direction's length.
        groups: names of the groups, the last of them is `other`.
        shares: shape (m, groups); NaN for a direction without effect.
        gaussian_shares: the same of Gaussian directions in the space of all parameters, shape (draws, groups).
        rotation_purities: shape (draws, m): purities of a rotated basis of the unit effects; NaN for those without.
        rotation_means: shape (draws, counts): mean purity of a rotated basis of the leading unit effects of each count.
        counts: of how many leading directions the mean purity is taken.
        tensor_shares: how much of each direction lies in each tensor, shape (m, tensors); a reader may leave it out.
        group_shares: the same in each part of the parameters, where these have groups, shape (m, parts).
        gradient_shares: how much of the loss's gradient lies along each direction, shape (m,); NaN where there is none.
        update_shares: how much of the last update does, since the checkpoint before; NaN where there is none.
        asked: how many directions were asked for; fewer are here where eigenvectors did not converge.
        dim: number of parameters.
        readout: name of the groups.
        of: whether the shares are those of `"effects"` on the outputs, or of the `"parameters"` themselves.
        is_cut: whether the last direction cannot be told apart from one that was not asked for.
        provenance: where the numbers come from, as JSON-like values.

    Raises:
        UserError: shapes, order or names contradict each other; shares do not add up, or are not between 0 and 1.
    """

    eigenvalues: Floats = stored(*NUMBERS, finite=True)
    error_bounds: Floats = stored(*NUMBERS, least=0)
    turns: Floats = stored(*NUMBERS, least=0, most=1)
    powers: Floats = stored(*NUMBERS, least=0, finite=True)
    groups: list[str]
    shares: Floats = stored(*NUMBERS, axes=2)
    gaussian_shares: Floats = stored(*NUMBERS, axes=2)
    rotation_purities: Floats = stored(*NUMBERS, axes=2)
    rotation_means: Floats = stored(*NUMBERS, axes=2)
    counts: list[int]
    tensor_shares: Floats | None = stored(*NUMBERS, axes=2, least=0, most=1.01, part="parameters", default=None)
    group_shares: Floats | None = stored(*NUMBERS, axes=2, least=0, most=1.01, part="parameters", default=None)
    gradient_shares: Floats = stored(*NUMBERS)
    update_shares: Floats = stored(*NUMBERS)
    asked: int
    dim: int
    readout: str
    of: str = OF_EFFECTS
    is_cut: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m, names = len(self.eigenvalues), self.groups
        is_names = isinstance(names, list) and len(set(map(str, names))) == len(names) > 0
        if not is_names or not all(isinstance(name, str) for name in names):
            raise UserError(f"directions need the names of their groups, all different; got {names!r:.200}")
        if not isinstance(self.counts, list) or not all(isinstance(k, int) and 1 <= k <= m for k in self.counts):
            raise UserError(f"counts must be whole numbers from 1 to {m}, the number of directions; got {self.counts}")
        self._confirm_shapes(m, len(names))
        if self.of not in (OF_EFFECTS, OF_PARAMETERS) or not m <= self.asked or not m <= self.dim:
            raise UserError(
                f"directions are of effects or parameters, at most as many as asked; got {self.of}, {m}, {self.asked}"
            )
        self.confirm_samples(m)
        if (np.diff(self.eigenvalues) > 0).any():
            raise UserError("the eigenvalues of directions must descend, the largest first")
        for name in ("shares", "gaussian_shares"):
            sums = getattr(self, name).sum(axis=1)
            sums, least = sums[~np.isnan(sums)], np.nanmin(getattr(self, name), initial=0)
            if least < 0 or (np.abs(sums - 1) > WHOLE).any():
                raise UserError(f"the {name} of a direction must be 0 or more and add up to 1")
        for name in ("rotation_purities", "rotation_means", "gradient_shares", "update_shares"):
            array = getattr(self, name)
            if not ((array >= 0) & (array <= 1 + WHOLE) | np.isnan(array)).all():
                raise UserError(f"{name} must be between 0 and 1")

    def _confirm_shapes(self, m: int, groups: int) -> None:
        """Refuse arrays that are not of m directions and so many groups."""
        wanted = {
            **dict.fromkeys(("error_bounds", "turns", "powers", "gradient_shares", "update_shares"), (m,)),
            "shares": (m, groups),
            "gaussian_shares": (None, groups),
            "rotation_purities": (None, m),
            "rotation_means": (None, len(self.counts)),
            **dict.fromkeys(("tensor_shares", "group_shares"), (m, None)),
        }
        for name, shape in wanted.items():
            if shape == (m, None) and getattr(self, name) is None:
                continue
            found = getattr(self, name).shape
            if len(found) != len(shape) or any(w not in (None, f) for f, w in zip(found, shape, strict=True)):
                raise UserError(f"{name} must have shape {shape} with {m} directions, got {found}")

    def __repr__(self) -> str:
        short = f" of {self.asked:,} asked for" if self.asked > len(self.eigenvalues) else ""
        return (
            f"Directions({len(self.eigenvalues):,}{short}, shares of {self.of} by {self.readout}, mean purity "
            f"{self.mean_purity():.3g})"
        )

    def _repr_html_(self) -> str:
        facts = {"directions": f"{len(self.eigenvalues):,} of {self.asked:,} asked for", "readout": self.readout}
        for at, count in enumerate(self.counts):
            null = self.rotation_means[:, at]
            facts[f"mean purity of {count:,}"] = f"{self.mean_purity(count):.3f}, rotated {null.mean():.3f}"
        return card("Directions", facts)

    @property
    def has_effect(self) -> NDArray[np.bool_]:
        """Which directions have an effect, and so shares: shape (m,)."""
        return ~np.isnan(self.shares[:, 0])

    @cached_property
    def purities(self) -> Floats:
        """The largest share of a named group: shape (m,), NaN for a direction without effect."""
        return largest(self.shares)

    @property
    def gaussian_purities(self) -> Floats:
        """The same of Gaussian directions, shape (draws,); those without effect are left out."""
        found = largest(self.gaussian_shares)
        return found[~np.isnan(found)]

    def mean_purity(self, count: int | None = None) -> float:
        """The mean purity of the leading directions; NaN where none of them has an effect.

        Args:
            count: how many of them; default all. Those without effect are not among them.

        Raises:
            UserError: there are not so many.
        """
        count = len(self.eigenvalues) if count is None else count
        if not 0 <= count <= len(self.eigenvalues):
            raise UserError(f"there are {len(self.eigenvalues)} directions, not {count}")
        known = self.purities[:count][self.has_effect[:count]]
        return float(known.mean()) if len(known) else float("nan")

    def set_shares(self, directions: ArrayLike) -> Floats:
        """The share of a set in each group, whatever its basis: ‖Π_g J V‖²_F / ‖J V‖²_F, shape (groups,).

        Args:
            directions: numbers of its directions, from 0.

        Returns:
            Numbers that add up to 1; NaN where none of the directions has an effect.
        """
        chosen = np.asarray(directions)
        parts = np.where(self.has_effect, self.powers, 0)[chosen, None] * np.nan_to_num(self.shares[chosen])
        total = parts.sum()
        return np.asarray(parts.sum(axis=0) / total) if total > 0 else np.full(len(self.groups), np.nan)

    @property
    def is_arbitrary(self) -> NDArray[np.bool_]:
        """Which directions are one basis vector among many, so far as is known: shape (m,)."""
        return np.asarray(self.turns > ARBITRARY)

    @cached_property
    def sets(self) -> tuple[slice, ...]:
        """The runs of directions that cannot be told apart from their neighbours, and each other one by itself.

        What a set does to the outputs does not depend on which basis of it the solver gave, but for the last one where
        `is_cut` says that more of it lies below.
        """
        starts = [0, *(i for i in range(1, len(self.eigenvalues)) if not self._is_joined(i))]
        return tuple(slice(a, b) for a, b in zip(starts, [*starts[1:], len(self.eigenvalues)], strict=True) if b > a)

    def _is_joined(self, i: int) -> bool:
        """Whether a direction cannot be told apart from the one before."""
        return bool(turn(self.eigenvalues, self.error_bounds, i - 1, i).max() > ARBITRARY)


def largest(shares: Floats) -> Floats:
    """The largest share of a named group in each row: all but the last; 0 where there is no other."""
    named = shares[:, :-1]
    return named.max(axis=1) if named.shape[1] else np.where(np.isnan(shares[:, 0]), np.nan, 0.0)


def turn(values: Floats, bounds: Floats, one: int, other: int) -> Floats:
    """How far two neighbouring eigenvectors may be turned towards each other, as sines of angles, 0 to 1: shape (2,).

    For a unit vector with the residual r and the Rayleigh quotient θ the angle to the eigenvectors of all eigenvalues
    at least δ away from θ has a sine of at most ‖r‖ / δ (Davis & Kahan 1970).
    """
    both, gap = np.array([bounds[one], bounds[other]]), abs(values[one] - values[other])
    distance = gap - both[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        sines = np.where(distance > both, both / distance, 1.0)
    return np.where(both == 0, 0.0 if gap > 0 else 1.0, sines)
