"""What each leading direction does: its eigenvalue, its purity beside what chance gives, its share of every group."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..results.directions import OF_EFFECTS, Directions
from ..statistics.purity import purity_tests
from ..store.directions import purest
from .axes import Linear, Log, Named
from .eigenvalue_axis import Eigenvalues
from .marks import COLOURS, FAINT, Dashes, Facts, HeatMap, Mark, Points, Region, Scale, Symbol
from .picture import PICTURES, Known, Panel, Picture, nothing

SENTENCE = (
    "Directions stand by their eigenvalue, the largest first: one bright cell in a column is a group that a direction "
    "acts on alone, and a filled point is purer than randomly rotated bases are, at 5 % after Holm's correction; "
    "diamonds are one basis among many, since their eigenvalues cannot be told apart."
)
Integers = NDArray[np.signedinteger[Any]]

_ALPHA = 0.05
_MOST_GROUPS = 24  # rows; the others are one
_SMALL = 0.05  # the largest share of a group that has no row of its own
_FACTS = (
    "direction {direction}: λ = {value:.5g} ± {bound:.1g}\n{purity:.1%} in {group}\nrotated bases: "
    "{null:.1%} on average, 95 % below {high:.1%}; p = {p:.2g} after Holm\n"
    "set {set} of directions that cannot be told apart"
)


def direction_shares(directions: Directions, *, most: float | None = None, title: str = "") -> Picture:
    """Show eigenvalue, purity and shares of every direction of a result; `most` is the share of the last colour."""
    m = len(directions.eigenvalues)
    if not m:
        return nothing(title, SENTENCE, "no direction converged")
    ranks = np.arange(1, m + 1)
    what = "effect on the outputs" if directions.of == OF_EFFECTS else "entries"
    x, bare = (Linear(label, (0.5, m + 0.5), ",d") for label in ("direction, by its eigenvalue", ""))
    most = _most([directions]) if most is None else most
    rows = (
        (
            Panel(
                _values(directions, ranks), x=bare, y=_eigenvalue_axis(directions), title=directions_title(directions)
            ),
        ),
        (Panel(_purities(directions, ranks), x=bare, y=Linear("purity", (-0.03, 1.03))),),
        (_shares(directions, ranks, x, Scale(f"share of the {what}", (0.0, most))),),
    )
    tall = len(rows[2][0].y.names) if isinstance(rows[2][0].y, Named) else 0
    heights = 1.3, 1.7, 1.0 + 0.13 * tall
    return Picture(rows, title, SENTENCE, height=sum(heights), heights=heights)


PICTURES["direction_shares"] = Known(
    "directions",
    "What the leading directions do",
    SENTENCE,
    at=lambda a, i: direction_shares(a.results[i], most=_most(a.results), title=f"step {a.steps[i]:,}"),
    printed=lambda a: direction_shares(a.results[-1], title=f"{a.title}, step {a.steps[-1]:,}"),
)


def _most(results: Sequence[Directions]) -> float:
    """The largest share of any direction, in tenths, so that colours mean the same at every step."""
    largest = max((float(np.nanmax(one.shares, initial=0.0)) for one in results), default=0.0)
    return max(0.1, ceil(10 * largest) / 10)


def directions_title(directions: Directions) -> str:
    """What the shares are of."""
    what = "effects on the outputs" if directions.of == OF_EFFECTS else "the directions' own entries"
    short = f"; {len(directions.eigenvalues)} of {directions.asked} converged"
    return f"{what}, by {directions.readout}" + short * (len(directions.eigenvalues) < directions.asked)


def _eigenvalue_axis(directions: Directions) -> Eigenvalues | Log | Linear:
    values, bounds = directions.eigenvalues, directions.error_bounds
    if (values > bounds).all():
        return Log.around(values, "eigenvalue λ")
    return Linear.around(values, bounds, "eigenvalue λ")


def _values(directions: Directions, ranks: Integers) -> tuple[Mark, ...]:
    facts = Facts(
        "direction {direction}: λ = {value:.5g} ± {bound:.1g}",
        {"direction": ranks, "value": directions.eigenvalues, "bound": directions.error_bounds},
    )
    return (Dashes(ranks, directions.eigenvalues, directions.error_bounds, COLOURS[0], facts=facts),)


def _purities(directions: Directions, ranks: Integers) -> tuple[Mark, ...]:
    """The purity of each direction over the null of rotated bases, and the one of Gaussian directions."""
    tests, rotated, known = purity_tests(directions), directions.rotation_purities, directions.has_effect
    m = len(ranks)
    means, highs = np.full(m, np.nan), np.full(m, np.nan)
    if len(rotated) and known.any():
        means[known] = rotated[:, known].mean(axis=0)
        highs[known] = np.quantile(rotated[:, known], 1 - _ALPHA, axis=0)
    marks: list[Mark] = [
        Points(ranks, means, FAINT, "x", 4.0, label="rotated bases, mean"),
        Points(ranks, highs, FAINT, "triangle-down", 3.0, label="rotated bases, 95 %"),
    ]
    gaussian = directions.gaussian_purities
    if len(gaussian):
        ends = tuple(np.quantile(gaussian, (_ALPHA, 1 - _ALPHA)).tolist())
        marks.insert(0, Region(y=ends, label="Gaussian directions, 5 to 95 %"))
    sets = np.repeat(np.arange(1, len(directions.sets) + 1), [part.stop - part.start for part in directions.sets])
    columns = {
        "direction": ranks,
        "value": directions.eigenvalues,
        "bound": directions.error_bounds,
        "purity": directions.purities,
        "group": np.array(purest(directions), dtype=object),
        "null": means,
        "high": highs,
        "p": tests.rotation_holm,
        "set": sets,
    }
    kinds: tuple[tuple[bool, Symbol, str], ...] = ((False, "circle", "purity"), (True, "diamond", "one basis of many"))
    for is_arbitrary, symbol, label in kinds:
        at = np.flatnonzero(known & (directions.is_arbitrary == is_arbitrary))
        if len(at):
            facts = Facts(_FACTS, {name: column[at] for name, column in columns.items()})
            hollow = ~(tests.rotation_holm[at] <= _ALPHA)
            look: dict[str, Any] = {"clickable": True, "label": label, "facts": facts}
            marks.append(Points(ranks[at], directions.purities[at], COLOURS[1], symbol, 5.0, hollow, **look))
    return tuple(marks)


def _shares(directions: Directions, ranks: Integers, x: Linear, scale: Scale) -> Panel:
    """The shares as a heat map, of the groups that have most of them, and of all others together."""
    shares, names = directions.shares[:, :-1], directions.groups[:-1]
    largest = np.nan_to_num(shares).max(axis=0, initial=0)
    order = np.argsort(-largest, kind="stable")[: _MOST_GROUPS - 1]
    order = np.sort(order[largest[order] >= min(_SMALL, largest.max(initial=0))])
    rest = np.setdiff1d(np.arange(shares.shape[1]), order)
    rows = [shares[:, i] for i in order]
    shown = [names[i] for i in order]
    if len(rest):
        rows.append(shares[:, rest].sum(axis=1))
        shown.append(f"{len(rest)} other groups")
    rows, shown = [*rows, directions.shares[:, -1]], [*shown, directions.groups[-1]]
    values = np.stack(rows)
    facts = Facts(
        "direction {direction}, λ = {value:.5g}\n{share:.1%} in {group}",
        {
            "direction": ranks,
            "value": directions.eigenvalues,
            "share": values,
            "group": np.array(shown, dtype=object)[:, None],
        },
    )
    edges = np.arange(len(ranks) + 1) + 0.5, np.arange(len(shown) + 1) - 0.5
    heat = HeatMap(*edges, values, scale, facts)
    y = Named(shown, label=directions.readout, limits=(len(shown) - 0.5, -0.5))
    return Panel((Region(), heat), x=x, y=y)
