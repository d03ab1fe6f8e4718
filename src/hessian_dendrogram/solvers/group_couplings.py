r"""Couplings ‖A_AB‖_F between groups of parameters, by products with random vectors that live in one group.

For z_B with independent entries ±1 in the group B and 0 elsewhere, E z zᵀ is the identity on B, so that

    products   E ‖(A z_B)_A‖² = ‖A_AB‖²
    effects    E (z_Aᵀ A w_B)² = ‖A_AB‖²,    z_Aᵀ A w_B = Σ_b share_b (J_b z_A)ᵀ M_b (J_b w_B) - (Kᵀ z_A)·(Kᵀ w_B)

for independent z and w, the second where A is a mean of Jᵀ M J, perhaps centred (`operators/outputs.py`). Vectors of
different groups are independent in one draw. For a group's own norm z and w must be different vectors: (zᵀ A z)² has
the mean (tr A)² + 2 ‖A‖² - 2 Σ_i A_ii², which is too large, by the squared trace above all.

‖A z‖² is a quadratic form in z, of the variance 2 ‖AᵀA‖²_F - 2 Σ_i (AᵀA)_ii² <= 2 ‖A‖⁴_F (Hutchinson 1990; Avron &
Toledo 2011): the noise is relative. Signs may cancel, as in a block with two equal entries, and do so in every draw
with some luck: what all draws show as next to none is looked at with one of normal entries, which cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UserError
from ..layout import Members
from ..models.checked import number_of
from ..models.groups import checked_groups
from ..operators.operator import CurvatureOperator
from ..operators.outputs import OutputOperator
from ..progress import bar
from ..results.couplings import EFFECTS, EXACT, PRODUCTS, GroupCouplings
from .coupling_estimates import ByEffects, ByProducts, whole_of
from .exact import assembled
from .random_streams import generator_for

logger = logging.getLogger(__name__)

Method = Literal["exact", "products", "effects"]

EXACT_UP_TO = 500
"""Parameters of a matrix that is assembled where no method is asked for."""

DRAWS = 20
"""Draws where none are asked for: with fewer, standard errors are too often too small."""
_DIRECTIONS = {PRODUCTS: 1, EFFECTS: 2}  # of each group in a draw
_TINY = 1e-20  # of the largest square: where signs cancel, rounding may be left
_CLEARLY = 1e4  # times an estimate, or what rounding gives: a coupling about as large may be less in some draws


def group_couplings(
    operator: CurvatureOperator,
    groups: Mapping[str, Members] | None = None,
    *,
    method: Method | None = None,
    draws: int = DRAWS,
    directions: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> GroupCouplings:
    """The Frobenius norms of all blocks of a curvature matrix between groups of its parameters.

    Args:
        operator: A.
        groups: named sets of its parameters, as `Layout.group` takes them, with none in common; parameters in none have
            no part in it. Default the groups of the operator's layout.
        method: `"exact"`, from the assembled matrix; `"products"`, one for each group and random vector; `"effects"` of
            these on the outputs, for the Gauss-Newton matrix and others of the outputs alone. Default exact up to 500
            parameters; beyond, effects where there are some, and else products. The result says which it was.
        draws: independent estimates of all couplings, 1 or more; errors need 2 or more.
        directions: random vectors of each group in a draw; default 1 for products, 2 for effects, which need no fewer.
        seed: of the random vectors.
        progress: show a bar with the time left.

    Returns:
        The couplings with their draws; `matrix` makes a graph of them.

    Raises:
        UserError: there are no groups, one is empty, or two share a parameter; an option is none of these; the operator
            has no effects and they are asked for; the matrix is not finite; all draws miss a coupling that is there.
    """
    places = _places(operator, groups)
    if method not in (None, EXACT, PRODUCTS, EFFECTS):
        raise UserError(f"method must be exact, products or effects, got {method!r}")
    draws = number_of("draws", draws, 1)
    if directions is not None:
        directions = number_of("directions", directions, 1)
    if method == EXACT or (method is None and operator.shape[0] <= EXACT_UP_TO):
        found = _exact(operator, places, seed, progress)
    else:
        found = _estimated(operator, places, method, draws, directions, seed, progress)
    squared, rounding = found["squared"], found["rounding"]
    if not (np.isfinite(squared).all() and np.isfinite(rounding).all()):
        raise UserError("the couplings are not finite; look for overflow in the loss")
    squared[:, squared.mean(axis=0) <= rounding**2] = 0.0
    return GroupCouplings.from_squares(
        names=[*places],
        sizes=np.array([len(at) for at in places.values()], dtype=np.int64),
        dim=operator.shape[0],
        provenance={**operator.describe(), "solver": "group couplings", "seed": seed},
        **found,
    )


def _places(operator: CurvatureOperator, groups: Mapping[str, Members] | None) -> dict[str, NDArray[np.int64]]:
    """The flat indices of each group."""
    layout = operator.layout
    if groups is None:
        if not layout.groups:
            raise UserError("there are no groups of parameters to couple; give groups, by name")
        groups = {name: name for name, _ in layout.groups}
    found = layout.group(checked_groups(groups))
    if not found:
        raise UserError("there are no groups of parameters to couple; give one at least")
    if empty := [name for name, at in found.items() if not len(at)]:
        raise UserError(f"group {empty[0]!r} has no parameter; leave it out, or give it some")
    return found


def _exact(
    operator: CurvatureOperator, places: Mapping[str, NDArray[np.int64]], seed: int, progress: bool
) -> dict[str, Any]:
    """The couplings of the assembled matrix, and the bound on what its error makes of each."""
    dense, assembly, arithmetic = assembled(operator, seed=seed, progress=progress)
    A = dense.cpu().double().numpy()
    squares = np.empty((len(places), len(places)))
    for number, at in enumerate(places.values()):
        columns = np.square(A[at]).sum(axis=0)
        squares[number] = [columns[other].sum() for other in places.values()]
    sizes = np.array([len(at) for at in places.values()])
    rank = np.minimum(sizes[:, None], sizes)
    return {
        "squared": (squares + squares.T)[None] / 2,
        "rounding": np.sqrt(rank) * (assembly + arithmetic),
        "method": EXACT,
        "directions": 0,
        "cost": operator.shape[0] if "products" in str(operator.assembled_by) else 0,
    }


def _estimated(
    operator: CurvatureOperator,
    places: Mapping[str, NDArray[np.int64]],
    wanted: str | None,
    draws: int,
    directions: int | None,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """The couplings by effects, where there are some and products are not asked for, or by products."""
    of_effects = None if wanted == PRODUCTS else _effects_of(operator, is_needed=wanted == EFFECTS)
    method = EFFECTS if of_effects else PRODUCTS
    directions = directions or _DIRECTIONS[method]
    if method == EFFECTS and directions < 2:
        raise UserError("effects need 2 directions or more, for the groups' own norms; got 1")
    estimate = (of_effects or ByProducts(operator, seed)).estimate
    generator, found, all_places = generator_for("couplings of groups", seed), [], [*places.values()]
    for _ in bar([*range(draws)], "couplings", "draw", shown=progress):
        bits = torch.randint(0, 2, (operator.shape[0], directions), generator=generator)
        signs = (2 * bits - 1).to(operator.device, operator.dtype)
        found.append(estimate(signs, all_places))
    squared, noise = np.stack([squares for squares, _ in found]), np.mean([noise for _, noise in found], axis=0)
    mean = squared.mean(axis=0)
    is_doubtful = mean <= np.maximum(noise, _TINY * mean.max())
    if is_doubtful.any():
        normal = generator_for("couplings that no draw shows", seed)
        z = torch.randn(operator.shape[0], directions, generator=normal, dtype=torch.float64)
        again, limit = estimate(z.to(operator.device, operator.dtype), all_places)
        _confirm_none(is_doubtful & (again > _CLEARLY * np.maximum(limit, mean)), [*places], draws)
    return {
        "squared": squared,
        "rounding": np.sqrt(noise),
        "method": method,
        "directions": directions,
        "cost": (draws + int(is_doubtful.any())) * directions * len(places),
    }


def _confirm_none(is_missed: NDArray[np.bool_], names: list[str], draws: int) -> None:
    """Refuse couplings of which none was found, by chance, where there are some."""
    if is_missed.any():
        one, other = (names[at] for at in np.argwhere(is_missed)[0].tolist())
        whose = f"the curvature of group {one!r}" if one == other else f"the coupling of groups {one!r} and {other!r}"
        raise UserError(
            f"{whose} is missed by all of {draws} draws, whose random signs cancel there; take more draws or another "
            "seed, or method exact"
        )


def confirm_effects(operator: CurvatureOperator) -> ByEffects:
    """What estimates by effects.

    Raises:
        UserError: the operator has none.
    """
    whole, indices = whole_of(operator)
    if not isinstance(whole, OutputOperator):
        raise UserError(
            f"effects give the couplings of a matrix of the outputs alone, such as Gauss-Newton, not of a "
            f"{type(whole).__name__}; take products"
        )
    return ByEffects(whole, indices)


def _effects_of(operator: CurvatureOperator, *, is_needed: bool) -> ByEffects | None:
    """What estimates by effects; `None` where the operator has none and they are not asked for."""
    if not is_needed and not isinstance(whole_of(operator)[0], OutputOperator):
        return None
    try:
        return confirm_effects(operator)
    except UserError as error:
        if is_needed:
            raise
        logger.info("couplings by products: %s", error)
        return None
