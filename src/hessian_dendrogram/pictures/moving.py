"""The dendrograms of one segment over training, with axes and resolutions that stay while the step moves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..statistics.dendrogram import Dendrogram
from .by_segment import resolution_grid
from .dendrogram import dendrogram, first_epsilon, leading_count, leading_frame
from .eigenvalue_tree import Frame
from .node_places import MOST_ON_SCREEN
from .picture import Picture

_RESOLUTIONS = 121


@dataclass(frozen=True, eq=False)
class MovingDendrogram:
    """The dendrograms of one segment, by position of the step."""

    trees: dict[int, Dendrogram]

    @cached_property
    def last(self) -> Dendrogram:
        """That of the last step that has one."""
        return self.trees[max(self.trees)]

    @cached_property
    def frame(self) -> Frame:
        """Axes for the whole tree of any step."""
        return Frame.around(list(self.trees.values()), MOST_ON_SCREEN)

    @cached_property
    def count(self) -> int:
        """How many eigenvalues lead at every step."""
        return leading_count(self.last)

    @cached_property
    def first(self) -> Frame:
        """Axes for the leading eigenvalues of any step."""
        return leading_frame(list(self.trees.values()), self.count)

    @cached_property
    def epsilon(self) -> float:
        """The resolution to begin with: it leaves the six largest gaps of the last step open."""
        return first_epsilon(self.last)

    @cached_property
    def resolutions(self) -> list[float]:
        """Values of ε to choose from: equally spaced in log ε, three digits each, and the one to begin with."""
        grid = resolution_grid(list(self.trees.values()), _RESOLUTIONS)
        return sorted({self.epsilon, *(float(f"{epsilon:.3g}") for epsilon in grid)})

    def picture(self, position: int, epsilon: float | None = None, **more: Any) -> Picture:
        """The dendrogram of a step, at the given resolution or the one to begin with.

        The axes of the whole tree are those of all steps. Leading eigenvalues grow and shrink by decades, so they have
        axes of their own at each step, unless `first` gives them some.

        Args:
            position: of the step.
            epsilon: in units of the eigenvalues.
            **more: `title`, `chosen`, `like`, `first` and `count` as for `dendrogram`.
        """
        known: Any = {"frame": self.frame, **more}
        return dendrogram(self.trees[position], self.epsilon if epsilon is None else epsilon, **known)
