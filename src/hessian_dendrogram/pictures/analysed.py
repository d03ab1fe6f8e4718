"""An analysis as its pictures want it: all results without eigenvectors, and what was measured at the same steps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedRunError, HessianDendrogramError, UserError
from ..layout import Layout
from ..store import Run
from .by_segment import by_segment
from .eigenvalue_axis import Eigenvalues
from .moving import MovingDendrogram
from .titles import describe, describe_graph


@dataclass(frozen=True, eq=False)
class Analysed:
    """All results of an analysis; made by `read`.

    Attributes:
        run: where they are.
        name: of the analysis.
        kind: of its results, one of `store.kinds.KINDS`.
        steps: the analysed training steps, ascending.
        results: one per step.
    """

    run: Run
    name: str
    kind: str
    steps: list[int]
    results: list[Any]

    @cached_property
    def layout(self) -> Layout:
        """The parameters that it covers."""
        return self.run.layout_of(self.name)

    @cached_property
    def configuration(self) -> Mapping[str, Any]:
        """What was taken."""
        known: Mapping[str, Any] = self.run.analysis(self.name)["configuration"]
        return known

    @cached_property
    def title(self) -> str:
        """Where the numbers come from."""
        experiment = str(self.run.configuration.get("experiment", ""))
        if self.kind == "tree":
            return describe_graph(experiment, self.configuration, self.results[0])
        return describe(experiment, self.results[-1])

    @cached_property
    def metrics(self) -> dict[str, NDArray[np.float64]]:
        """Loss and accuracy; none where they cannot be read, since a run can be looked at without."""
        with suppress(DamagedRunError, OSError):
            return self.run.metrics()
        return {}

    @cached_property
    def measures(self) -> list[dict[str, Any]]:
        """What the experiment measured at each step; nothing where there is something missing.

        Raises:
            DamagedRunError: a file cannot be read.
        """
        with suppress(UserError):
            return [self.run.measures(step, self.name) for step in self.steps]
        return []

    @cached_property
    def dendrograms(self) -> dict[str, MovingDendrogram]:
        """The eigenvalue dendrograms of each segment that occurs."""
        return {name: MovingDendrogram(trees) for name, trees in by_segment(self.results).items()}

    @cached_property
    def axis(self) -> Eigenvalues:
        """One eigenvalue axis for all steps."""
        return Eigenvalues.of_spectra(self.results, name="eigenvalue λ")

    @cached_property
    def images(self) -> list[NDArray[np.float32]]:
        """The block means of each tree's matrix."""
        return [tree.picture for tree in self.results]


def read(run: Run, name: str) -> Analysed:
    """Read all results of an analysis.

    Raises:
        UserError: there is no such analysis, it has no result yet, or results of other parameters than its layout's.
        DamagedRunError: a file cannot be read.
    """
    steps, kind = run.analysed_steps(name), run.kind(name)
    if not steps:
        what = kind if kind in ("spectrum", "tree") else "result"
        raise UserError(f"analysis {name!r} of {run.path} has no {what} yet; finish it first")
    parts = () if kind == "spectrum" else None
    results = [run.result(step, name, parts=parts) for step in steps]
    size = run.layout_of(name).size
    if kind == "tree" and any(tree.size != size for tree in results):
        raise UserError(f"the trees of {name!r} are not of the {size} parameters of {run.path}")
    return Analysed(run, name, kind, steps, results)


def largest_first(run: Run, kind: str) -> list[str]:
    """Names of the analyses of a kind, the one of most samples first; that one is damaged is said when it is read."""

    def samples(name: str) -> int:
        with suppress(HessianDendrogramError, OSError):
            known = run.analysis(name)["configuration"].get("samples", 0)
            return known if isinstance(known, int) else 0
        return -1

    return sorted(run.analyses(kind), key=lambda name: (-samples(name), name))
