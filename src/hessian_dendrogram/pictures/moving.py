"""The dendrograms of one segment over training, with axes and resolutions that stay while the step moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..statistics.dendrogram import Dendrogram
from ..statistics.resolutions import first_epsilon
from .by_segment import MOST_ON_SCREEN, resolution_grid
from .dendrogram import dendrogram, leading_count, leading_frame
from .eigenvalue_tree import Frame
from .picture import Picture

_RESOLUTIONS = 121


@dataclass(frozen=True, eq=False)
class MovingDendrogram:
    """The dendrograms of one segment, by position of the step; what is chosen is chosen for the last of them."""

    trees: dict[int, Dendrogram]

    @cached_property
    def frame(self) -> Frame:
        """Axes for the whole tree of any step."""
        return Frame.around(list(self.trees.values()), MOST_ON_SCREEN)

    @cached_property
    def count(self) -> int:
        """How many eigenvalues lead at every step."""
        return leading_count(self.trees[max(self.trees)])

    @cached_property
    def first(self) -> Frame:
        """Axes for the leading eigenvalues of any step."""
        return leading_frame(list(self.trees.values()), self.count)

    @cached_property
    def epsilon(self) -> float:
        """The resolution to begin with: it leaves the six largest gaps of the last step open."""
        return first_epsilon(self.trees[max(self.trees)])

    @cached_property
    def resolutions(self) -> list[float]:
        """Values of ε to choose from: equally spaced in log ε, three digits each, and the one to begin with."""
        grid = resolution_grid(list(self.trees.values()), _RESOLUTIONS)
        return sorted({self.epsilon, *(float(f"{epsilon:.3g}") for epsilon in grid)})

    def picture(self, position: int, epsilon: float | None = None, **more: Any) -> Picture:
        """The dendrogram of a step, at the given resolution or the one to begin with.

        The axes of the whole tree are those of all steps. Leading eigenvalues grow and shrink by decades, so they have
        axes of their own at each step, unless `first` gives them some; `more` is as for `dendrogram`.
        """
        return dendrogram(self.trees[position], self.epsilon if epsilon is None else epsilon, frame=self.frame, **more)
