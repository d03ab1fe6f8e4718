"""Couplings of groups, and the tree that is cut from them, as objects that an analysis holds.

The tree is cut from what is stored, the couplings merged into four parts of the draws: so it can be made again, with
another Laplacian or divided by the groups' own norms, without the network. Its uncertainty is how far trees from halves
of the draws agree.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from torch import nn

from ..errors import UserError
from ..index_sets import indices_of
from ..layout import Layout, Members
from ..models.checked import number_of
from ..models.chosen_groups import chosen_groups
from ..operators.operator import CurvatureOperator
from ..results.coupling_parts import PARTS, halvings, merged
from ..results.couplings import EFFECTS, EXACT, PRODUCTS, GroupCouplings
from ..results.tree import BipartitionTree, Laplacian, Split
from ..statistics.agreement import agreement
from .coupling_estimates import confirm_products
from .exact import checked_memory
from .graph.bipartition import checked_options, coupling_picture, default_min_size, recursive_bipartition
from .group_couplings import DRAWS, EXACT_UP_TO, Method, confirm_effects, group_couplings

logger = logging.getLogger(__name__)

MEMORY_FOR_DRAWS = 2**34
"""Bytes that the draws of all couplings may take."""


@dataclass(frozen=True, kw_only=True)
class CoupledGroups:
    """Couplings of some groups of the parameters, by `group_couplings`, as they are stored.

    Attributes:
        groups: names or patterns of the task's groups; `"all"` is all of them.
        units: units of layers in place of these or beside them, as `models.chosen_groups` takes them.
        method, draws: as for `group_couplings`; draws are a multiple of 4.
        seed: of the draws; default the experiment's.
        layout: the parameters of the analysis in the chosen groups, once it is known (see `of_layout`).

    Raises:
        UserError: neither groups nor units are named, or an option is none of those there are.
    """

    kind: ClassVar[str] = "couplings"
    ending: ClassVar[str] = ".couplings"
    takes_many_products: ClassVar[bool] = True
    groups: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    method: Method | None = None
    draws: int = DRAWS
    seed: int | None = None
    layout: Layout | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("groups", "units"):
            given: Any = getattr(self, name)
            object.__setattr__(self, name, (given,) if isinstance(given, str) else tuple(given))
        if not self.groups and not self.units:
            raise UserError("couplings are those of groups or units of a layer; name some")
        if self.method not in (None, EXACT, PRODUCTS, EFFECTS):
            raise UserError(f"method must be exact, products or effects, got {self.method!r}")
        object.__setattr__(self, "draws", number_of("draws", self.draws, PARTS))
        if self.draws % PARTS:
            raise UserError(f"draws are stored in {PARTS} equal parts, so take a multiple of {PARTS}; got {self.draws}")

    @property
    def label(self) -> str:
        """The names of the groups, for the name of an analysis."""
        return "-".join([*self.groups, *self.units])

    def groups_of(self, model: nn.Module, own: Mapping[str, Members]) -> Mapping[str, Members]:
        """The chosen groups of a model's parameters, as `Layout.group` takes them.

        Args:
            model: with the parameters.
            own: the task's groups.

        Raises:
            UserError: a name matches nothing.
        """
        return chosen_groups(model, own, self.groups, self.units)

    def of_layout(self, layout: Layout) -> Self:
        """The same with the parameters of the analysis, in the chosen groups.

        Raises:
            UserError: fewer than two groups are left there.
        """
        if (count := len(layout.groups)) < 2:
            raise UserError(
                f"of the groups {self.label!r} there {'is one' if count else 'are none'} among the parameters that are "
                "analysed, and couplings need two or more"
            )
        return replace(self, layout=layout)

    def check(self, size: int) -> None:
        """Refuse draws, or a matrix, that do not fit in memory."""
        count = len(self.layout.groups) if self.layout else 0
        if (needed := 24 * self.draws * count**2) > MEMORY_FOR_DRAWS:
            raise UserError(
                f"{self.draws} draws of the couplings of {count:,} groups need {needed / 1e9:.0f} GB of memory, of "
                f"{MEMORY_FOR_DRAWS / 1e9:.0f}; name fewer groups"
            )
        if self.method == EXACT:
            checked_memory(size)

    def try_out(self, operator: CurvatureOperator) -> None:
        """Refuse effects of an operator that has none, and products that cancel.

        Raises:
            UserError: that is so.
        """
        if self.method == EFFECTS:
            confirm_effects(operator)
        elif self.method == PRODUCTS:
            confirm_products(operator)

    def configuration(self, size: int) -> dict[str, Any]:
        """Which couplings, and how they are taken."""
        is_exact = self.method == EXACT or (self.method is None and size <= EXACT_UP_TO)
        return {
            **({"groups": list(self.groups)} if self.groups else {}),
            **({"units": list(self.units)} if self.units else {}),
            "method": self.method or ("exact" if is_exact else "automatic"),
            **({} if is_exact else {"draws": self.draws}),
            **({} if is_exact or self.seed is None else {"seed": self.seed}),
        }

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> GroupCouplings:
        """The couplings, of four parts of the draws."""
        layout = self.layout or operator.layout
        members = {name: indices_of(runs, layout.size) for name, runs in layout.groups}
        options: Any = {"method": self.method, "draws": self.draws, "progress": progress}
        options["seed"] = seed if self.seed is None else self.seed
        return merged(group_couplings(operator, members, **options))


@dataclass(frozen=True, kw_only=True)
class GroupBipartition:
    """A dendrogram of groups, by `recursive_bipartition` of their couplings, and how far halves of the draws agree.

    Attributes:
        of: which couplings.
        normalised: divide them by the groups' own norms.
        laplacian, split, min_size: as for `recursive_bipartition`.

    Raises:
        UserError: an option is none of those there are.
    """

    kind: ClassVar[str] = "tree"
    ending: ClassVar[str] = ".fiedler"
    takes_many_products: ClassVar[bool] = True
    of: CoupledGroups
    normalised: bool = False
    laplacian: Laplacian = "normalised"
    split: Split = "sweep"
    min_size: int | None = None

    def __post_init__(self) -> None:
        checked_options(self.laplacian, self.split, self.min_size)

    @property
    def label(self) -> str:
        """What is told of it in the name of an analysis."""
        return self.of.label + ("-normalised" if self.normalised else "")

    def groups_of(self, model: nn.Module, own: Mapping[str, Members]) -> Mapping[str, Members]:
        """Those of the couplings."""
        return self.of.groups_of(model, own)

    def of_layout(self, layout: Layout) -> Self:
        """The same of couplings whose groups are known."""
        return replace(self, of=self.of.of_layout(layout))

    def check(self, size: int) -> None:
        """Refuse what the couplings refuse."""
        self.of.check(size)

    def try_out(self, operator: CurvatureOperator) -> None:
        """Refuse what the couplings refuse."""
        self.of.try_out(operator)

    def configuration(self, size: int) -> dict[str, Any]:
        """Which couplings, and how their graph is cut."""
        count = len(self.of.layout.groups) if self.of.layout else 1
        smallest = default_min_size(count) if self.min_size is None else self.min_size
        known = {"normalised": self.normalised, "laplacian": self.laplacian, "split": self.split}
        return {**self.of.configuration(size), **known, "min_size": smallest}

    def solve(self, operator: CurvatureOperator, *, seed: int, progress: bool) -> BipartitionTree:
        """The tree of the couplings of an operator."""
        return self.cut(self.of.solve(operator, seed=seed, progress=progress))

    def cut(self, couplings: GroupCouplings) -> BipartitionTree:
        """The tree of couplings that are known, with its picture and the agreement of trees from halves of the draws.

        Raises:
            UserError: no groups are coupled, or a group has no norm to divide by.
        """
        tree, pairs = self._tree(couplings), halvings(couplings)
        picture = coupling_picture(couplings.matrix(normalised=self.normalised), tree)
        found = self._trees_of(pairs)
        facts = {
            "solver": "group couplings, cut",
            "couplings_by": couplings.method,
            "draws": couplings.draws,
            "normalised": self.normalised,
            "median_relative_error": couplings.median_relative_error(normalised=self.normalised),
        }
        return replace(
            tree,
            vertices="groups",
            agreement=agreement(tree, found) if found else None,
            picture=picture.astype(np.float32),
            provenance={**couplings.provenance, **facts},
        )

    def _trees_of(
        self, pairs: list[tuple[GroupCouplings, GroupCouplings]]
    ) -> list[tuple[BipartitionTree, BipartitionTree]]:
        """The trees of pairs of halves; none of all where one of them has none, such as that of too few draws."""
        try:
            return [(self._tree(one), self._tree(other)) for one, other in pairs]
        except UserError:
            logger.warning("how far halves of the draws agree is not known: a half misses a coupling; take more draws")
            return []

    def _tree(self, couplings: GroupCouplings) -> BipartitionTree:
        weights = couplings.matrix(normalised=self.normalised)
        if not weights.any():
            raise UserError(f"no two of the {len(weights):,} groups are coupled: there is nothing to cut")
        options: Any = {"laplacian": self.laplacian, "split": self.split, "min_size": self.min_size}
        return recursive_bipartition(weights, **options)
