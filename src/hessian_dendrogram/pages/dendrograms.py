"""The dendrogram of an analysis at one training step, cut where a slider says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import marimo as mo

from ..pictures import Picture, comparison_of_spectra, coupling, parameter_dendrogram
from ..pictures.analysed import Analysed
from ..pictures.coupling import picture_limits
from ..statistics.dendrogram import Dendrogram
from .widgets import Show, warning


@dataclass(frozen=True, eq=False)
class Cut:
    """The dendrogram `of` an analysis, at the position of a step, cut `at` a resolution ε or into `at` clusters.

    The segment is that of the spectrum, "" where there is none; ε has the units of the eigenvalues.
    """

    of: Analysed
    position: int
    segment: str
    at: float

    @property
    def step(self) -> str:
        """Which step that is, in words."""
        return f"step {self.of.steps[self.position]:,}"

    @property
    def tree(self) -> Dendrogram | None:
        """The dendrogram of eigenvalues; `None` where none of the segment has converged, and for other kinds."""
        moving = self.of.dendrograms.get(self.segment) if self.of.kind == "spectrum" else None
        return moving.trees.get(self.position) if moving else None

    def picture(self, title: str = "", *, beside: Sequence[Cut] = (), **more: Any) -> Picture | None:
        """The dendrogram; clusters of eigenvalues have the colours of the first of the cuts that are seen beside it.

        The title of eigenvalues is the step by default; `more` is what `pictures.dendrogram` takes of these.
        """
        if self.of.kind == "tree":
            steps, trees = self._here
            return parameter_dendrogram(steps, trees, self.of.layout, k=int(self.at), title=title)
        if self.tree is None:
            return None
        known = {"title": title or self.step, "like": beside[0].tree if beside else None, **more}
        return self.of.dendrograms[self.segment].picture(self.position, self.at, **known)

    def matrix(self, title: str = "", *, beside: Sequence[Cut] = ()) -> Picture | None:
        """How parameters are coupled, in colours that are those of every step of all that is seen; `None` of others."""
        if self.of.kind != "tree":
            return None
        steps, trees = self._here
        images = [tree.picture for of in {self.of, *(cut.of for cut in beside)} for tree in of.results]
        known: Any = {"limits": picture_limits(images), "title": title}
        return coupling(steps, trees, [trees[0].picture], k=int(self.at), **known)

    @property
    def _here(self) -> tuple[list[int], list[Any]]:
        return [self.of.steps[self.position]], [self.of.results[self.position]]

    @property
    def name(self) -> str:
        """Of the file that a chart's camera button saves."""
        return "parameter_dendrogram" if self.of.kind == "tree" else "dendrogram"


def compared(left: Cut, right: Cut, show: Show) -> mo.Html:
    """Two cuts beside each other where the page is wide enough, and of spectra what they have in common."""
    columns, both = [], (left, right)
    for cut in both:
        name = f"{cut.of.name}, {cut.step}"
        drawn = {cut.name: cut.picture(name, beside=both), "coupling": cut.matrix(name, beside=both)}
        shown = [show(key, picture) for key, picture in drawn.items() if picture]
        columns.append(mo.vstack(shown or [warning(f"{name}: no converged eigenvalue in this segment.")]))
    style = "display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr))"
    parts = [
        mo.md("The checkpoint chosen above is on the left; another one, or another analysis, on the right."),
        mo.Html(f'<div style="{style}">{"".join(column.text for column in columns)}</div>'),
    ]
    if left.of.kind == "spectrum":
        spectra = {f"{cut.of.name}, {cut.step}": cut.of.results[cut.position] for cut in both}
        is_one = len(spectra) == 1
        parts.append(
            mo.md("Both sides are the same.") if is_one else show("comparison", comparison_of_spectra(spectra))
        )
    return mo.vstack(parts)
