"""What ε is measured in: units of the matrix, of λ_max or of the trace, or logarithms of the ratios of neighbours."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .dendrogram import Dendrogram

UnitName = Literal["largest", "trace"]
KNOWN_TO = 0.01
"""The share of an eigenvalue that its bound may be where log λ is drawn: one larger error would hide all merges."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A positive number that eigenvalues are measured in.

    Attributes:
        name: `"largest"`, λ_max, or `"trace"`.
        value: of it, in units of the matrix.
        error: bound on its error, or half of an interval where it is estimated.
    """

    name: UnitName
    value: float
    error: float

    @property
    def share(self) -> float:
        """The error relative to the value, below 1."""
        return self.error / self.value

    def __str__(self) -> str:
        """The value with its error, on one line of a title."""
        return f"{self.value:.6g}\u00a0±\u00a0{self.error:.2g}"


@dataclass(frozen=True, kw_only=True)
class EpsilonScale:
    """How a way to measure ε is written.

    Attributes:
        title: what ε is measured in.
        epsilon: what follows its name on an axis.
        eigenvalue: what eigenvalues are written as.
        unit: the name of the unit; "" for none.
        hidden: what is said of the eigenvalues in a hole.
        table: what is said above a table of clusters.
        is_log: whether trees are made of logarithms; then eigenvalues are written as they are.
    """

    title: str
    epsilon: str
    eigenvalue: str = "λ"
    unit: str = ""
    hidden: str = "not known"
    table: str = ""
    is_log: bool = False

    @property
    def resolution(self) -> str:
        """The name of an axis of ε."""
        return f"resolution ε{self.epsilon}"

    @property
    def slider(self) -> str:
        """The name of a slider of ε."""
        return f"{self.resolution} (log scale)".replace(") (", ", ")


SCALES: dict[str, EpsilonScale] = {
    "absolute": EpsilonScale(title="units of λ", epsilon=" (units of λ)"),
    "largest": EpsilonScale(
        title="units of λ_max",
        epsilon="\u00a0/\u00a0λ_max",
        eigenvalue="λ / λ_max",
        unit="λ_max",
        table=" in units of λ_max",
    ),
    "trace": EpsilonScale(
        title="units of the trace",
        epsilon="\u00a0/\u00a0trace",
        eigenvalue="λ / trace",
        unit="trace",
        table=" in units of the trace",
    ),
    "log": EpsilonScale(
        title="log λ",
        epsilon=" = log ratio of neighbours",
        hidden=f"not known to {100 * KNOWN_TO:.2g} %, or not positive",
        table=" in log λ, from and to in λ",
        is_log=True,
    ),
}
"""By name, as `measured_in` takes it."""


@dataclass(frozen=True, eq=False, repr=False)
class RelativeDendrogram(Dendrogram):
    """A dendrogram whose eigenvalues and ε are divided by a unit, or without one are natural logarithms."""

    unit: Unit | None = field(default=None, kw_only=True)


def scale_of(tree: Dendrogram) -> EpsilonScale:
    """How the ε of a dendrogram is measured."""
    if not isinstance(tree, RelativeDendrogram):
        return SCALES["absolute"]
    return SCALES[tree.unit.name if tree.unit else "log"]


def unit_of_tree(tree: Dendrogram) -> Unit | None:
    """What eigenvalues and ε of a dendrogram are divided by."""
    return tree.unit if isinstance(tree, RelativeDendrogram) else None


def written(tree: Dendrogram) -> NDArray[np.float64]:
    """The eigenvalues of a dendrogram as they are written, shape (k,): in its unit, but no logarithms."""
    return np.exp(tree.eigenvalues) if scale_of(tree).is_log else tree.eigenvalues


def written_as(tree: Dendrogram, value: float) -> float:
    """One number among the eigenvalues of a dendrogram as it is written."""
    return exp(value) if scale_of(tree).is_log else value


def eigenvalue_of(tree: Dendrogram | None, value: float) -> float:
    """An eigenvalue as it is written, in units of the matrix."""
    unit = unit_of_tree(tree) if tree else None
    return value * unit.value if unit else value


def place_of(tree: Dendrogram, eigenvalue: float) -> float | None:
    """Where an eigenvalue, in units of the matrix, lies among those of a dendrogram; `None` if it has no logarithm."""
    if scale_of(tree).is_log:
        return log(eigenvalue) if eigenvalue > 0 else None
    unit = unit_of_tree(tree)
    return eigenvalue / unit.value if unit else eigenvalue


def count_range(tree: Dendrogram, epsilon: float) -> tuple[int, int] | None:
    """The fewest and the most clusters at ε, which differ where the unit's error reaches a gap.

    `None` where errors of eigenvalues alone could change the number.
    """
    share = unit.share if (unit := unit_of_tree(tree)) else 0.0
    ends = epsilon * (1 + share), epsilon * (1 - share)
    if not ends[1] > tree.resolution:
        return None
    fewest, most = tree.num_clusters(ends).tolist()
    return fewest, most
