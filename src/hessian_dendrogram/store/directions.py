"""What commands do with stored directions: say them in numbers, words and rows, compare them with a layout."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from ..errors import UserError
from ..layout import Layout
from ..results.directions import Directions
from ..results.table import Column
from ..statistics.purity import mean_purity, purity_tests

_WHOLE = 1e-2  # how far from 1 the shares of a direction in the parameters may add up
_MOST = 3  # leading directions in words
_FEW_NUMBERS = 16  # of a sample's inputs, such as tokens

DIRECTIONS = {
    "rank": Column("whole", "1 for the direction of the largest eigenvalue"),
    "eigenvalue": Column("number", "in units of the matrix"),
    "error_bound": Column("number", "some eigenvalue is within this of the value"),
    "turn": Column("number", "sine of the angle by which the vector may be turned to its neighbours; 1: arbitrary"),
    "arbitrary": Column("flag", "whether its eigenvalue cannot be told apart, so that its shares are those of a basis"),
    "set": Column("whole", "number of the set of directions that cannot be told apart, from 1"),
    "set_purity": Column("number", "largest share of the set in a named group, whatever its basis"),
    "power": Column("number", "mean square of the effect on the outputs, per squared unit of the direction"),
    "purity": Column("number", "largest share in a named group, 0 to 1; not known of a direction without effect"),
    "group": Column("text", "that group; empty where there is none"),
    "rotated_purity": Column("number", "mean purity of this rank in rotated bases of the unit effects"),
    "rotated_high": Column("number", "95 % quantile of the same"),
    "rotation_p": Column("number", "p-value of the purity against rotated bases"),
    "rotation_p_holm": Column("number", "the same, adjusted over all directions by Holm"),
    "gaussian_purity": Column("number", "mean purity of Gaussian directions of all parameters"),
    "gaussian_p": Column("number", "p-value of the purity against these"),
    "gaussian_p_holm": Column("number", "the same, adjusted over all directions by Holm"),
    "gradient_share": Column("number", "share of the loss's gradient along the direction, 0 to 1"),
    "update_share": Column("number", "share of the weights' change since the checkpoint before, 0 to 1"),
    "chance_share": Column("number", "expected share of any vector along a random direction: 1 / parameters"),
}
GROUP_SHARES = {
    "rank": DIRECTIONS["rank"],
    "set": DIRECTIONS["set"],
    "group": Column("text", "name of the group; other is what is in none"),
    "share": Column("number", "of the effect's power in this group, 0 to 1; not known where there is no effect"),
    "set_share": Column("number", "the same of the whole set of directions, whatever its basis"),
    "gaussian_share": Column("number", "mean share of Gaussian directions of all parameters"),
}


def directions_facts(result: Directions) -> dict[str, Any]:
    """How many, their purity with its nulls, and where gradient and update lie; `None` where that is not known."""
    pure = [
        asdict(mean_purity(result, count)) | {"excess": mean_purity(result, count).excess} for count in result.counts
    ]
    tests = purity_tests(result)
    leading = [
        {"rank": i + 1, "eigenvalue": float(result.eigenvalues[i]), "purity": _known(result.purities[i]), "group": name}
        for i, name in enumerate(purest(result)[:_MOST])
    ]
    return {
        "directions": len(result.eigenvalues),
        "asked": result.asked,
        "without_effect": int((~result.has_effect).sum()),
        "arbitrary": int(result.is_arbitrary.sum()),
        "readout": result.readout,
        "of": result.of,
        "mean_purity": [{key: _known(value) for key, value in one.items()} for one in pure],
        "above_rotation": int((tests.rotation_holm <= 0.05).sum()),
        "above_gaussian": int((tests.gaussian_holm <= 0.05).sum()),
        "gradient_share": _total(result.gradient_shares),
        "update_share": _total(result.update_shares),
        "chance_share": len(result.eigenvalues) / result.dim,
        "leading": leading,
        "provenance": dict(result.provenance),
    }


def describe_directions(row: dict[str, Any]) -> str:
    """`directions_facts` in words."""
    return ", ".join(f"{name} {text}" for name, text in directions_cells(row).items())


def directions_cells(row: dict[str, Any]) -> dict[str, str]:
    """`directions_facts` as cells of a table; one that is not known is missing."""
    missing = f" of {row['asked']:,} asked for" if row["directions"] < row["asked"] else ""
    cells = {"directions": f"{row['directions']:,}{missing}"}
    for one in row["mean_purity"]:
        if one["purity"] is not None:
            null = f"rotated {one['rotated']:.3f}, {one['low']:.3f} to {one['high']:.3f}"
            cells[f"purity of {one['count']:,} by {row['readout']}"] = f"{one['purity']:.3f} ({null})"
    if row["mean_purity"] and row["mean_purity"][-1]["gaussian"] is not None:
        cells["Gaussian"] = f"{row['mean_purity'][-1]['gaussian']:.3f}"
    named = [f"{one['group']} ({one['purity']:.2f})" for one in row["leading"] if one["purity"] is not None]
    if named:
        cells["leading"] = ", ".join(named)
    for name in ("arbitrary", "without_effect"):
        if row[name]:
            cells[name.replace("_", " ")] = f"{row[name]:,}"
    for name in ("gradient", "update"):
        if row[f"{name}_share"] is not None:
            cells[f"{name} in them"] = f"{row[f'{name}_share']:.3g} (chance {row['chance_share']:.2g})"
    return cells


def direction_rows(result: Directions) -> dict[str, Any]:
    """Every direction, the leading one first."""
    m, tests = len(result.eigenvalues), purity_tests(result)
    gaussian, rotated = result.gaussian_purities, result.rotation_purities
    known = result.has_effect if len(rotated) else np.zeros(m, bool)
    means, highs = np.full(m, np.nan), np.full(m, np.nan)
    means[known] = rotated[:, known].mean(axis=0)
    highs[known] = np.quantile(rotated[:, known], 0.95, axis=0)
    names = np.empty(m, dtype=object)
    names[:] = purest(result)
    return {
        "rank": np.arange(1, m + 1),
        "eigenvalue": result.eigenvalues,
        "error_bound": result.error_bounds,
        "turn": result.turns,
        "arbitrary": result.is_arbitrary,
        "set": _sets(result),
        "set_purity": _of_sets(result)[:, :-1].max(axis=1, initial=0),
        "power": result.powers,
        "purity": result.purities,
        "group": names,
        "rotated_purity": means,
        "rotated_high": highs,
        "rotation_p": tests.rotation,
        "rotation_p_holm": tests.rotation_holm,
        "gaussian_purity": np.full(m, gaussian.mean() if len(gaussian) else np.nan),
        "gaussian_p": tests.gaussian,
        "gaussian_p_holm": tests.gaussian_holm,
        "gradient_share": result.gradient_shares,
        "update_share": result.update_shares,
        "chance_share": np.full(m, 1 / result.dim),
    }


def group_share_rows(result: Directions) -> dict[str, Any]:
    """Every group of every direction."""
    m, count = result.shares.shape
    names = np.empty(count, dtype=object)
    names[:] = result.groups
    known = ~np.isnan(result.gaussian_shares).any(axis=1)
    gaussian = result.gaussian_shares[known].mean(axis=0) if known.any() else np.full(count, np.nan)
    return {
        "rank": np.repeat(np.arange(1, m + 1), count),
        "set": np.repeat(_sets(result), count),
        "group": np.tile(names, m),
        "share": result.shares.ravel(),
        "set_share": _of_sets(result).ravel(),
        "gaussian_share": np.tile(gaussian, m),
    }


def check_directions(result: Directions, layout: Layout) -> None:
    """Refuse shares of other parameters than those of the layout, and such as do not add up.

    Raises:
        UserError: that is so.
    """
    if result.dim != layout.size:
        raise UserError(f"eigenvalues of {result.dim} parameters, where the analysis covers {layout.size}")
    if result.tensor_shares is not None and (result.group_shares is None) == bool(layout.groups):
        raise UserError("there are group_shares where there are groups, and nowhere else")
    for name, parts in (("tensor_shares", layout.names), ("group_shares", layout.parts)):
        shares = getattr(result, name)
        if shares is None:
            continue
        if shares.shape[1] != len(parts):
            raise UserError(f"{name} of {shares.shape[1]} parts, where there are {len(parts)}")
        if (np.abs(shares.sum(axis=1) - 1) > _WHOLE).any():
            raise UserError(f"the {name} of a direction should add up to 1")


def compacted_directions(result: Directions, *_: Any) -> tuple[Directions, dict[str, type[np.floating]]]:
    """The same without inputs that are more than a few numbers a sample, such as images, which data have rights in."""
    is_small = int(np.prod(result.input_shape, dtype=np.int64)) <= _FEW_NUMBERS
    return result if is_small else replace(result, changed_inputs=None, input_shape=[]), {}


def purest(result: Directions) -> list[str]:
    """The group in which each direction has its largest share, empty where it has none."""
    named = result.shares[:, :-1]
    if not named.shape[1]:
        return [""] * len(named)
    at = np.where(np.isnan(named), -1, named).argmax(axis=1)
    return [result.groups[i] if known else "" for i, known in zip(at.tolist(), result.has_effect, strict=True)]


def _sets(result: Directions) -> Any:
    """The number of each direction's set, from 1: shape (m,)."""
    return np.repeat(np.arange(1, len(result.sets) + 1), [part.stop - part.start for part in result.sets])


def _of_sets(result: Directions) -> Any:
    """The shares of each direction's set: shape (m, groups)."""
    found = np.full(result.shares.shape, np.nan)
    for part in result.sets:
        found[part] = result.set_shares(np.arange(part.start, part.stop))
    return found


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _total(shares: Any) -> float | None:
    return float(shares.sum()) if len(shares) and not np.isnan(shares).any() else None
